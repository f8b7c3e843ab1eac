"""Friends in one DynamoDB table. What spans items is one transaction: all of it, or nothing.

pk                       sk               what
FRIEND#alice             PROFILE          the friend and the line of its operations
FRIEND#alice             AGENT#mochi      a friendship; indexed by agent_pk, agent_sk
FRIEND#alice             EXPOSURE#my-app  what is exposed (see exposures)
IDENTITY#discord#<id>    CLAIM            who owns a platform id
COUNTER#friends          mochi, ALL       how many friends there are (see friend_counts)

The index "friends" lists what the reconciler compares with the world, by list_pk and list_sk:
FRIENDS, EXPOSURES, CLAIMS; list_sk starts with the friend's id. Operations are in their friends'
rows, as far as they are unfinished.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Final

from chalicelib.domain.checks import LINKS
from chalicelib.domain.exposures import require_valid
from chalicelib.domain.fields import FRIEND_ID, contact_fields, identities_of, names_taken
from chalicelib.domain.friend_limits import FriendLimits
from chalicelib.domain.model import (
    Check,
    Contact,
    DamagedRow,
    Exposure,
    Friend,
    FriendPage,
    FriendRecord,
    Friendship,
    FriendshipStatus,
    Identity,
    Phase,
    Platform,
    Queue,
    Relationship,
)
from chalicelib.domain.ownership import friend_not_found
from chalicelib.domain.timestamps import moment_of, timestamp
from chalicelib.gateways.damage import EXPOSURE_PREFIX, read_row, sound_in
from chalicelib.gateways.friend_counts import count_up, require_room
from chalicelib.gateways.table import ConditionFailed, Item, Table, to_item
from chalicelib.ports import StaleVersion

FRIENDS_INDEX: Final = "friends"
AGENT_INDEX: Final = "by_agent"
PROFILE: Final = "PROFILE"
ALL_FRIENDS: Final = "FRIENDS"
ALL_EXPOSURES: Final = "EXPOSURES"
ALL_CLAIMS: Final = "CLAIMS"
CLAIM: Final = "CLAIM"
_AGENT_PREFIX: Final = "AGENT#"
_IS_OURS_OR_ABSENT: Final = "attribute_not_exists(pk) OR uid = :uid"
_UNFINISHED_PREFIX: Final = "unfinished_"


class DynamoFriendStore:
    """The FriendStore of ports.py."""

    def __init__(self, table: Table) -> None:
        """Keep the table; nothing is called yet."""
        self._table = table

    def load(self, friend_id: str) -> FriendRecord | None:
        """See FriendStore."""
        items = self._table.query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": friend_pk(friend_id)}),
            ConsistentRead=True,
        )
        profile = next((item for item in items if item["sk"] == PROFILE), None)
        if profile is None:
            return None
        friend, queue = read_row(to_friend, profile), read_row(to_queue, profile)
        ours = [item for item in items if item.get("uid") == friend.uid]
        agents = (each for each in ours if each["sk"].startswith(_AGENT_PREFIX))
        # One whose uid is no text may be ours, and is damaged.
        exposed = (each for each in items if _may_be_of(each.get("uid"), friend))
        damaged: list[DamagedRow] = []
        exposures = tuple(exposures_in(exposed, damaged))
        friendships = tuple(read_row(to_friendship, each) for each in agents)
        return FriendRecord(friend, friendships, queue, exposures, tuple(damaged))

    def list_page(self, *, limit: int, after: str | None) -> FriendPage:
        """See FriendStore."""
        start = {} if after is None else {"ExclusiveStartKey": to_item(_list_key(after))}
        items = self._table.query(
            most=limit + 1,
            IndexName=FRIENDS_INDEX,
            KeyConditionExpression="list_pk = :all",
            ExpressionAttributeValues=to_item({":all": ALL_FRIENDS}),
            **start,
        )
        listed = items[:limit]
        after_it = str(listed[-1]["list_sk"]) if len(items) > limit else None
        return FriendPage(tuple(sound_in(to_friend, listed)), after_it)

    def find_owner(self, identity: Identity) -> str | None:
        """See FriendStore."""
        claim = self._table.get(identity_pk(identity), CLAIM)
        return None if claim is None else str(claim["friend_id"])

    def relationships_of(self, agent_id: str) -> list[Relationship]:
        """See FriendStore."""
        items = self._table.query(
            IndexName=AGENT_INDEX,
            KeyConditionExpression="agent_pk = :agent",
            ExpressionAttributeValues=to_item({":agent": f"{_AGENT_PREFIX}{agent_id}"}),
        )
        return [
            Relationship(each["agent_sk"], each["uid"], FriendshipStatus(each["status"]))
            for each in items
        ]

    def load_friends(self, friend_ids: Sequence[str]) -> list[Friend]:
        """See FriendStore."""
        rows = self._table.get_many([(friend_pk(each), PROFILE) for each in friend_ids])
        return list(sound_in(to_friend, rows))

    def create(
        self, friend: Friend, friendship: Friendship | None, limits: FriendLimits | None = None
    ) -> None:
        """See FriendStore."""
        identities = identities_of(friend.contact)
        actions = [self._table.put_new_action(_friend_item(friend))]
        actions += [self._claim(friend, each) for each in identities]
        named = len(actions)
        actions += count_up(self._table, friend, limits)
        counted = len(actions)
        if friendship is not None:
            actions.append(self._table.put_action(_friendship_item(friend, friendship)))
        obstacles = self._table.transact(actions)
        if not obstacles or (obstacles[0] or {}).get("uid") == friend.uid:
            # The row is written with all that belongs to it, now or by a try before this one.
            return
        names = ["id", *(each.platform.field for each in identities)]
        _require_free(names, obstacles)
        require_room(friend, limits, obstacles[named:counted])

    def update_contact(self, before: Friend, after: Friend) -> None:
        """See FriendStore."""
        old, new = set(identities_of(before.contact)), set(identities_of(after.contact))
        claimed, dropped = sorted(new - old, key=identity_pk), sorted(old - new, key=identity_pk)
        row = self._update_row(before, _contact_attributes(after))
        claims = [self._claim(after, each) for each in claimed]
        drops = [self._drop_claim(before, each) for each in dropped]
        found = self._table.transact([row, *claims, *drops])
        if found and not _is_any(found[: 1 + len(claims)]):
            # Only claims that are others' by now are in the way: those are left alone.
            drops = [
                drop
                for drop, item in zip(drops, found[1 + len(claims) :], strict=True)
                if item is None
            ]
            found = self._table.transact([row, *claims, *drops])
        if not found:
            return
        if found[0] is not None:
            if _says(found[0], after):
                return
            raise StaleVersion
        _require_free([each.platform.field for each in claimed], found[1:])
        raise StaleVersion

    def mark(self, friend: Friend, phase: Phase) -> Friend:
        """See FriendStore."""
        mark = self._table.update_action(
            friend_pk(friend.id),
            PROFILE,
            when="uid = :uid AND phase <> :deleting",
            values={":uid": friend.uid, ":deleting": Phase.DELETING, ":one": 1},
            sets={"phase": phase},
            also="version = version + :one",
        )
        try:
            return to_friend(self._table.update(mark))
        except ConditionFailed as error:
            raise friend_not_found() from error

    def claim_identities(self, friend: Friend) -> None:
        """See FriendStore."""
        identities = identities_of(friend.contact)
        is_there = self._table.check_action(
            friend_pk(friend.id),
            PROFILE,
            when="uid = :uid AND version = :version",
            values={":uid": friend.uid, ":version": friend.version},
        )
        claims = [self._claim(friend, each) for each in identities]
        found = self._table.transact([is_there, *claims])
        obstacles, taken = found, found[1:]
        if found and found[0] is None:
            # One that is another's by now must not cost the friend the others.
            free = [each for each, item in zip(claims, taken, strict=True) if item is None]
            obstacles = self._table.transact([is_there, *free]) if free else []
        if obstacles:
            raise StaleVersion
        _require_free([each.platform.field for each in identities], taken)

    def put_friendship(self, friend: Friend, friendship: Friendship) -> None:
        """See FriendStore."""
        put = self._table.put_action(_friendship_item(friend, friendship))
        self._transact_at_version(friend, put)

    def delete_friendship(self, friend: Friend, agent_id: str) -> None:
        """See FriendStore."""
        drop = self._table.delete_action(
            friend_pk(friend.id),
            f"{_AGENT_PREFIX}{agent_id}",
            when=_IS_OURS_OR_ABSENT,
            values={":uid": friend.uid},
        )
        self._transact_at_version(friend, drop)

    def _transact_at_version(self, friend: Friend, action: Item) -> None:
        if self._table.transact([self._update_row(friend, {}), action]):
            raise StaleVersion

    def _claim(self, friend: Friend, identity: Identity) -> Item:
        """Return the action that claims a platform id, unless it is another's."""
        return self._table.put_action(
            _claim_item(friend, identity), when=_IS_OURS_OR_ABSENT, values={":uid": friend.uid}
        )

    def _drop_claim(self, friend: Friend, identity: Identity) -> Item:
        """Return the action that gives a platform id up, unless it is another's."""
        return self._table.delete_action(
            identity_pk(identity), CLAIM, when=_IS_OURS_OR_ABSENT, values={":uid": friend.uid}
        )

    def _update_row(self, friend: Friend, attributes: Item) -> Item:
        """Return the action that moves the friend's row from this version to the next."""
        return self._table.update_action(
            friend_pk(friend.id),
            PROFILE,
            when="uid = :uid AND version = :version",
            values={":uid": friend.uid, ":version": friend.version, ":one": 1},
            sets=attributes,
            also="version = version + :one",
        )


