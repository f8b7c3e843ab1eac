"""The nouns of the product, as frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

JsonObject = dict[str, Any]
"""A JSON object whose shape is somebody else's: a request body, or a Kubernetes manifest."""


class Phase(StrEnum):
    """How far the world is from what the friend's row says."""

    PROVISIONING = "provisioning"
    READY = "ready"
    DEGRADED = "degraded"
    DELETING = "deleting"


class Platform(StrEnum):
    """Where a friend can be reached."""

    DISCORD = "discord"
    SIGNAL = "signal"
    WHATSAPP = "whatsapp"

    @property
    def field(self) -> str:
        """The name of the friend's field that holds the id on this platform."""
        return "discord_id" if self is Platform.DISCORD else self.value


class FriendshipStatus(StrEnum):
    """What an agent is to a friend."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    BLOCKED = "blocked"


class Role(StrEnum):
    """What a token lets its bearer do."""

    ADMIN = "admin"
    AGENT = "agent"


@dataclass(frozen=True)
class Principal:
    """Who is calling. agent_id is set exactly when role is AGENT."""

    role: Role
    token_id: str
    agent_id: str | None = None

    @property
    def name(self) -> str:
        """The name that records and logs show."""
        return self.role.value if self.agent_id is None else f"agent:{self.agent_id}"


@dataclass(frozen=True)
class Identity:
    """A friend's id on one platform. key is its canonical form: one person has one key."""

    platform: Platform
    key: str


@dataclass(frozen=True)
class Contact:
    """What a client may write about a friend. Platform ids are kept as they were written."""

    display_name: str
    discord_id: str | None = None
    signal: str | None = None
    whatsapp: str | None = None
    preferred_channel: Platform | None = None


@dataclass(frozen=True)
class Friend:
    """One friend, as recorded.

    uid is new for every registration, so that a re-registered id inherits nothing. version grows
    by one with every change of the friend; an apply, and the lease it runs under, do not count.
    request is the idempotency record of the POST that made the row: the same request, tried again
    after a crash, recognises its own work. registered_by is the agent that sent it, or None.
    """

    id: str
    uid: str
    version: int
    phase: Phase
    cluster: str
    tier: str
    contact: Contact
    created_at: str
    updated_at: str
    request: str | None = None
    registered_by: str | None = None

    @property
    def namespace(self) -> str:
        """The name of the friend's namespace."""
        return namespace_of(self.id)


@dataclass(frozen=True)
class Friendship:
    """What one agent is to one friend. created_at is ISO 8601, UTC."""

    agent_id: str
    friend_id: str
    status: FriendshipStatus
    created_at: str


@dataclass(frozen=True)
class Relationship:
    """What an agent is to one of the friends that it knows, as an index shows it.

    uid is of the registration that it is about.
    """

    friend_id: str
    uid: str
    status: FriendshipStatus


@dataclass(frozen=True)
class Lease:
    """The sole right to work on something for a while: a friend's operations, a name, a pass.

    until is in seconds since the epoch.
    """

    owner: str
    until: int


@dataclass(frozen=True)
class Queue:
    """A friend's line of operations: sequence numbers, and who runs them now.

    ran_at is when the last one that is finished was applied, and dispatched_at when a
    read of an operation last started the queue again. unfinished has the date of acceptance of each
    operation that is not over: those up to finished are applied, and wait for their rollouts.
    Dates are ISO 8601, UTC.
    """

    accepted: int = 0
    finished: int = 0
    ran_at: str | None = None
    lease_owner: str | None = None
    lease_until: int = 0
    dispatched_at: str | None = None
    unfinished: Mapping[int, str] = field(default_factory=dict)

    @property
    def is_drained(self) -> bool:
        """Whether every accepted operation is applied or has failed."""
        return self.finished >= self.accepted

    @property
    def is_dated(self) -> bool:
        """Whether unfinished has the first one that is pending: the version before kept no date."""
        return self.is_drained or self.finished + 1 in self.unfinished

    @property
    def waiting(self) -> list[int]:
        """The operations that are applied and wait for their rollouts."""
        return [each for each in sorted(self.unfinished) if each <= self.finished]

    @property
    def unfinished_count(self) -> int:
        """How many operations are not over, waiting ones included."""
        return self.accepted - self.finished + len(self.waiting)

    def is_held(self, now: float) -> bool:
        """Whether somebody has the lease at this time."""
        return self.lease_owner is not None and self.lease_until > now


Link = Literal["record", "route", "service", "endpoints", "policy"]


@dataclass(frozen=True)
class Check:
    """One link from a name to a pod. message, where it is broken, says what to do."""

    name: Link
    ok: bool
    message: str | None = None


@dataclass(frozen=True)
class Exposure:
    """A friend's service on the public web. record_id is its DNS record's, once that is known.

    checks are the last recorded ones, of checked_at: none before the first check.
    """

    name: str
    friend_id: str
    uid: str
    hostname: str
    service: str
    port: int
    domain: str
    created_at: str
    record_id: str | None = None
    checks: tuple[Check, ...] = field(default=(), compare=False)
    checked_at: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class DamagedRow:
    """A row that no request could have written.

    Nothing is built from it, and nothing that belongs to it is deleted. friend_id is whose it is,
    as far as one can tell; exposure is the name of the exposure, where it is the row of one.
    """

    friend_id: str | None
    key: str
    exposure: str | None = None

    @property
    def message(self) -> str:
        """What is to be told of it."""
        return (
            f"The row {self.key} of the table is damaged. What belongs to it is left as it is "
            "until an admin has mended the row."
        )


@dataclass(frozen=True)
class NameClaim:
    """What says whose a name is: a host name, or an id on a platform.

    kind is "host" or "identity"; name is the host name, or the platform and the id's canonical
    form. uid is of the registration that holds it. exposure is which one holds a host name, where
    that is known; it tells no two claims apart.
    """

    kind: str
    name: str
    friend_id: str
    uid: str
    exposure: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class FriendRecord:
    """Everything recorded about one friend but the operations: one query.

    damaged are the rows of exposures that cannot be read.
    """

    friend: Friend
    friendships: tuple[Friendship, ...] = ()
    queue: Queue = field(default_factory=Queue)
    exposures: tuple[Exposure, ...] = ()
    damaged: tuple[DamagedRow, ...] = ()

    @property
    def exposed_names(self) -> frozenset[str]:
        """The names of all exposures, also of those whose rows are damaged."""
        damaged = (each.exposure for each in self.damaged if each.exposure is not None)
        return frozenset((*(each.name for each in self.exposures), *damaged))

    def friendship_of(self, agent_id: str | None) -> Friendship | None:
        """The agent's friendship, if it has one."""
        return next((each for each in self.friendships if each.agent_id == agent_id), None)

    def exposure_of(self, name: str) -> Exposure | None:
        """The exposure with this name, if there is one."""
        return next((each for each in self.exposures if each.name == name), None)


@dataclass(frozen=True)
class FriendPage:
    """Friends in the order of their ids. after is where the next page starts, or None."""

    friends: tuple[Friend, ...] = field(default_factory=tuple)
    after: str | None = None


_NAMESPACE_PREFIX: Final = "friend-"


def namespace_of(friend_id: str) -> str:
    """Return the name of a friend's namespace."""
    return f"{_NAMESPACE_PREFIX}{friend_id}"


def friend_in(namespace: str) -> str | None:
    """Return the id of the friend whose namespace has this name, or None for another's."""
    if not namespace.startswith(_NAMESPACE_PREFIX):
        return None
    return namespace.removeprefix(_NAMESPACE_PREFIX)
