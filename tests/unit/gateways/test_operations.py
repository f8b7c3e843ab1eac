"""The operation store on DynamoDB: one runner at a time, in order, whoever dies."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.errors import NotFound
from chalicelib.domain.model import Friend, Lease, Queue
from chalicelib.domain.operations import Operation, OperationStatus, OperationType, operation_id
from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.dynamodb import DynamoFriendStore, to_queue
from chalicelib.gateways.operations import DynamoOperationStore
from chalicelib.gateways.table import Table
from chalicelib.ports import LeaseLost, StaleVersion
from tests.factories import create_friend
from tests.harness import TABLE, create_backend

FRIEND = create_friend()
NOW = 1_000_000.0
OURS = Lease("ours", int(NOW) + 45)
THEIRS = Lease("theirs", int(NOW) + 45)
RESULT = {"kind": "ConfigMap", "name": "a", "status": "applied", "change": "created"}


@pytest.fixture
def table(aws: None) -> Table:
    """A table with one friend."""
    create_backend("no kubeconfig is needed here")
    table = Table(AwsClients(), TABLE)
    DynamoFriendStore(table).create(FRIEND, None)
    return table


@pytest.fixture
def store(table: Table) -> DynamoOperationStore:
    """No operations yet."""
    return DynamoOperationStore(table)


def create_operation(sequence: int = 1, friend: Friend = FRIEND, **fields: Any) -> Operation:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    return Operation(
        **{
            "id": operation_id(friend, sequence),
            "friend_id": friend.id,
            "uid": friend.uid,
            "sequence": sequence,
            "type": OperationType.APPLY,
            "status": OperationStatus.PENDING,
            "manifests": (manifest,),
            "results": (None,),
            "wait": False,
            "created_at": "2026-11-24T09:00:00.000000Z",
            "requested_by": "agent:mochi",
            **fields,
        }
    )


def accept(store: DynamoOperationStore, count: int) -> None:
    for number in range(count):
        store.accept(Queue(accepted=number), create_operation(number + 1), None)


def done(operation: Operation) -> Operation:
    return replace(
        operation,
        status=OperationStatus.SUCCEEDED,
        results=(RESULT,),
        finished_at="2026-11-24T09:00:01.000000Z",
    )


def start(store: DynamoOperationStore, sequence: int, owner: str) -> Operation:
    started = store.start(FRIEND, sequence, owner)
    assert started is not None
    return started


def test_an_accepted_operation_is_read_back_whole(store: DynamoOperationStore) -> None:
    operation = create_operation(request="t#key#digest", wait=True)
    store.accept(Queue(), operation, None)
    # A read needs no manifests; a start does.
    assert store.find(FRIEND, operation.id) == replace(operation, manifests=())
    assert start(store, 1, "ours").manifests == operation.manifests


def test_ids_are_in_the_order_of_acceptance_across_registrations() -> None:
    later = create_friend(uid="later", created_at="2026-11-24T09:00:01.000000Z")
    ids = [operation_id(FRIEND, 1), operation_id(FRIEND, 99_999), operation_id(later, 1)]
    assert ids == sorted(ids)


def test_two_that_accept_at_once_get_one_number_each(store: DynamoOperationStore) -> None:
    store.accept(Queue(), create_operation(), None)
    with pytest.raises(StaleVersion):
        store.accept(Queue(), create_operation(), None)
    store.accept(Queue(accepted=1), create_operation(2), None)
    assert [each.sequence for each in store.list_newest(FRIEND, limit=9, before=None)] == [2, 1]


def test_k08_nothing_is_accepted_for_a_registration_that_is_gone(
    store: DynamoOperationStore,
) -> None:
    with pytest.raises(StaleVersion):
        store.accept(Queue(), create_operation(friend=create_friend(uid="earlier")), None)
    with pytest.raises(NotFound):
        store.claim("bob", OURS, NOW)


def test_a_lease_is_taken_with_the_operation_and_by_one_alone(store: DynamoOperationStore) -> None:
    store.accept(Queue(), create_operation(), OURS)
    assert store.claim("alice", THEIRS, NOW).queue.lease_owner == "ours"
    with pytest.raises(StaleVersion):
        store.accept(Queue(accepted=1), create_operation(2), THEIRS)


def test_k07_a_lease_that_ran_out_is_taken_over(store: DynamoOperationStore) -> None:
    store.accept(Queue(), create_operation(), OURS)
    start(store, 1, "ours")
    later = NOW + 46
    claim = store.claim("alice", Lease("theirs", int(later) + 45), later)
    assert claim.queue.lease_owner == "theirs"
    operation = start(store, 1, "theirs")
    with pytest.raises(LeaseLost):
        store.checkpoint(operation, 0, RESULT, "ours")
    with pytest.raises(LeaseLost):
        store.finish(FRIEND, 1, done(operation), "ours", keep=False)
    with pytest.raises(LeaseLost):
        store.renew(FRIEND, OURS)
    store.release(FRIEND, "ours")
    store.checkpoint(operation, 0, RESULT, "theirs")
    assert not store.finish(FRIEND, 1, done(operation), "theirs", keep=False)
    assert store.start(FRIEND, 1, "theirs") is None


def test_finishing_moves_the_line_on_one_by_one(store: DynamoOperationStore) -> None:
    accept(store, 3)
    store.claim("alice", OURS, NOW)
    for sequence, more in ((1, True), (2, True), (3, False)):
        operation = start(store, sequence, "ours")
        assert store.finish(FRIEND, sequence, done(operation), "ours", keep=True) is more
    claim = store.claim("alice", THEIRS, NOW)
    assert (claim.queue.is_drained, claim.queue.lease_owner) == (True, None)
    found = store.find(FRIEND, operation_id(FRIEND, 2))
    assert found is not None
    assert (found.status, found.results) == (OperationStatus.SUCCEEDED, (RESULT,))


def test_a_request_gives_the_lease_back_although_more_is_pending(
    store: DynamoOperationStore,
) -> None:
    store.accept(Queue(), create_operation(), OURS)
    operation = start(store, 1, "ours")
    store.accept(Queue(accepted=1, lease_until=OURS.until), create_operation(2), None)
    assert store.finish(FRIEND, 1, done(operation), "ours", keep=False)
    assert store.claim("alice", THEIRS, NOW).queue.lease_owner == "theirs"


def test_what_is_missing_is_skipped(store: DynamoOperationStore, table: Table) -> None:
    accept(store, 2)
    drop = table.delete_action(
        "OPERATIONS#alice", operation_id(FRIEND, 1), when="uid = :uid", values={":uid": FRIEND.uid}
    )
    assert table.transact([drop]) == []
    store.claim("alice", OURS, NOW)
    assert store.start(FRIEND, 1, "ours") is None
    assert store.finish(FRIEND, 1, None, "ours", keep=True)
    assert start(store, 2, "ours").attempts == 1


def test_attempts_count_the_starts_without_progress(store: DynamoOperationStore) -> None:
    accept(store, 1)
    store.claim("alice", OURS, NOW)
    assert [start(store, 1, "ours").attempts for _ in range(2)] == [1, 2]
    store.checkpoint(start(store, 1, "ours"), 0, RESULT, "ours")
    assert start(store, 1, "ours").attempts == 1
    assert start(store, 1, "ours").results == (RESULT,)


def test_what_is_over_is_not_recorded_again(store: DynamoOperationStore) -> None:
    accept(store, 1)
    operation = create_operation()
    start(store, 1, "ours")
    assert not store.record_check(FRIEND, operation)
    assert not store.record(operation, "theirs")
    assert store.record(done(operation), "ours")
    assert not store.record(replace(operation, status=OperationStatus.RUNNING), "ours")


def test_the_newest_are_listed_first_page_by_page(store: DynamoOperationStore) -> None:
    accept(store, 5)
    first = store.list_newest(FRIEND, limit=2, before=None)
    second = store.list_newest(FRIEND, limit=9, before=first[-1].id)
    assert [each.sequence for each in (*first, *second)] == [5, 4, 3, 2, 1]


def test_h06_operations_of_an_earlier_friend_of_the_id_are_not_inherited(
    store: DynamoOperationStore,
) -> None:
    accept(store, 1)
    later = create_friend(uid="later", created_at="2026-11-25T09:00:00.000000Z")
    assert store.list_newest(later, limit=9, before=None) == []
    assert store.find(later, operation_id(FRIEND, 1)) is None


def wait_for_rollout(store: DynamoOperationStore) -> Operation:
    """Return an operation that is applied and waits."""
    store.accept(Queue(), create_operation(), OURS)
    operation = start(store, 1, "ours")
    waiting = replace(operation, results=(RESULT,), applied_at=operation.created_at)
    assert not store.finish(FRIEND, 1, waiting, "ours", keep=False)
    return waiting


def queue_of(table: Table) -> Queue:
    row = table.get("FRIEND#alice", "PROFILE")
    assert row is not None
    return to_queue(row)


def test_a_waiting_operation_is_checked_by_one_reader_at_a_time(
    store: DynamoOperationStore,
) -> None:
    waiting = wait_for_rollout(store)
    before, at, later = (f"2026-11-24T09:00:0{each}.000000Z" for each in "024")
    claimed = store.claim_check(waiting, at, before)
    assert claimed is not None
    assert claimed.judged_at == at
    assert store.claim_check(waiting, at, before) is None
    assert store.claim_check(waiting, later, at) is not None


def test_what_ends_a_wait_counts_it_no_longer_and_is_done_once(
    store: DynamoOperationStore, table: Table
) -> None:
    waiting = wait_for_rollout(store)
    assert queue_of(table).unfinished == {1: waiting.created_at}
    assert queue_of(table).unfinished_count == 1
    failing = replace(waiting, failing_since=waiting.created_at)
    assert store.record_check(FRIEND, failing)
    assert store.record_check(FRIEND, waiting)
    found = store.find(FRIEND, waiting.id)
    assert found is not None
    assert found.failing_since is None
    assert queue_of(table).unfinished_count == 1
    assert store.record_check(FRIEND, done(waiting))
    assert not store.record_check(FRIEND, done(waiting))
    assert queue_of(table).unfinished_count == 0
    store.forget_unfinished(FRIEND, 1)
    assert queue_of(table).unfinished_count == 0


def test_a_wait_ends_although_its_friend_is_gone(store: DynamoOperationStore, table: Table) -> None:
    waiting = wait_for_rollout(store)
    values = {":uid": FRIEND.uid}
    table.transact(
        [table.delete_action("FRIEND#alice", "PROFILE", when="uid = :uid", values=values)]
    )
    assert store.record_check(FRIEND, done(waiting))
    assert store.claim_check(waiting, "2026", "2026") is None


def test_a_queue_without_a_runner_is_dispatched_by_one_reader(store: DynamoOperationStore) -> None:
    accept(store, 1)
    before, at = "2026-11-24T09:00:00.000000Z", "2026-11-24T09:00:10.000000Z"
    assert store.claim_dispatch(FRIEND, at, before, NOW)
    assert not store.claim_dispatch(FRIEND, at, before, NOW)
    store.claim("alice", OURS, NOW)
    assert not store.claim_dispatch(FRIEND, at, at, NOW)
    assert store.claim_dispatch(FRIEND, at, at, OURS.until)


def test_what_the_cluster_kept_from_going_on_has_its_attempts_back(
    store: DynamoOperationStore,
) -> None:
    accept(store, 1)
    store.claim("alice", OURS, NOW)
    for attempts in (1, 2, 2, 2, 2):
        operation = start(store, 1, "ours")
        assert operation.attempts == attempts
        store.postpone(operation, "ours", attempts=1)
    with pytest.raises(LeaseLost):
        store.postpone(operation, "theirs", attempts=1)