def _require_free(names: Sequence[str], obstacles: Sequence[Item | None]) -> None:
    """Raise Conflict for the names that others hold."""
    held = zip(names, obstacles, strict=False)
    if taken := [name for name, item in held if item is not None]:
        raise names_taken(taken)


def _is_any(obstacles: Sequence[Item | None]) -> bool:
    return any(each is not None for each in obstacles)


def _says(item: Item, after: Friend) -> bool:
    """Tell whether the row says all of this: a repeat after a lost answer finds its own write."""
    wanted = {"uid": after.uid, **_contact_attributes(after)}
    return all(name in item and item[name] == value for name, value in wanted.items())


def friend_pk(friend_id: str) -> str:
    """Return the partition of everything about one friend but the operations."""
    return f"FRIEND#{friend_id}"


def identity_pk(identity: Identity) -> str:
    """Return the partition of the claim of a platform id."""
    return f"IDENTITY#{identity.platform}#{identity.key}"


def _list_key(friend_id: str) -> Item:
    return {
        "pk": friend_pk(friend_id),
        "sk": PROFILE,
        "list_pk": ALL_FRIENDS,
        "list_sk": friend_id,
    }


def _contact_attributes(friend: Friend) -> Item:
    return {**contact_fields(friend.contact), "updated_at": friend.updated_at}


