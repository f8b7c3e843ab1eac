"""run_operation: drains a friend's queue of operations. It never sleeps.

Events come twice, late, out of order or never; the friend's row alone says what is to be done.

    claim ──▶ start ──▶ execute ──▶ finish ──▶ (the next one)
      │                    ├─ no time: release, a fresh invocation goes on
      │                    ├─ the cluster is away: the queue waits until the lease has expired, and
      │                    │  a read or a reconcile run starts it again
      │                    └─ a bug, or a runner that was killed: the third time it fails for good,
      │                       so that it blocks nobody. From then on its event fails whenever it is
      │                       delivered, so that it becomes a dead letter
      └─ held by another: done. The holder takes what was accepted meanwhile, before it releases

An operation that waits for its rollouts is no longer queued: see rollout_status.
"""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import ApiError, NotFound, OutOfTime, UpstreamFailed
from chalicelib.domain.model import Friend, JsonObject, Phase
from chalicelib.domain.operations import Operation, OperationType, operation_not_found
from chalicelib.domain.ownership import friend_deleting, namespace_terminating
from chalicelib.domain.timestamps import timestamp
from chalicelib.ports import Claim, Dispatcher, LeaseLost, OperationStore
from chalicelib.services.execution import Executor, OutOfTurn, Turn
from chalicelib.services.leases import Term, new_term
from chalicelib.services.teardown import Teardown, Terminating

# What must be left of an invocation to begin something: a batch, and recording how it went.
_ENOUGH_SECONDS: Final = 20.0
_MOST_ATTEMPTS: Final = 3

_log = logging.getLogger(__name__)


class Interrupted(Exception):
    """The event has to be delivered again, or become a dead letter. code says why."""


class LineWaits(Exception):
    """The cluster is away, or a namespace is terminating: the queue cannot go on now."""


