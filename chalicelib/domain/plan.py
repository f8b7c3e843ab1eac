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

from chalicelib.domain.kinds import ObjectRef, ref_of
from chalicelib.domain.model import JsonObject

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
