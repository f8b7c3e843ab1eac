"""How many friends there are, counted in the transactions that write and delete their rows.

pk                sk       what
COUNTER#friends   mochi    friends, changed_at: how many the agent has registered
COUNTER#friends   ALL      the same of all friends, also those that an admin registered
"""

from collections.abc import Sequence
from typing import Final

from chalicelib.domain.friend_limits import (
    ALL_OF_THEM,
    FriendCount,
    FriendLimits,
    counted_under,
    too_many_friends,
)
from chalicelib.domain.model import Friend
from chalicelib.domain.timestamps import moment_of
from chalicelib.gateways.damage import read_row
from chalicelib.gateways.table import ConditionFailed, Item, Table, to_item

_PK: Final = "COUNTER#friends"
# An update needs a condition; taking back must not be what cancels a deletion.
_ALWAYS: Final = "attribute_not_exists(pk) OR attribute_exists(pk)"


def count_up(table: Table, friend: Friend, limits: FriendLimits | None) -> list[Item]:
    """Return the actions that count a new friend where the limits leave room for them."""
    return [_count_up(table, friend, of, _most(of, limits)) for of in counted_under(friend)]


def count_down(table: Table, friend: Friend, at: str) -> list[Item]:
    """Return the actions that count the friend no more; at is the time, ISO 8601, UTC.

    A count from before there was one starts at none: reconcile corrects it.
    """
    return [
        table.update_action(
            _PK,
            of,
            when=_ALWAYS,
            values={":one": 1},
            sets={"changed_at": at},
            also="friends = if_not_exists(friends, :one) - :one",
        )
        for of in counted_under(friend)
    ]


def require_room(
    friend: Friend, limits: FriendLimits | None, obstacles: Sequence[Item | None]
) -> None:
    """Raise Conflict (too_many_friends) for what stood in the way of count_up's actions."""
    for of, item in zip(counted_under(friend), obstacles, strict=True):
        if item is not None:
            raise too_many_friends(of, _most(of, limits) or 0)


def read_counts(table: Table) -> list[FriendCount]:
    """Return all counts, as they are at this moment. Raises UpstreamFailed (damaged_row)."""
    rows = table.query(
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues=to_item({":pk": _PK}),
        ConsistentRead=True,
    )
    return [read_row(_to_count, each) for each in rows]


def correct_count(
    table: Table, of: str, seen: FriendCount | None, *, friends: int, at: str
) -> bool:
    """Have a count say this, if it is as it was seen (or still absent); tell whether it does."""
    is_as_seen = "friends = :seen AND changed_at = :seen_at"
    correct = table.update_action(
        _PK,
        of,
        when="attribute_not_exists(pk)" if seen is None else is_as_seen,
        values={} if seen is None else {":seen": seen.friends, ":seen_at": seen.changed_at},
        sets={"friends": friends, "changed_at": at},
    )
    try:
        table.update(correct)
    except ConditionFailed as error:
        # botocore repeats a call whose answer was lost: then it is as this one made it.
        return (error.item.get("friends"), error.item.get("changed_at")) == (friends, at)
    return True


def _count_up(table: Table, friend: Friend, of: str, most: int | None) -> Item:
    limit = {} if most is None else {":most": most}
    return table.update_action(
        _PK,
        of,
        when=_ALWAYS if most is None else "attribute_not_exists(pk) OR friends < :most",
        values={":one": 1, ":none": 0, **limit},
        sets={"changed_at": friend.created_at},
        also="friends = if_not_exists(friends, :none) + :one",
    )


def _to_count(row: Item) -> FriendCount:
    moment_of(row["changed_at"])
    return FriendCount(row["sk"], int(row["friends"]), row["changed_at"])


def _most(of: str, limits: FriendLimits | None) -> int | None:
    if limits is None:
        return None
    return limits.in_all if of == ALL_OF_THEM else limits.per_agent
