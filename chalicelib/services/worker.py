"""run_operation: drains a friend's line of operations, and follows one until it is ready.

Events come twice, late, out of order or never; the friend's row alone says what is to be done.

    claim ──▶ start ──▶ execute ──▶ finish ──▶ (the next one) ──▶ follow the event's own
      │                    ├─ no time: release, a fresh invocation goes on
      │                    └─ an upstream fails: Interrupted; Lambda repeats, the third time it is
      │                       given up, so that it blocks nobody. From then on its event fails
      │                       whenever it is delivered, so that it becomes a dead letter
      └─ held by another: wait until the lease is free or runs out
"""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import ApiError, NotFound, UpstreamFailed
from chalicelib.domain.model import Friend, JsonObject, Phase
from chalicelib.domain.operations import Operation, OperationType, operation_id, operation_not_found
from chalicelib.domain.ownership import friend_deleting
from chalicelib.domain.timestamps import timestamp
from chalicelib.ports import Claim, Dispatcher, LeaseLost, OperationStore
from chalicelib.services.execution import Executed, Executor, OutOfTurn, Turn, new_lease
from chalicelib.services.following import Follower
from chalicelib.services.handing_on import hand_on
from chalicelib.services.teardown import Teardown

# What must be left of an invocation to begin something: a batch, and recording how it went.
_ENOUGH_SECONDS: Final = 20.0
_MOST_ATTEMPTS: Final = 3
_LOOK_AGAIN_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)


class Interrupted(Exception):
    """An upstream keeps the operation from going on. code says why. Deliver the event again."""