def _friend_item(friend: Friend) -> Item:
    return {
        **_list_key(friend.id),
        **_contact_attributes(friend),
        "id": friend.id,
        "uid": friend.uid,
        "version": friend.version,
        "phase": friend.phase,
        "cluster": friend.cluster,
        "tier": friend.tier,
        "created_at": friend.created_at,
        "request": friend.request,
        "registered_by": friend.registered_by,
        "accepted": 0,
        "finished": 0,
    }


def _claim_item(friend: Friend, identity: Identity) -> Item:
    return {
        "pk": identity_pk(identity),
        "sk": CLAIM,
        "list_pk": ALL_CLAIMS,
        "list_sk": f"{friend.id}#{identity_pk(identity)}",
        "friend_id": friend.id,
        "uid": friend.uid,
    }


def _friendship_item(friend: Friend, friendship: Friendship) -> Item:
    return {
        "pk": friend_pk(friend.id),
        "sk": f"{_AGENT_PREFIX}{friendship.agent_id}",
        "agent_pk": f"{_AGENT_PREFIX}{friendship.agent_id}",
        "agent_sk": friend.id,
        "uid": friend.uid,
        "status": friendship.status,
        "created_at": friendship.created_at,
    }


def to_friend(item: Item) -> Friend:
    """Return the friend of a row. Raises what damage.DAMAGE names."""
    friend = _to_friend(item)
    contact = friend.contact
    ids = [contact.discord_id, contact.signal, contact.whatsapp, friend.registered_by]
    texts = [friend.uid, friend.cluster, friend.tier, friend.updated_at, contact.display_name]
    # What is no text cannot be joined: a pass asks that of ten thousand rows.
    "".join([*texts, *(each for each in ids if each is not None)])
    moment_of(friend.created_at)
    if item["pk"] != friend_pk(friend.id) or not FRIEND_ID.fullmatch(friend.id):
        msg = "No request could have recorded this friend."
        raise ValueError(msg)
    return friend


