"""?wait=ready: watch what an operation has applied until it runs, or say why it does not.

Watching only reads, so it needs no lease, and two that watch the same operation do no harm.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from chalicelib.domain import kinds
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.kinds import ref_of
from chalicelib.domain.model import Friend, JsonObject
from chalicelib.domain.operations import Operation, OperationStatus
from chalicelib.domain.rollouts import READY, Observation, Readiness, Verdict, judge
from chalicelib.domain.summaries import well_formed
from chalicelib.domain.timestamps import timestamp
from chalicelib.ports import Clusters, OperationStore
from chalicelib.services.applying import PASSING
from chalicelib.services.concurrency import side_by_side
from chalicelib.services.execution import OutOfTurn

_LOOK_AGAIN_SECONDS: Final = 2.0
_ENOUGH_SECONDS: Final = 15.0
# What is wrong for so long does not mend itself: an image that cannot be pulled, a crash loop.
_PATIENCE_SECONDS: Final = 10.0
_LONGEST_WAIT: Final = timedelta(minutes=15)
_WATCHED_KINDS: Final = (kinds.DEPLOYMENT, kinds.JOB, kinds.POD, kinds.EVENT)


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Follower:
    """Follows applied operations to their end."""

    store: OperationStore
    clusters: Clusters
    now: Callable[[], datetime]
    sleep: Callable[[float], None]

    def follow(self, friend: Friend, operation: Operation, deadline: Deadline) -> None:
        """Watch until all is ready, something has failed, or 15 minutes are over.

        Raises OutOfTurn when the deadline is near, and what the cluster's reads raise.
        """
        failing_since: float | None = None
        while operation.is_watched:
            if deadline.remaining_seconds < _ENOUGH_SECONDS:
                raise OutOfTurn
            verdicts = self._look(friend, operation, deadline)
            moment = self.now().timestamp()
            if not any(each.readiness is Readiness.FAILING for each in verdicts):
                failing_since = None
            elif failing_since is None:
                failing_since = moment
            patient = failing_since is None or moment - failing_since < _PATIENCE_SECONDS
            judged = self._conclude(operation, verdicts, patient=patient)
            if judged != operation and not self.store.record(judged):
                return
            operation = judged
            if operation.is_watched:
                self.sleep(_LOOK_AGAIN_SECONDS)

    def _look(self, friend: Friend, operation: Operation, deadline: Deadline) -> list[Verdict]:
        """Return the verdicts; nothing is known while the cluster cannot be asked."""
        try:
            return self._judge(friend, operation, deadline)
        except PASSING as error:
            _log.warning("an operation could not be watched", extra={"code": error.code})
            return [Verdict(Readiness.WAITING, error.code, error.message)] * len(operation.results)

    def _judge(self, friend: Friend, operation: Operation, deadline: Deadline) -> list[Verdict]:
        cluster = self.clusters.open(friend.cluster, deadline)
        reads = [partial(cluster.list_all, kind, friend.namespace) for kind in _WATCHED_KINDS]
        deployments, jobs, pods, events = side_by_side(reads)
        observed = Observation(deployments=deployments, jobs=jobs, pods=pods, events=events)
        with well_formed():
            return [
                READY if _is_done(each, result) else _judge_one(each, result, observed)
                for each, result in zip(operation.manifests, operation.results, strict=True)
            ]

    def _conclude(
        self, operation: Operation, verdicts: Sequence[Verdict], *, patient: bool
    ) -> Operation:
        results = tuple(map(_with_verdict, operation.results, verdicts))
        operation = replace(operation, results=results)
        if all(each.readiness is Readiness.READY for each in verdicts):
            return self._over(operation, OperationStatus.SUCCEEDED)
        failed = [each for each in verdicts if each.readiness is Readiness.FAILED]
        if not patient:
            failed += [each for each in verdicts if each.readiness is Readiness.FAILING]
        if failed:
            first = failed[0]
            message = first.message or "An object does not become ready."
            return self._over(operation, OperationStatus.FAILED, message, first.reason)
        if self.now() - datetime.fromisoformat(operation.created_at) > _LONGEST_WAIT:
            msg = "Not everything became ready in 15 minutes: results says what did not."
            return self._over(operation, OperationStatus.FAILED, msg, "not_ready_in_time")
        return operation

    def _over(
        self,
        operation: Operation,
        status: OperationStatus,
        error: str | None = None,
        code: str | None = None,
    ) -> Operation:
        moment = timestamp(self.now())
        return replace(operation, status=status, finished_at=moment, error=error, code=code)


def _judge_one(manifest: JsonObject, result: JsonObject | None, observed: Observation) -> Verdict:
    """Return the verdict on what this operation has applied, and not on what came after it."""
    ref = ref_of(manifest)
    applied = (result or {}).get("generation")
    if ref.kind == kinds.DEPLOYMENT and applied is not None:
        found = [each for each in observed.deployments if each["metadata"]["name"] == ref.name]
        if any(each["metadata"].get("generation", 0) > applied for each in found):
            msg = "The Deployment was changed again before this rollout came to its end."
            return Verdict(Readiness.FAILED, "superseded", msg)
    return judge(ref, observed)


def _is_done(manifest: JsonObject, result: JsonObject | None) -> bool:
    """Tell whether it was seen complete before: a Job may be gone soon after that."""
    return manifest["kind"] == kinds.JOB.name and bool(result and result.get("ready"))


def _with_verdict(result: JsonObject | None, verdict: Verdict) -> JsonObject:
    shown = {**(result or {}), "ready": verdict.readiness is Readiness.READY}
    for gone in ("reason", "message"):
        shown.pop(gone, None)
    if verdict.reason is not None:
        shown |= {"reason": verdict.reason, "message": verdict.message}
    return shown
