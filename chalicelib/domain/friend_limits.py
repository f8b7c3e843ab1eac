"""How many friends one agent may register, and how many there may be in all."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from chalicelib.domain.errors import Conflict
from chalicelib.domain.model import Friend

# An agent's id has no capitals, so that none is called so.
ALL_OF_THEM: Final = "ALL"


@dataclass(frozen=True)
class FriendLimits:
    """The most friends for each agent, and for all agents and admins together."""

    per_agent: int
    in_all: int


@dataclass(frozen=True)
class FriendCount:
    """How many friends an agent has registered, or ALL_OF_THEM; changed_at is ISO 8601, UTC."""

    of: str
    friends: int
    changed_at: str


def count_friends(friends: Iterable[Friend]) -> Counter[str]:
    """Return how many friends there are: of each agent, and ALL_OF_THEM.

    Friends that an admin registered, or that were registered before this was recorded, count for
    ALL_OF_THEM only.
    """
    counted: Counter[str] = Counter()
    for friend in friends:
        counted.update(counted_under(friend))
    return counted


def counted_under(friend: Friend) -> tuple[str, ...]:
    """Return whose counts the friend is part of."""
    return (ALL_OF_THEM, *(() if friend.registered_by is None else (friend.registered_by,)))


def too_many_friends(of: str, most: int) -> Conflict:
    """Return the refusal of one friend more than there may be."""
    if of == ALL_OF_THEM:
        msg = (
            f"There are {most} friends, as many as this deployment takes; those that are being "
            "deleted count until GET /api/friends/<id> answers 404. Delete one, or ask an "
            "admin to raise FRIENDS_MOST."
        )
    else:
        msg = (
            f"This agent has registered {most} friends, as many as it may; those that are being "
            "deleted count until GET /api/friends/<id> answers 404. Delete one of them, or "
            "ask an admin to register this friend or to raise FRIENDS_PER_AGENT."
        )
    return Conflict(msg, code="too_many_friends")
