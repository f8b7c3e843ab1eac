"""How far an applied object is, and what that is told from."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chalicelib.domain.kinds import ObjectRef
from chalicelib.domain.kube_json import created_at, last_seen
from chalicelib.domain.model import JsonObject
from chalicelib.domain.refusals import Trouble, explain_refusal


class Readiness(StrEnum):
    """How far an applied object is.

    FAILING is wrong now and may mend itself: how long to have patience is the caller's decision.
    FAILED is over: nothing mends it but another apply.
    """

    READY = "ready"
    WAITING = "waiting"
    FAILING = "failing"
    FAILED = "failed"


@dataclass(frozen=True)
class Verdict:
    """How far an applied object is; unless it is ready, reason is a stable code.

    The message says what to do. It holds at most 64 characters of a value that a user chose, and
    of an upstream's text only what has a known shape, at most 300 characters of it.
    """

    readiness: Readiness
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Observation:
    """What a namespace holds now, each list as the API server gives it."""

    deployments: Sequence[JsonObject]
    jobs: Sequence[JsonObject]
    pods: Sequence[JsonObject]
    events: Sequence[JsonObject]


READY: Final = Verdict(Readiness.READY)


def verdict(readiness: Readiness, trouble: Trouble) -> Verdict:
    """Return the verdict that a trouble gives rise to."""
    return Verdict(readiness, trouble.reason, trouble.message)


def gone(ref: ObjectRef) -> Verdict:
    """Return the verdict on an object that was applied, and is not there or on its way out."""
    msg = f"The {ref.kind.name} was deleted meanwhile. Apply it again if it is still wanted."
    return Verdict(Readiness.FAILED, "missing", msg)


def find_refusal(
    owner: JsonObject, pods: Sequence[JsonObject], event: JsonObject
) -> Trouble | None:
    """Return why no more pods are made, where a refusal is the last that was heard of the owner.

    event is the newest one about what makes the pods. It is history once a pod was made after it;
    events outlive their objects, so it may also be about an earlier owner of this name.
    """
    if event.get("reason") != "FailedCreate":
        return None
    made = max(created_at(each) or "" for each in [owner, *pods])
    # To the second: some events tell fractions, and no object does.
    if last_seen(event)[:19] < made[:19]:
        return None
    return explain_refusal(str(event.get("message")))