def _to_friend(item: Item) -> Friend:
    channel = item["preferred_channel"]
    return Friend(
        id=item["id"],
        uid=item["uid"],
        version=int(item["version"]),
        phase=Phase(item["phase"]),
        cluster=item["cluster"],
        tier=item["tier"],
        contact=Contact(
            display_name=item["display_name"],
            discord_id=item["discord_id"],
            signal=item["signal"],
            whatsapp=item["whatsapp"],
            preferred_channel=None if channel is None else Platform(channel),
        ),
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        request=item["request"],
        # Rows from before registrations were counted do not say.
        registered_by=item.get("registered_by"),
    )


def to_queue(item: Item) -> Queue:
    """Return the line of operations that the friend's row keeps."""
    return Queue(
        accepted=int(item["accepted"]),
        finished=int(item["finished"]),
        ran_at=item.get("ran_at"),
        lease_owner=item.get("lease_owner"),
        lease_until=int(item.get("lease_until", 0)),
        dispatched_at=item.get("dispatched_at"),
        unfinished={
            int(name.removeprefix(_UNFINISHED_PREFIX)): timestamp(moment_of(item[name]))
            for name in item
            if name.startswith(_UNFINISHED_PREFIX)
        },
    )


def unfinished_field(sequence: int) -> str:
    """Return where the friend's row has the date of an operation until that is over.

    An attribute of its own: what takes it away needs not know whether it was there.
    """
    return f"{_UNFINISHED_PREFIX}{sequence}"


def exposure_item(exposure: Exposure) -> Item:
    """Return the row of an exposure that was not checked yet."""
    fields = asdict(exposure)
    return {
        "pk": friend_pk(exposure.friend_id),
        "sk": f"{EXPOSURE_PREFIX}{exposure.name}",
        "list_pk": ALL_EXPOSURES,
        "list_sk": f"{exposure.friend_id}#{exposure.name}",
        **{name: value for name, value in fields.items() if not name.startswith("check")},
    }


def checks_item(exposure: Exposure) -> Item:
    """Return the attributes that say what was seen of an exposure: of links in order, nothing."""
    faults = {each.name: each.message for each in exposure.checks if not each.ok}
    return {"checked_at": exposure.checked_at, "faults": faults}


def _checks_in(item: Item) -> tuple[Check, ...]:
    if item.get("checked_at") is None:
        return ()
    moment_of(item["checked_at"])
    faults = item["faults"]
    return tuple(Check(name, name not in faults, faults.get(name)) for name in LINKS)


def exposures_in(
    items: Iterable[Item], damaged: list[DamagedRow] | None = None
) -> Iterator[Exposure]:
    """Yield the exposures among the items; damaged rows are left out, and added to the list."""
    rows = (each for each in items if each["sk"].startswith(EXPOSURE_PREFIX))
    return sound_in(_to_exposure, rows, damaged)


def _may_be_of(uid: object, friend: Friend) -> bool:
    return uid == friend.uid or not isinstance(uid, str)


def _to_exposure(item: Item) -> Exposure:
    exposure = Exposure(
        name=item["name"],
        friend_id=item["friend_id"],
        uid=item["uid"],
        hostname=item["hostname"],
        service=item["service"],
        port=int(item["port"]),
        domain=item["domain"],
        created_at=item["created_at"],
        record_id=item["record_id"],
        checks=_checks_in(item),
        checked_at=item.get("checked_at"),
    )
    require_valid(exposure)
    key = (friend_pk(exposure.friend_id), f"{EXPOSURE_PREFIX}{exposure.name}")
    if (item["pk"], item["sk"]) != key:
        msg = "The exposure is not where it belongs."
        raise ValueError(msg)
    return exposure


def to_friendship(item: Item) -> Friendship:
    """Return the friendship of a row."""
    return Friendship(
        agent_id=item["sk"].removeprefix(_AGENT_PREFIX),
        friend_id=item["agent_sk"],
        status=FriendshipStatus(item["status"]),
        created_at=item["created_at"],
    )