@dataclass(frozen=True)
class Worker:
    """What the run_operation function does with an event that has passed validation."""

    store: OperationStore
    dispatcher: Dispatcher
    executor: Executor
    teardown: Teardown
    now: Callable[[], datetime]

    def run(self, friend_id: str, identifier: str, deadline: Deadline) -> Operation:
        """Run what is pending of the friend's, and return how the named operation stands.

        Safe to repeat, concurrently too. Raises NotFound when the friend or the operation is
        gone, and Interrupted when the event has to be delivered again, or the named operation
        has failed for good.
        """
        if deadline.remaining_seconds < 2 * _ENOUGH_SECONDS:
            # Handing on from here would go on for ever.
            raise Interrupted("timeout_too_short")
        try:
            return self._run(friend_id, identifier, deadline)
        except NotFound:
            raise
        except ApiError as error:
            raise Interrupted(error.code) from error

    def _run(self, friend_id: str, identifier: str, deadline: Deadline) -> Operation:
        term = new_term(uuid.uuid4().hex, self.now)
        try:
            claim = self.store.claim(friend_id, term.lease, self.now().timestamp())
        except NotFound:
            # What a repeated event finds when the friend's deletion is done.
            if deletion := self.store.find_deletion(friend_id, identifier):
                return deletion
            raise
        try:
            if claim.queue.lease_owner == term.owner:
                self._drain(claim, self._turn(claim, term, deadline), identifier)
        except OutOfTurn:
            self.dispatcher.dispatch(friend_id, identifier)
        except LineWaits as reason:
            _log.warning("a line waits", extra={"operation": identifier, "code": str(reason)})
        except LeaseLost:
            _log.warning("the lease was taken over", extra={"operation": identifier})
        operation = self._find(claim.friend, identifier)
        if operation.given_up:
            raise Interrupted(operation.code)
        return operation

    def _turn(self, claim: Claim, term: Term, deadline: Deadline) -> Turn:
        return Turn(
            self.store,
            claim.friend,
            term,
            self.now,
            deadline,
            _ENOUGH_SECONDS,
            claim.queue.ran_at,
        )

    def _drain(self, claim: Claim, turn: Turn, identifier: str) -> None:
        """Run what is pending, in order. Raises OutOfTurn, LineWaits and LeaseLost."""
        friend, sequence = claim.friend, claim.queue.finished
        more = True
        while more:
            sequence += 1
            turn.extend()
            operation = self.store.start(friend, sequence, turn.owner)
            if operation is not None and operation.type is OperationType.DELETE:
                self._delete(operation, turn)
                break
            if operation is not None:
                operation = self._settle(operation, turn)
                turn.ran_at = operation.applied_at or operation.finished_at
                if operation.given_up and operation.id != identifier:
                    # Its own event may be over. Recorded only when this one is sure to come: what
                    # is recorded as over, nobody starts again.
                    self.dispatcher.dispatch(friend.id, operation.id)
            more = self.store.finish(friend, sequence, operation, turn.owner, keep=True)

    def _delete(self, operation: Operation, turn: Turn) -> None:
        """Run the friend's last operation. It never fails for good: the friend is to be gone."""
        try:
            self.teardown.run(operation, turn)
        except OutOfTurn:
            self.store.release(turn.friend, turn.owner)
            raise
        except Terminating as error:
            self.store.release(turn.friend, turn.owner)
            raise LineWaits(namespace_terminating().code) from error

    def _settle(self, operation: Operation, turn: Turn) -> Operation:
        """Return the operation with nothing left to send. Raises OutOfTurn and LineWaits."""
        if operation.is_lost:
            # Its row is damaged: that holds up neither those behind it nor the friend's deletion.
            return replace(operation, finished_at=timestamp(self.now()))
        if turn.friend.phase is Phase.DELETING:
            return self.executor.refuse(operation, friend_deleting())
        if operation.attempts > _MOST_ATTEMPTS:
            # Whoever began it did not come to an end: it was killed, each time.
            return self._give_up(operation, _not_survived())
        try:
            return self._execute(operation, turn)
        except (ApiError, LeaseLost, LineWaits, OutOfTurn):
            raise
        except Exception:  # noqa: BLE001 - a bug must not block the friend's line
            _log.exception("unexpected error", extra={"operation": operation.id})
        if operation.attempts >= _MOST_ATTEMPTS:
            return self._give_up(operation, _bug())
        again = self.store.start(turn.friend, operation.sequence, turn.owner)
        if again is None:
            raise LeaseLost
        return self._settle(again, turn)

    def _execute(self, operation: Operation, turn: Turn) -> Operation:
        def keep(position: int, result: JsonObject) -> None:
            self.store.checkpoint(operation, position, result, turn.owner)

        executed = self.executor.execute(operation, turn, keep=keep)
        if executed.is_complete:
            return executed.operation
        if executed.error is None or isinstance(executed.error, OutOfTime):
            self.store.release(turn.friend, turn.owner)
            raise OutOfTurn
        # The lease is left to expire: until then, no runner calls the cluster.
        attempts = int(operation.attempts > 1 or executed.has_sent)
        self.store.postpone(operation, turn.owner, attempts=attempts)
        raise LineWaits(executed.error.code) from executed.error

    def _give_up(self, operation: Operation, error: ApiError) -> Operation:
        return replace(self.executor.refuse(operation, error), given_up=True)

    def _find(self, friend: Friend, identifier: str) -> Operation:
        operation = self.store.find(friend, identifier)
        if operation is None:
            raise operation_not_found()
        return operation


def _bug() -> UpstreamFailed:
    msg = "Something went wrong inside the API. Report the operation's id to an admin."
    return UpstreamFailed(msg, code="internal_error")


def _not_survived() -> UpstreamFailed:
    msg = (
        "The API came to no end with this operation in several attempts. Apply fewer objects at "
        "once, or ask an admin to look at its logs."
    )
    return UpstreamFailed(msg, code="gave_up")
