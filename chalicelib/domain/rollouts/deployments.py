"""Whether a Deployment runs what was applied last, and why not.

ReplicaSets are not read, because the product has no right to: the Deployment's conditions, its
pods' owners and the events name them. Only the current one's pods and events count: the older ones
are on their way out. Source of the conditions: k8s.io/kubernetes, pkg/controller/deployment.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from chalicelib.domain.kube_json import condition_of, created_at, dig, name_of, newest
from chalicelib.domain.model import JsonObject
from chalicelib.domain.refusals import IN_PLACE, Trouble, explain_refusal
from chalicelib.domain.rollouts.pods import find_crash, find_trouble, find_unready
from chalicelib.domain.rollouts.readiness import (
    READY,
    Observation,
    Readiness,
    Verdict,
    find_refusal,
    verdict,
)

_REPLICA_SET: Final = re.compile(r'(?:ReplicaSet|replica set) "([a-z0-9.-]{1,253})"')
_COUNTS: Final = ("replicas", "updatedReplicas", "availableReplicas")
_OVER: Final = frozenset({"Succeeded", "Failed"})
_NO_ROOM_FOR_BOTH: Final = (
    f" An update runs old and new pods side by side; with {IN_PLACE} it needs no room for both."
)


def judge_deployment(deployment: JsonObject, observed: Observation) -> Verdict:
    """Return how far the rollout of what was applied last is."""
    progress = condition_of(deployment, "Progressing")
    if progress.get("reason") == "ReplicaSetCreateError":
        # The controller gets no further: it does not even say that it has seen this generation.
        return verdict(Readiness.FAILING, explain_refusal(str(progress.get("message"))))
    seen = dig(deployment, "status", "observedGeneration") or 0
    if seen < deployment["metadata"]["generation"]:
        msg = "The cluster has yet to start with this. Wait."
        return Verdict(Readiness.WAITING, "not_started", msg)
    if _is_complete(deployment):
        return READY
    if dig(deployment, "spec", "paused"):
        msg = "The Deployment is paused, so nothing is rolled out. Apply it without spec.paused."
        return Verdict(Readiness.FAILING, "paused", msg)
    return _judge_rollout(deployment, observed)


def _judge_rollout(deployment: JsonObject, observed: Observation) -> Verdict:
    pods, replica_set = _find_rollout(deployment, observed.pods)
    trouble = _find_trouble(deployment, pods, replica_set, observed.events)
    if condition_of(deployment, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        return verdict(Readiness.FAILED, trouble or _explain_deadline(deployment, pods))
    if trouble is not None:
        return verdict(Readiness.FAILING, trouble)
    return verdict(Readiness.WAITING, _explain_progress(deployment, pods))


def _is_complete(deployment: JsonObject) -> bool:
    """Whether the controller calls it complete; `kubectl rollout status` waits for the same."""
    status = deployment.get("status") or {}
    return all((status.get(count) or 0) == _wanted(deployment) for count in _COUNTS)


def _wanted(deployment: JsonObject) -> int:
    replicas: int | None = dig(deployment, "spec", "replicas")
    return 1 if replicas is None else replicas


def _find_rollout(
    deployment: JsonObject, pods: Sequence[JsonObject]
) -> tuple[list[JsonObject], str | None]:
    """Return the current ReplicaSet's pods, and its name where it is known.

    Its name is in the condition, as long as there is one; else the newest pods are its.
    """
    prefix = f"{name_of(deployment)}-"
    owned = [
        (f"{prefix}{dig(pod, 'metadata', 'labels', 'pod-template-hash')}", pod) for pod in pods
    ]
    alive = [(owner, pod) for owner, pod in owned if _is_alive(pod) and _is_owned(pod, owner)]
    told = _REPLICA_SET.search(str(condition_of(deployment, "Progressing").get("message")))
    if told is not None and told[1].startswith(prefix):
        current: str | None = told[1]
    else:
        made = max(alive, key=lambda each: created_at(each[1]) or "", default=None)
        current = None if made is None else made[0]
    return [pod for owner, pod in alive if owner == current], current


def _is_alive(pod: JsonObject) -> bool:
    leaves = "deletionTimestamp" in pod["metadata"]
    return not leaves and dig(pod, "status", "phase") not in _OVER


def _is_owned(pod: JsonObject, replica_set: str) -> bool:
    owners = dig(pod, "metadata", "ownerReferences") or []
    return any((each["kind"], each["name"]) == ("ReplicaSet", replica_set) for each in owners)


def _find_trouble(
    deployment: JsonObject,
    pods: Sequence[JsonObject],
    replica_set: str | None,
    events: Sequence[JsonObject],
) -> Trouble | None:
    for pod in pods:
        if found := find_crash(pod) or find_trouble(pod, events):
            return found
    failure = condition_of(deployment, "ReplicaFailure")
    if failure.get("status") == "True":
        refusal: Trouble | None = explain_refusal(str(failure.get("message")))
    else:
        event = newest(events, "ReplicaSet", replica_set)
        refusal = find_refusal(deployment, pods, event)
    return refusal and _advise_on_room(deployment, refusal)


def _advise_on_room(deployment: JsonObject, refusal: Trouble) -> Trouble:
    total, updated = (dig(deployment, "status", count) or 0 for count in _COUNTS[:2])
    if refusal.reason != "quota_exceeded" or total <= updated:
        return refusal
    return replace(refusal, message=refusal.message + _NO_ROOM_FOR_BOTH)


def _explain_progress(deployment: JsonObject, pods: Sequence[JsonObject]) -> Trouble:
    unready = next((found for pod in pods if (found := find_unready(pod))), None)
    if unready is not None:
        return unready
    total, updated, available = (dig(deployment, "status", count) or 0 for count in _COUNTS)
    msg = (
        f"Of {_wanted(deployment)} replicas wanted, {updated} are new and {available} available; "
        f"{total - updated} old ones are left. Wait."
    )
    return Trouble("rolling_out", msg)


def _explain_deadline(deployment: JsonObject, pods: Sequence[JsonObject]) -> Trouble:
    progress = _explain_progress(deployment, pods).message.removesuffix(" Wait.")
    msg = f"The rollout made no progress within its progressDeadlineSeconds. {progress}"
    return Trouble("progress_deadline", msg)