@dataclass(frozen=True)
class Worker:
    """What the run_operation function does with an event that has passed validation."""

    store: OperationStore
    dispatcher: Dispatcher
    executor: Executor
    follower: Follower
    teardown: Teardown
    now: Callable[[], datetime]
    sleep: Callable[[float], None]

    def run(self, friend_id: str, identifier: str, deadline: Deadline) -> Operation:
        """Run what is pending of the friend's, and return how the named operation stands.

        Safe to repeat, concurrently too. Raises NotFound when the friend or the operation is
        gone, and Interrupted when the event has to be delivered again, or the named operation was
        given up.
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
        owner = uuid.uuid4().hex
        try:
            claim = self._claim(friend_id, identifier, owner, deadline)
        except NotFound:
            # What a repeated event finds when the friend's deletion is done.
            if deletion := self.store.find_deletion(friend_id, identifier):
                return deletion
            raise
        try:
            if claim.queue.lease_owner == owner:
                self._drain(claim, self._turn(claim, owner, deadline), identifier)
            operation = self._find(claim.friend, identifier)
            if operation.is_lost:
                # It was being watched: nothing else looks at what is not in the line any more.
                self.store.record(self._close(operation))
            elif operation.is_watched:
                self.follower.follow(claim.friend, operation, deadline)
        except OutOfTurn:
            self.dispatcher.dispatch(friend_id, identifier)
        except LeaseLost:
            _log.warning("the lease was taken over", extra={"operation": identifier})
        operation = self._find(claim.friend, identifier)
        if operation.given_up:
            raise Interrupted(operation.code)
        return operation

    def _turn(self, claim: Claim, owner: str, deadline: Deadline) -> Turn:
        """Return the turn; the claim took a while, so the lease in hand is not quite whole."""
        held_seconds = claim.queue.lease_until - self.now().timestamp()
        return Turn(
            self.store,
            claim.friend,
            owner,
            self.now,
            deadline,
            _ENOUGH_SECONDS,
            claim.queue.ran_at,
            Deadline.after(held_seconds),
        )

    def _claim(self, friend_id: str, identifier: str, owner: str, deadline: Deadline) -> Claim:
        """Take the lease; wait while the one that has it has not come to this operation yet.

        A lease that is renewed, or taken over, is another invocation's: it runs all that is
        pending, this operation too.
        """
        held = None
        while True:
            now = self.now().timestamp()
            claim = self.store.claim(friend_id, new_lease(owner, self.now), now)
            seen = (claim.queue.lease_owner, claim.queue.lease_until)
            if seen[0] == owner or not _is_ahead(claim, identifier):
                return claim
            if held is not None and seen != held:
                return claim
            if deadline.remaining_seconds < _ENOUGH_SECONDS:
                raise Interrupted("lease_held")
            held = seen
            self.sleep(_LOOK_AGAIN_SECONDS)

    def _drain(self, claim: Claim, turn: Turn, identifier: str) -> None:
        """Run what is pending, in order. Raises OutOfTurn, LeaseLost and Interrupted."""
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
            if operation is not None and operation.is_watched and operation.id != identifier:
                # The event that it came with may be lost; two that watch it do no harm.
                hand_on(self.dispatcher, operation)

    def _delete(self, operation: Operation, turn: Turn) -> None:
        """Run the friend's last operation. It is never given up: the friend is to be gone."""
        try:
            self.teardown.run(operation, turn)
        except OutOfTurn:
            self.store.release(turn.friend, turn.owner)
            raise

    def _settle(self, operation: Operation, turn: Turn) -> Operation:
        """Return the operation with nothing left to send. Raises OutOfTurn and Interrupted."""

        def keep(position: int, result: JsonObject) -> None:
            self.store.checkpoint(operation, position, result, turn.owner)

        if operation.is_lost:
            # Its row is damaged: that holds up neither those behind it nor the friend's deletion.
            return self._close(operation)
        if turn.friend.phase is Phase.DELETING:
            return self.executor.refuse(operation, friend_deleting())
        if operation.attempts > _MOST_ATTEMPTS:
            # Whoever began it did not come to an end: it was killed, each time.
            return self._give_up(operation, _not_survived())
        executed = self._try(operation, turn, keep)
        if executed.is_complete:
            return executed.operation
        if executed.error is None:
            self.store.release(turn.friend, turn.owner)
            raise OutOfTurn
        if operation.attempts < _MOST_ATTEMPTS:
            # The lease is left to run out: until then, nobody troubles the upstream again.
            raise Interrupted(executed.error.code) from executed.error
        return self._give_up(executed.operation, executed.error)

    def _try(
        self, operation: Operation, turn: Turn, keep: Callable[[int, JsonObject], None]
    ) -> Executed:
        try:
            return self.executor.execute(operation, turn, keep=keep)
        except LeaseLost:
            raise
        except ApiError as error:
            return Executed(operation, error)
        except Exception:  # noqa: BLE001 - a bug, too, must not block the friend's line for ever
            _log.exception("unexpected error", extra={"operation": operation.id})
            msg = "Something went wrong inside the API. Report the operation's id to an admin."
            return Executed(operation, UpstreamFailed(msg, code="internal_error"))

    def _give_up(self, operation: Operation, error: ApiError) -> Operation:
        return replace(self.executor.refuse(operation, error), given_up=True)

    def _close(self, operation: Operation) -> Operation:
        return replace(operation, finished_at=timestamp(self.now()))

    def _find(self, friend: Friend, identifier: str) -> Operation:
        operation = self.store.find(friend, identifier)
        if operation is None:
            raise operation_not_found()
        return operation


def _not_survived() -> UpstreamFailed:
    msg = (
        "The API came to no end with this operation in several attempts. Apply fewer objects at "
        "once, or ask an admin to look at its logs."
    )
    return UpstreamFailed(msg, code="gave_up")


def _is_ahead(claim: Claim, identifier: str) -> bool:
    """Tell whether the named operation is still in the friend's line."""
    friend, queue = claim.friend, claim.queue
    pending = range(queue.finished + 1, queue.accepted + 1)
    return identifier in {operation_id(friend, sequence) for sequence in pending}
