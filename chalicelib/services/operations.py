"""Operations: recorded in the friend's queue, run at once where that is short; what became of them.

accept ──▶ short, and nothing before it: run in the request
       └─▶ else: dispatched to run_operation
"""

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import ApiError, NotFound, TooManyRequests
from chalicelib.domain.kinds import Kind, ObjectRef
from chalicelib.domain.model import (
    Friend,
    FriendRecord,
    JsonObject,
    Phase,
    Principal,
    Queue,
    Role,
)
from chalicelib.domain.operations import (
    Operation,
    OperationStatus,
    OperationType,
    build_operation,
    name_target,
    operation_id,
    operation_not_found,
)
from chalicelib.domain.ownership import require_staying
from chalicelib.domain.timestamps import timestamp
from chalicelib.ports import Clusters, Dispatcher, LeaseLost, OperationStore, StaleVersion
from chalicelib.services.access import Access
from chalicelib.services.applying import ATTEMPTS, PASSING, Observed, Sending, observe
from chalicelib.services.concurrency import both
from chalicelib.services.deleting import find_target, rehearse_deletion
from chalicelib.services.execution import Executor, Turn
from chalicelib.services.handing_on import hand_on
from chalicelib.services.leases import new_term
from chalicelib.services.rollout_status import RolloutStatus
from chalicelib.services.stale import retry_stale

# More than this never fits the time of a request when a cluster is slow.
_MOST_INLINE: Final = 32
# What must be left of a request's time to send a batch, and to record after that how it went.
_ENOUGH_SECONDS: Final = 6.0
_RECORDING_SECONDS: Final = 3.0
_NEWEST_LOOKED_AT: Final = 50
_MOST_UNFINISHED: Final = 20
# A read starts a queue without a runner again, at most so often: its event may be on its way.
_DISPATCHED_EVERY: Final = timedelta(seconds=10)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ApplyRequest:
    """What a caller wants applied, already admitted.

    force takes fields over that others hold, of objects that this API applied before.
    request identifies this very POST, if it can be repeated, and is_repeat says that an earlier
    try of it died.
    """

    friend_id: str
    manifests: tuple[JsonObject, ...]
    wait: bool = False
    force: bool = False
    respond_async: bool = False
    request: str | None = None
    is_repeat: bool = False

    def by(self, request: str | None, *, is_repeat: bool) -> "ApplyRequest":
        """Return the same, as this try of this request."""
        return replace(self, request=request, is_repeat=is_repeat)


@dataclass(frozen=True)
class DeletionRequest:
    """Which object of a friend's namespace a caller wants deleted."""

    friend_id: str
    kind: Kind
    name: str
    respond_async: bool = False


