"""How one accepted operation is executed, by whoever holds the friend's lease."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import ApiError, OutOfTime, Refused
from chalicelib.domain.kinds import ref_of
from chalicelib.domain.model import Friend, JsonObject
from chalicelib.domain.operations import Operation, OperationStatus, OperationType
from chalicelib.domain.timestamps import timestamp
from chalicelib.ports import Cluster, Clusters, OperationStore
from chalicelib.services.applying import (
    ATTEMPTS,
    LONGEST_SECONDS,
    PASSING,
    Found,
    Observed,
    Sending,
    answers,
    build_failure,
    observe,
)
from chalicelib.services.deleting import delete_target, pin_target
from chalicelib.services.leases import Term, new_term

_RENEW_BELOW_SECONDS: Final = 30
# The lease outlasts the last call that is made under it, by this much.
_SLACK_SECONDS: Final = 3
# Servers date an apply in whole seconds, each by its own clock.
_RECENTLY: Final = timedelta(seconds=5)


class OutOfTurn(Exception):
    """This invocation's time is over, and the work is not: a fresh one has to go on."""


@dataclass
class Turn:
    """A runner's turn: the friend's lease, and what is left of the invocation's time.

    deadline is the invocation's, and enough_seconds what must be left of it to begin something.
    ran_at is when the friend's last operation was applied.
    """

    store: OperationStore
    friend: Friend
    term: Term
    now: Callable[[], datetime]
    deadline: Deadline
    enough_seconds: float
    ran_at: str | None

    @property
    def owner(self) -> str:
        """Whose lease it is."""
        return self.term.owner

    @property
    def has_time(self) -> bool:
        """Whether there is time to begin something."""
        return self.deadline.remaining_seconds >= self.enough_seconds

    @property
    def looks_closely(self) -> bool:
        """Whether the last operation is so recent that its changes could be taken for ours."""
        return self.ran_at is not None and self.ran_at > timestamp(self.now() - _RECENTLY)

    def extend(self) -> None:
        """Have the lease last on, if it is running short. Raises LeaseLost."""
        if self.term.ends.remaining_seconds < _RENEW_BELOW_SECONDS:
            renewed = new_term(self.owner, self.now)
            self.store.renew(self.friend, renewed.lease)
            self.term = renewed

    def call_deadline(self) -> Deadline:
        """Return the time by which a call that is made now has to be over."""
        return self.term.bound(self.deadline, slack_seconds=_SLACK_SECONDS)


@dataclass(frozen=True)
class Executed:
    """An operation as far as it went, and why the cluster kept it from going on, if that did.

    has_sent tells whether anything was sent that may change the cluster.
    """

    operation: Operation
    error: ApiError | None = None
    has_sent: bool = True

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to send."""
        return self.operation.status.is_final or self.operation.is_watched


@dataclass(frozen=True)
class Executor:
    """Sends operations' manifests to the cluster, and judges what came of it."""

    clusters: Clusters
    now: Callable[[], datetime]

    def execute(
        self,
        operation: Operation,
        turn: Turn,
        *,
        observed: Callable[[], Observed] | None = None,
        keep: Callable[[int, JsonObject], None] | None = None,
    ) -> Executed:
        """Send what has no result yet, as long as there is time. Safe to repeat.

        observed, where given, returns what the namespace holds, read a moment ago; keep is called
        with each result as soon as that is known. Raises LeaseLost.
        """
        next_cluster = partial(self._next_cluster, turn)
        try:
            if operation.type is OperationType.DELETE_OBJECT:
                return self._delete(operation, turn.friend, next_cluster)
            sending = Sending(
                turn.friend,
                operation.manifests,
                (observed or partial(_observe, turn, operation, next_cluster))(),
                next_cluster,
                keep or _nothing_kept,
                force=operation.force,
            )
            found = sending.send(operation.results)
        except PASSING as error:
            return Executed(operation, error)
        except ApiError as error:
            return Executed(self.refuse(operation, error))
        return self.judge(operation, found)

    def _delete(
        self, operation: Operation, friend: Friend, next_cluster: Callable[[], Cluster | None]
    ) -> Executed:
        """Delete the operation's target; where the cluster answers and does not, it has failed."""
        cluster = next_cluster()
        if cluster is None:
            return self.judge(operation, [None])
        try:
            target = pin_target(cluster, friend, operation)
        except PASSING as error:
            return Executed(operation, error, has_sent=False)
        try:
            return self.judge(operation, [delete_target(cluster, operation, target)])
        except OutOfTime as error:
            return Executed(operation, error)
        except PASSING as error:
            if not answers(friend, next_cluster):
                return Executed(operation, error)
            return self.judge(operation, [build_failure(ref_of(operation.manifests[0]), error)])

    def _next_cluster(self, turn: Turn) -> Cluster | None:
        if not turn.has_time:
            return None
        turn.extend()
        deadline = turn.call_deadline().within(LONGEST_SECONDS)
        return self.clusters.open(turn.friend.cluster, deadline, attempts=ATTEMPTS)

    def refuse(self, operation: Operation, error: ApiError) -> Operation:
        """Return the operation as failed for good, by this error."""
        return replace(
            operation,
            status=OperationStatus.FAILED,
            finished_at=timestamp(self.now()),
            error=error.message,
            code=error.code,
        )

    def judge(
        self, operation: Operation, found: Sequence[Found], *, dry_run: bool = False
    ) -> Executed:
        """Return how the operation stands after its manifests were sent, as far as they were."""
        results = tuple(None if isinstance(each, ApiError) else each for each in found)
        operation = replace(operation, results=results)
        if any(each is None for each in results):
            errors = (each for each in found if isinstance(each, ApiError))
            return Executed(operation, next(errors, None))
        failed = sum(each is not None and each["status"] == "failed" for each in results)
        if failed:
            msg = (
                f"{failed} of {len(results)} objects failed: results has the reason of each. "
                "Correct these and apply them again; "
                f"{'nothing was applied' if dry_run else 'whatever did not fail stands'}."
            )
            return Executed(self.refuse(operation, Refused(msg, code="objects_refused")))
        moment = timestamp(self.now())
        if operation.wait:
            return Executed(replace(operation, applied_at=moment))
        succeeded = OperationStatus.SUCCEEDED
        return Executed(replace(operation, status=succeeded, finished_at=moment))


def _observe(
    turn: Turn, operation: Operation, next_cluster: Callable[[], Cluster | None]
) -> Observed:
    cluster = next_cluster()
    if cluster is None:
        return {}
    return observe(cluster, turn.friend, operation.manifests, closely=turn.looks_closely)


def _nothing_kept(_position: int, _result: JsonObject) -> None:
    """A request writes its results once, at the end."""
