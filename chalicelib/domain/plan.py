"""desired x observed -> changes, as a pure function: the whole of what provisioning decides.

desired    observed                        change
--------   -----------------------------   ----------
object     absent                          created
object     holds all that we desire        unchanged
object     lacks or contradicts anything   configured
namespace  another owner's, or none        refused: namespace_not_ours
namespace  on its way out                  refused: namespace_terminating
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chalicelib.domain.errors import Conflict
from chalicelib.domain.kinds import ObjectRef, ref_of
from chalicelib.domain.model import Friend, JsonObject, Phase
from chalicelib.domain.namespace import UID_LABEL

NAMESPACE_NOT_OURS: Final = "namespace_not_ours"
# A namespace takes 5 to 6 s to go away on a quiet cluster.
_TERMINATION_SECONDS: Final = 10
# A list's items lack the first two; the rest is the server's own.
_NOT_SAID: Final = frozenset({"apiVersion", "kind", "metadata", "status"})
_NOTES: Final = frozenset({"deployment.kubernetes.io/revision"})


class Result(StrEnum):
    """What becomes of one desired object; the words are kubectl's."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Change:
    """One desired object, and what has to happen to it."""

    manifest: JsonObject
    result: Result

    @property
    def ref(self) -> ObjectRef:
        """The object's address."""
        return ref_of(self.manifest)


def plan(
    desired: Sequence[JsonObject], observed: Mapping[ObjectRef, JsonObject | None]
) -> tuple[Change, ...]:
    """Return one change for each desired object, in the order given. It changes nothing."""
    return tuple(Change(each, _compare(each, observed.get(ref_of(each)))) for each in desired)


def _compare(desired: JsonObject, observed: JsonObject | None) -> Result:
    if observed is None:
        return Result.CREATED
    return Result.UNCHANGED if contains(observed, desired) else Result.CONFIGURED


def contains(observed: object, desired: object) -> bool:
    """Tell whether observed says everything that desired says.

    A mapping may hold more (the API server adds defaults, other managers add labels); a list
    may not, because one more egress rule or subject is drift.
    """
    if isinstance(desired, str):
        # Most of what is compared, and so first.
        return observed == desired
    if isinstance(desired, dict):
        if not isinstance(observed, dict):
            return False
        # No all(...): a pass compares millions of values, and a generator for each takes as long.
        for key, value in desired.items():
            if key not in observed or not contains(observed[key], value):
                return False
        return True
    if isinstance(desired, list):
        return (
            isinstance(observed, list)
            and len(observed) == len(desired)
            and all(map(contains, observed, desired))
        )
    return type(observed) is type(desired) and observed == desired


def says_the_same(before: JsonObject, after: JsonObject) -> bool:
    """Tell whether an object says after an apply what it said before.

    Status, versions and what controllers note on the object are not part of what it says.
    """
    return _said(before) == _said(after)


def _said(thing: JsonObject) -> JsonObject:
    metadata = thing["metadata"]
    annotations = metadata.get("annotations") or {}
    return {
        **{key: value for key, value in thing.items() if key not in _NOT_SAID},
        "labels": metadata.get("labels") or {},
        "annotations": {key: annotations[key] for key in annotations if key not in _NOTES},
    }


def require_ours(namespace: JsonObject | None, friend: Friend) -> None:
    """Refuse to work in a namespace that is not this friend's, or that is being deleted.

    Raises Conflict. An absent namespace is fine: there is nothing to adopt.
    """
    if namespace is None:
        return
    metadata = namespace["metadata"]
    if metadata.get("deletionTimestamp"):
        raise namespace_terminating()
    if not is_of(namespace, friend):
        msg = (
            f"The namespace {friend.namespace} exists, and its label {UID_LABEL} is missing or "
            "another registration's. Ask an admin to put the label back where it is this friend's, "
            "and else to remove it; or use another id."
        )
        raise Conflict(msg, code=NAMESPACE_NOT_OURS)


def is_of(thing: JsonObject, friend: Friend) -> bool:
    """Tell whether an object of the cluster is this registration's, by its label."""
    return bool((thing["metadata"].get("labels") or {}).get(UID_LABEL) == friend.uid)


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