@dataclass(frozen=True)
class Operations:
    """What a request can do with operations."""

    access: Access
    store: OperationStore
    clusters: Clusters
    dispatcher: Dispatcher
    executor: Executor
    rollouts: RolloutStatus
    now: Callable[[], datetime]

    def apply(self, principal: Principal, wanted: ApplyRequest, deadline: Deadline) -> Operation:
        """Accept the manifests as the friend's next operation, and run it now if it is short.

        The operation is over, or it is recorded and on its way to run_operation. A repeat of a
        request whose first try died returns what that try has recorded.
        """
        return retry_stale(partial(self._apply_once, principal, wanted, deadline))

    def rehearse(self, principal: Principal, wanted: ApplyRequest, deadline: Deadline) -> Operation:
        """Have the cluster judge the manifests and change nothing; nothing is recorded either.

        Raises what kept the cluster from judging them all.
        """
        record = self.access.load(principal, wanted.friend_id)
        cluster = self.clusters.open(record.friend.cluster, deadline, attempts=ATTEMPTS)
        sending = Sending(
            record.friend,
            wanted.manifests,
            observe(cluster, record.friend, wanted.manifests, closely=True),
            lambda: cluster,
            lambda _position, _result: None,
            force=wanted.force,
            dry_run=True,
        )
        operation = self._build(record, wanted, principal.name)
        executed = self.executor.judge(operation, sending.send(operation.results), dry_run=True)
        if executed.error is not None:
            raise executed.error
        return executed.operation

    def delete_object(
        self, principal: Principal, wanted: DeletionRequest, deadline: Deadline
    ) -> Operation:
        """Accept the deletion of one object as the friend's next operation; run it now if short.

        Raises NotFound, and records nothing, where nothing is queued before it and there is no such
        object. Behind other operations, the object is looked up when this one runs. Safe to repeat.
        """
        return retry_stale(partial(self._delete_object_once, principal, wanted, deadline))

    def rehearse_deletion(
        self, principal: Principal, wanted: DeletionRequest, deadline: Deadline
    ) -> Operation:
        """Return what delete_object would, and change nothing; nothing is recorded either."""
        record = self.access.load(principal, wanted.friend_id)
        require_staying(record.friend)
        operation = self._build_deletion_of(record, wanted, principal.name, None)
        if not record.queue.is_drained:
            # What is before it decides whether there is something to delete.
            return operation
        cluster = self.clusters.open(record.friend.cluster, deadline)
        results = (rehearse_deletion(cluster, record.friend, operation),)
        return self.executor.judge(operation, results, dry_run=True).operation

    def delete(self, principal: Principal, friend_id: str, *, dry_run: bool) -> Operation:
        """Accept the end of a friend as the last of their operations. Safe to repeat.

        While it is under way, a repeat returns it, and starts it again should its event be lost.
        """
        if dry_run:
            record = self.access.load(principal, friend_id)
            return self._build_deletion(record, principal)
        return retry_stale(partial(self._delete_once, principal, friend_id))

    def get(
        self, principal: Principal, friend_id: str, identifier: str, deadline: Deadline
    ) -> Operation:
        """Return how one operation stands. Raises NotFound, or Forbidden.

        A read moves it on: its rollouts are checked, and a queue without a runner is started again.
        The deletion outlives its friend: an admin, and the agent that asked for it, may see it.
        """
        try:
            record = self.access.load(principal, friend_id)
        except NotFound:
            deletion = self.store.find_deletion(friend_id, identifier)
            if deletion is None or not _may_see(deletion, principal):
                raise
            return deletion
        operation = self.store.find(record.friend, identifier)
        if operation is None:
            raise operation_not_found()
        try:
            return self._move_on(record, operation, deadline)
        except ApiError as error:
            # The row was read: that is an answer.
            _log.warning("an operation could not be moved on", extra={"code": error.code})
            return operation

    def _move_on(self, record: FriendRecord, operation: Operation, deadline: Deadline) -> Operation:
        is_in_line = operation.sequence > record.queue.finished
        if operation.is_watched or (operation.is_lost and not is_in_line):
            (operation,) = self.rollouts.check(record.friend, [operation], deadline)
        elif not operation.status.is_final:
            self._dispatch_again(record, operation)
        return operation

    def _dispatch_again(self, record: FriendRecord, operation: Operation) -> None:
        """Start the friend's queue again, if it has no runner and was not just started again."""
        friend, queue, moment = record.friend, record.queue, self.now()
        before = timestamp(moment - _DISPATCHED_EVERY)
        last = max(queue.dispatched_at or "", operation.created_at)
        if last > before or queue.is_held(moment.timestamp()):
            return
        if self.store.claim_dispatch(friend, timestamp(moment), before, moment.timestamp()):
            hand_on(self.dispatcher, operation)

    def list_newest(self, friend: Friend, *, limit: int, before: str | None) -> list[Operation]:
        """Return the friend's operations, the newest first."""
        return self.store.list_newest(friend, limit=limit, before=before)

    def _apply_once(
        self, principal: Principal, wanted: ApplyRequest, deadline: Deadline
    ) -> Operation:
        record = self.access.load(principal, wanted.friend_id)
        if wanted.is_repeat and (earlier := self._recorded_by(record.friend, wanted)):
            if not (earlier.status.is_final or earlier.is_watched):
                hand_on(self.dispatcher, earlier)
            return earlier
        require_staying(record.friend)
        _require_room(record.queue)
        operation = self._build(record, wanted, principal.name)
        if not wanted.respond_async and self._is_short(record, operation, deadline):
            return self._run_now(record, operation, deadline)
        return self._accept(record, operation)

    def _delete_object_once(
        self, principal: Principal, wanted: DeletionRequest, deadline: Deadline
    ) -> Operation:
        record = self.access.load(principal, wanted.friend_id)
        require_staying(record.friend)
        _require_room(record.queue)
        uid, is_known = None, False
        if record.queue.is_drained:
            try:
                uid, is_known = self._uid_of(record.friend, wanted, deadline), True
            except PASSING as error:
                # It is known when the cluster can be asked again: when the operation's turn comes.
                _log.warning("a target could not be looked up", extra={"code": error.code})
        operation = self._build_deletion_of(record, wanted, principal.name, uid)
        is_now = is_known and not wanted.respond_async
        if is_now and self._is_short(record, operation, deadline):
            return self._run_now(record, operation, deadline)
        return self._accept(record, operation)

    def _uid_of(self, friend: Friend, wanted: DeletionRequest, deadline: Deadline) -> str:
        """Return the identity of the object. Nothing is before it, so it stays the same."""
        sending = deadline.within(deadline.remaining_seconds - _RECORDING_SECONDS)
        cluster = self.clusters.open(friend.cluster, sending)
        ref = ObjectRef(wanted.kind, wanted.name, friend.namespace)
        return str(find_target(cluster, friend, ref)["metadata"]["uid"])

    def _delete_once(self, principal: Principal, friend_id: str) -> Operation:
        record = self.access.load(principal, friend_id)
        operation = self._deletion_of(record.friend)
        if operation is None:
            return self._accept(record, self._build_deletion(record, principal))
        self._dispatch_again(record, operation)
        return operation

    def _accept(self, record: FriendRecord, operation: Operation) -> Operation:
        """Record the operation, and have it run by an invocation of its own."""
        with self._driven(operation):
            self.store.accept(record.queue, operation, None)
        hand_on(self.dispatcher, operation)
        return operation

    def _build_deletion(self, record: FriendRecord, principal: Principal) -> Operation:
        return build_operation(
            record.friend,
            record.queue.accepted + 1,
            type=OperationType.DELETE,
            created_at=timestamp(self.now()),
            requested_by=principal.name,
        )

    def _deletion_of(self, friend: Friend) -> Operation | None:
        """Return the friend's deletion: the last operation that was accepted for them, if any."""
        if friend.phase is not Phase.DELETING:
            return None
        newest = self.store.list_newest(friend, limit=1, before=None)
        return next((each for each in newest if each.type is OperationType.DELETE), None)

    def _recorded_by(self, friend: Friend, wanted: ApplyRequest) -> Operation | None:
        newest = self.store.list_newest(friend, limit=_NEWEST_LOOKED_AT, before=None)
        return next((each for each in newest if each.request == wanted.request), None)

    def _build(self, record: FriendRecord, wanted: ApplyRequest, requested_by: str) -> Operation:
        return build_operation(
            record.friend,
            record.queue.accepted + 1,
            type=OperationType.APPLY,
            manifests=wanted.manifests,
            wait=wanted.wait,
            force=wanted.force,
            created_at=timestamp(self.now()),
            requested_by=requested_by,
            request=wanted.request,
        )

    def _build_deletion_of(
        self, record: FriendRecord, wanted: DeletionRequest, requested_by: str, uid: str | None
    ) -> Operation:
        ref = ObjectRef(wanted.kind, wanted.name, record.friend.namespace)
        return build_operation(
            record.friend,
            record.queue.accepted + 1,
            type=OperationType.DELETE_OBJECT,
            manifests=(name_target(ref, uid),),
            created_at=timestamp(self.now()),
            requested_by=requested_by,
        )

    def _is_short(self, record: FriendRecord, operation: Operation, deadline: Deadline) -> bool:
        return (
            not operation.wait
            and len(operation.manifests) <= _MOST_INLINE
            and record.queue.is_drained
            and not record.queue.is_held(self.now().timestamp())
            and deadline.remaining_seconds >= _ENOUGH_SECONDS + _RECORDING_SECONDS
        )

    def _run_now(self, record: FriendRecord, operation: Operation, deadline: Deadline) -> Operation:
        friend, term = record.friend, new_term(uuid.uuid4().hex, self.now)
        sending = deadline.within(deadline.remaining_seconds - _RECORDING_SECONDS)
        turn = Turn(
            self.store, friend, term, self.now, sending, _ENOUGH_SECONDS, record.queue.ran_at
        )
        cluster = self.clusters.open(friend.cluster, sending)
        operation = replace(operation, status=OperationStatus.RUNNING)
        look: Callable[[], Observed] = dict
        if operation.type is OperationType.APPLY:
            objects = operation.manifests
            look = partial(observe, cluster, friend, objects, closely=turn.looks_closely)
        accept = partial(self.store.accept, record.queue, operation, term.lease)
        with self._driven(operation, turn):
            # Looking while it is being recorded: a read changes nothing, and costs no time.
            observed, _ = both(partial(_outcome_of, look), accept)
            executed = self.executor.execute(operation, turn, observed=partial(_value_of, observed))
        if executed.is_complete:
            return self._finish(executed.operation, turn)
        try:
            self.store.record(executed.operation, term.owner)
        except ApiError as error:
            _log.warning("results were not recorded", extra={"code": error.code})
        self._hand_over(executed.operation, turn)
        return executed.operation

    @contextmanager
    def _driven(self, operation: Operation, turn: Turn | None = None) -> Iterator[None]:
        """See to it that somebody comes back to what may have been recorded, whatever happens.

        An event about an operation that is not there does nothing.
        """
        try:
            yield
        except StaleVersion:
            raise
        except Exception:
            self._hand_over(operation, turn)
            raise

    def _finish(self, operation: Operation, turn: Turn) -> Operation:
        try:
            more = self.store.finish(
                turn.friend, operation.sequence, operation, turn.owner, keep=False
            )
        except (ApiError, LeaseLost):
            # All is applied, but that is not recorded, or not by us: the worker makes sure.
            _log.warning("an operation could not be finished", extra={"operation": operation.id})
            self._hand_over(operation, turn)
            return replace(operation, status=OperationStatus.RUNNING, finished_at=None)
        if more:
            # The events of what was accepted meanwhile met our lease, and ended.
            following = operation_id(turn.friend, operation.sequence + 1)
            hand_on(self.dispatcher, replace(operation, id=following))
        return operation

    def _hand_over(self, operation: Operation, turn: Turn | None) -> None:
        """Dispatch the worker after the lease is released: an event that meets a held one ends."""
        try:
            if turn is not None:
                self.store.release(turn.friend, turn.owner)
        except ApiError as error:
            _log.warning("a lease was left to run out", extra={"code": error.code})
        hand_on(self.dispatcher, operation)


def _require_room(queue: Queue) -> None:
    if queue.unfinished_count >= _MOST_UNFINISHED:
        msg = (
            f"This friend has {_MOST_UNFINISHED} unfinished operations, including those that wait "
            "for a rollout. Try again when some of them have finished."
        )
        raise TooManyRequests(msg, retry_after_seconds=10)


def _outcome_of(read: Callable[[], Observed]) -> Observed | ApiError:
    try:
        return read()
    except ApiError as error:
        return error


def _value_of(outcome: Observed | ApiError) -> Observed:
    if isinstance(outcome, ApiError):
        raise outcome
    return outcome


def _may_see(deletion: Operation, principal: Principal) -> bool:
    return principal.role is Role.ADMIN or principal.name == deletion.requested_by
