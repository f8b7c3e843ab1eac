"""Whose a namespace is, and what else stands in the way of new work: the answers that say so."""

from typing import Final

from chalicelib.domain.errors import Conflict, NotFound
from chalicelib.domain.model import Friend, JsonObject, Phase
from chalicelib.domain.namespace import UID_LABEL

NAMESPACE_NOT_OURS: Final = "namespace_not_ours"
FIELD_MANAGER: Final = "friends-api"
# A namespace takes 5 to 6 s to go away on a quiet cluster.
_TERMINATION_SECONDS: Final = 10


def friend_not_found() -> NotFound:
    """Return the answer for a friend who is not there."""
    msg = "There is no friend with this id. List them with GET /api/friends."
    return NotFound(msg, code="friend_not_found")


def require_ours(namespace: JsonObject | None, friend: Friend) -> None:
    """Refuse to work in a namespace that is not this friend's, or that is being deleted.

    Raises Conflict. An absent namespace is fine: there is nothing to adopt.
    """
    if namespace is not None and namespace["metadata"].get("deletionTimestamp"):
        raise namespace_terminating()
    require_no_others(namespace, friend)


def require_no_others(namespace: JsonObject | None, friend: Friend) -> None:
    """Refuse to look into a namespace that is not this friend's. Raises Conflict."""
    if namespace is not None and not is_of(namespace, friend):
        msg = (
            f"The namespace {friend.namespace} exists, and its label {UID_LABEL} is missing or "
            "another registration's. Ask an admin to put the label back where it is this friend's, "
            "and else to remove it; or use another id."
        )
        raise Conflict(msg, code=NAMESPACE_NOT_OURS)


def is_of(thing: JsonObject, friend: Friend) -> bool:
    """Tell whether an object of the cluster is this registration's, by its label."""
    return bool((thing["metadata"].get("labels") or {}).get(UID_LABEL) == friend.uid)


def holds_fields(thing: JsonObject) -> bool:
    """Tell whether this API has applied an object of the cluster and still holds a field of it.

    A manager that has lost its last field to others is not among the object's managers any more.
    """
    ours = {"manager": FIELD_MANAGER, "operation": "Apply"}
    entries = thing["metadata"].get("managedFields") or ()
    return any(ours.items() <= entry.items() for entry in entries)


def require_staying(friend: Friend) -> None:
    """Refuse to begin anything new for a friend who is being deleted. Raises Conflict."""
    if friend.phase is Phase.DELETING:
        raise friend_deleting()


def friend_deleting() -> Conflict:
    """Return the answer to anything new for a friend who is on the way out."""
    return Conflict(
        "This friend is being deleted: nothing new can be begun for them. The id is free again "
        f"once GET /api/friends/<id> answers 404. Look again in {_TERMINATION_SECONDS} s.",
        code="friend_deleting",
        retry_after_seconds=_TERMINATION_SECONDS,
    )


def namespace_missing() -> Conflict:
    """Return the answer to work in a namespace that is not there."""
    msg = (
        "The friend's namespace is not there yet. POST /api/friends/<id>/namespace/provision "
        "makes it; then send this again."
    )
    return Conflict(msg, code="namespace_missing")


def namespace_terminating() -> Conflict:
    """Return the answer to work in a namespace that is on its way out."""
    return Conflict(
        f"The friend's namespace is still being deleted. Try again in {_TERMINATION_SECONDS} s.",
        code="namespace_terminating",
        retry_after_seconds=_TERMINATION_SECONDS,
    )
