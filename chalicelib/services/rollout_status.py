"""?wait=ready: whether what an operation has applied runs by now, or why it does not.

No function waits for a rollout. A read of the operation checks it, at most every two seconds for
all readers together, and each reconcile run checks the others. The first check that finds the end
records it.

    read ──▶ claim the check ──▶ look at the cluster ──▶ still on its way: note what is seen
               │                   │                     ready, failed, too late: the end
               └─ done just now    └─ cannot be read
                  by another: the row says how it stands
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from chalicelib.domain import kinds
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import ApiError
from chalicelib.domain.kinds import Kind, ObjectRef
from chalicelib.domain.model import Friend, JsonObject
from chalicelib.domain.operations import Operation, OperationStatus
from chalicelib.domain.rollouts import READY, Observation, Readiness, Verdict, judge
from chalicelib.domain.summaries import well_formed
from chalicelib.domain.timestamps import timestamp
from chalicelib.ports import Clusters, OperationStore
from chalicelib.services.concurrency import side_by_side

_CHECKED_EVERY: Final = timedelta(seconds=2)
# A fault that lasts so long will stay: an image that cannot be pulled, a crash loop.
_PATIENCE: Final = timedelta(seconds=10)
_LONGEST_WAIT: Final = timedelta(minutes=15)
# A read of an operation gets an answer in time, even if the cluster hangs.
_LOOK_SECONDS: Final = 8.0
_LOOKED_AT: Final = (kinds.DEPLOYMENT, kinds.JOB, kinds.POD, kinds.EVENT)
# The others have no rollout.
_ROLLED_OUT: Final = {kind.name: kind for kind in (kinds.DEPLOYMENT, kinds.JOB)}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RolloutStatus:
    """Tells how far the rollouts of waiting operations are."""

    store: OperationStore
    clusters: Clusters
    now: Callable[[], datetime]

    def check(
        self, friend: Friend, waiting: Sequence[Operation], deadline: Deadline
    ) -> list[Operation]:
        """Return how a friend's waiting operations stand, checked now or in the last two seconds.

        One look at the cluster serves all. Safe to repeat, and in parallel. Raises what the
        store raises.
        """
        claimed = {each.id: each for each in map(self._claim, waiting) if each is not None}
        if not claimed:
            return list(waiting)
        observed = self._observe(friend, deadline)
        checked = {each.id: self._check(friend, each, observed) for each in claimed.values()}
        return [checked.get(each.id, each) for each in waiting]

    def _claim(self, operation: Operation) -> Operation | None:
        moment = self.now()
        before = timestamp(moment - _CHECKED_EVERY)
        if operation.judged_at is not None and operation.judged_at > before:
            return None
        return self.store.claim_check(operation, timestamp(moment), before)

    def _observe(self, friend: Friend, deadline: Deadline) -> Observation | None:
        """Return what the namespace shows, or None while the cluster cannot be read."""
        try:
            cluster = self.clusters.open(friend.cluster, deadline.within(_LOOK_SECONDS))
            reads = [partial(cluster.list_all, kind, friend.namespace) for kind in _LOOKED_AT]
            deployments, jobs, pods, events = side_by_side(reads)
        except ApiError as error:
            _log.warning("a rollout could not be looked at", extra={"code": error.code})
            return None
        return Observation(deployments=deployments, jobs=jobs, pods=pods, events=events)

    def _check(self, friend: Friend, before: Operation, observed: Observation | None) -> Operation:
        after = self._judge(before, observed)
        if after == before or self.store.record_check(friend, after):
            return after
        # Another check was first to record its end.
        return self.store.find(friend, before.id) or after

    def _judge(self, operation: Operation, observed: Observation | None) -> Operation:
        if operation.is_lost:
            # Its row is damaged: that is its end, and now it is written down.
            return replace(operation, finished_at=timestamp(self.now()))
        verdicts = [] if observed is None else _verdicts_on(operation, observed)
        if verdicts:
            operation = self._note(operation, verdicts)
            if all(each.readiness is Readiness.READY for each in verdicts):
                return self._end(operation, OperationStatus.SUCCEEDED)
            if failed := self._failed(operation, verdicts):
                message = failed.message or "An object does not become ready."
                return self._end(operation, OperationStatus.FAILED, message, failed.reason)
        if self.now() - datetime.fromisoformat(operation.created_at) > _LONGEST_WAIT:
            msg = "Not everything became ready in 15 minutes: results says what did not."
            return self._end(operation, OperationStatus.FAILED, msg, "not_ready_in_time")
        return operation

    def _note(self, operation: Operation, verdicts: Sequence[Verdict]) -> Operation:
        """Return the operation with what was seen of each object, and since when one fails."""
        is_failing = any(each.readiness is Readiness.FAILING for each in verdicts)
        since = operation.failing_since or timestamp(self.now())
        return replace(
            operation,
            results=tuple(map(_with_verdict, operation.results, verdicts)),
            failing_since=since if is_failing else None,
        )

    def _failed(self, operation: Operation, verdicts: Sequence[Verdict]) -> Verdict | None:
        """Return the verdict that fails the operation; a failing rollout may recover first."""
        since = operation.failing_since
        is_over = since is not None and self.now() - datetime.fromisoformat(since) >= _PATIENCE
        final = [each for each in verdicts if each.readiness is Readiness.FAILED]
        final += [each for each in verdicts if is_over and each.readiness is Readiness.FAILING]
        return next(iter(final), None)

    def _end(
        self,
        operation: Operation,
        status: OperationStatus,
        error: str | None = None,
        code: str | None = None,
    ) -> Operation:
        moment = timestamp(self.now())
        return replace(operation, status=status, finished_at=moment, error=error, code=code)


def _verdicts_on(operation: Operation, observed: Observation) -> list[Verdict]:
    """Return the verdict on each result; none where the cluster's objects make no sense."""
    try:
        with well_formed():
            return [_verdict_on(each or {}, observed) for each in operation.results]
    except ApiError as error:
        _log.warning("a rollout could not be judged", extra={"code": error.code})
        return []


def _verdict_on(result: JsonObject, observed: Observation) -> Verdict:
    """Return the verdict on what this operation has applied, and not on what came after it."""
    kind: Kind | None = _ROLLED_OUT.get(result["kind"])
    if kind is None or result["status"] != "applied":
        return READY
    if kind == kinds.JOB and result.get("ready"):
        # It was seen complete, and may be gone soon after that.
        return READY
    ref = ObjectRef(kind, result["name"])
    applied = result.get("generation")
    if kind == kinds.DEPLOYMENT and applied is not None:
        found = [each for each in observed.deployments if each["metadata"]["name"] == ref.name]
        if any(each["metadata"].get("generation", 0) > applied for each in found):
            msg = "The Deployment was changed again before this rollout came to its end."
            return Verdict(Readiness.FAILED, "superseded", msg)
    return judge(ref, observed)


def _with_verdict(result: JsonObject | None, verdict: Verdict) -> JsonObject:
    shown = {**(result or {}), "ready": verdict.readiness is Readiness.READY}
    for gone in ("reason", "message"):
        shown.pop(gone, None)
    if verdict.reason is not None:
        shown |= {"reason": verdict.reason, "message": verdict.message}
    return shown
