"""What clients are shown of friends and operations, as types.

mypy holds the code that builds an answer to them, and the API's description is made of them
(routes/description/typed.py): an answer cannot have a field that is not described.
"""

from typing import Annotated, Literal, NotRequired, TypedDict

from chalicelib.domain.model import FriendshipStatus, Link, Phase, Platform

Time = Annotated[str, "ISO 8601, UTC."]
JsonPatch = list[dict[str, object]]


class ErrorDetail(TypedDict):
    """One fault, its place, and where there is one, what mends it.

    path is a JSON pointer into the body, ?name, path:name, a header's name, or the <Kind>/<name> of
    an object that the cluster refuses. fix is a JSON Patch (RFC 6902) of the body.
    """

    path: str
    message: str
    fix: NotRequired[JsonPatch]


class Error(TypedDict):
    """What went wrong and what to do next; code is stable. details names every fault."""

    error: str
    code: str
    details: list[ErrorDetail]
    request_id: str


class Ok(TypedDict):
    """It is done."""

    ok: Literal[True]


class Health(Ok):
    """The API is up."""

    status: Literal["healthy"]
    timestamp: Time


class RehearsedRemoval(Ok):
    """It would be gone."""

    dry_run: Literal[True]


class Domain(TypedDict):
    """A domain that services can be exposed on."""

    name: str


class Contact(TypedDict):
    """How a friend is called and reached."""

    display_name: str
    discord_id: str | None
    signal: str | None
    whatsapp: str | None
    preferred_channel: Platform | None


class Friend(Contact):
    """A friend. phase says how far the world is from what is recorded."""

    id: str
    namespace: str
    phase: Annotated[
        Phase,
        "Whether namespace and profile are as recorded: provisioning (not made yet), ready, "
        "degraded (something that is not the API's is in the way: ask an admin), or deleting "
        "(nothing new is accepted).",
    ]
    cluster: str


class Profile(Contact):
    """What the friend's profile.json in the workspace holds."""

    id: str
    namespace: str
    created_at: Time
    updated_at: Time


class Friendship(TypedDict):
    """What one agent is to one friend."""

    agent_id: str
    friend_id: str
    status: FriendshipStatus
    created_at: Time


class ChangedFriendship(Ok, Friendship):
    """The relationship as it is now."""


class Exposure(TypedDict):
    """A service on the public web."""

    name: str
    hostname: str
    url: str
    service: str
    port: int
    domain: str
    created_at: Time


class Check(TypedDict):
    """One link from the name to a pod. message, where it is broken, says what to do."""

    check: Link
    ok: bool
    message: NotRequired[str]


class CheckedExposure(Exposure):
    """An exposure, with its checks as of checked_at, which is null before the first check."""

    checks: list[Check]
    checked_at: Time | None


class Exposed(Ok, CheckedExposure):
    """The exposure as it is now."""


class RehearsedExposure(Exposed):
    """The exposure as it would be."""

    dry_run: Literal[True]


class FriendRecord(Friend):
    """Everything that is recorded about a friend."""

    profile: Profile
    friendships: list[Friendship]
    exposures: list[Exposure]


class Pending(TypedDict):
    """What could not be done yet; reconciliation does it."""

    part: Literal["namespace", "profile"]
    error: str
    code: str


class ChangedFriend(Ok, Friend):
    """The friend as recorded now."""


class PendingFriend(ChangedFriend):
    """The friend as recorded now, and what is still to be done."""

    pending: list[Pending]
