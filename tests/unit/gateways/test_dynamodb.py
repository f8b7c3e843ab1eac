"""The friend store on DynamoDB: what happens when writes race, repeat, or lose their answer."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib.domain.errors import Conflict, NotFound, UpstreamUnreachable
from chalicelib.domain.model import (
    Contact,
    Friendship,
    FriendshipStatus,
    Identity,
    Phase,
    Platform,
)
from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.dynamodb import DynamoFriendStore
from chalicelib.gateways.table import Table
from chalicelib.ports import StaleVersion
from tests.factories import create_friend
from tests.harness import TABLE, create_backend

DISCORD = Identity(Platform.DISCORD, "123456789012345678")


@pytest.fixture
def clients(aws: None) -> AwsClients:
    """The clients, where faults are put: at the wire."""
    create_backend("no kubeconfig is needed here")
    return AwsClients()


@pytest.fixture
def store(clients: AwsClients) -> DynamoFriendStore:
    """An empty store."""
    return DynamoFriendStore(Table(clients, TABLE))


def test_a_recorded_friend_is_loaded_whole(store: DynamoFriendStore) -> None:
    contact = Contact("Alice", DISCORD.key, None, "+4930901820", Platform.DISCORD)
    friend = create_friend(contact=contact, request="1f2e#key")
    friendship = Friendship("mochi", "alice", FriendshipStatus.ACTIVE, friend.created_at)
    store.create(friend, friendship)
    record = store.load("alice")
    assert record is not None
    assert record.friend == friend
    assert record.friendships == (friendship,)


def test_l06_a_creation_whose_answer_was_lost_may_be_repeated(store: DynamoFriendStore) -> None:
    friend = create_friend(contact=Contact("Alice", DISCORD.key))
    store.create(friend, None)
    store.create(friend, None)
    with pytest.raises(Conflict):
        store.create(create_friend(uid="another"), None)


def test_a_refused_creation_leaves_nothing(store: DynamoFriendStore) -> None:
    store.create(create_friend(contact=Contact("Alice", DISCORD.key)), None)
    bob = create_friend(id="bob", uid="b", contact=Contact("Bob", DISCORD.key, "+15550100199"))
    with pytest.raises(Conflict) as refusal:
        store.create(bob, None)
    assert [fault.path for fault in refusal.value.faults] == ["/discord_id"]
    assert store.load("bob") is None
    assert store.find_owner(Identity(Platform.SIGNAL, "+15550100199")) is None


def test_l09_l12_an_update_of_an_older_version_is_stale(store: DynamoFriendStore) -> None:
    friend = create_friend()
    store.create(friend, None)
    first = create_friend(version=2, contact=Contact("Al"), updated_at="2026-11-24T09:01:00Z")
    store.update_contact(friend, first)
    second = create_friend(version=2, contact=Contact("Ali"), updated_at="2026-11-24T09:02:00Z")
    with pytest.raises(StaleVersion):
        store.update_contact(friend, second)


def test_l06_an_update_whose_answer_was_lost_may_be_repeated(store: DynamoFriendStore) -> None:
    before = create_friend()
    store.create(before, None)
    after = create_friend(
        version=2, contact=Contact("Al", DISCORD.key), updated_at="2026-11-24T09:01:00Z"
    )
    store.update_contact(before, after)
    store.update_contact(before, after)
    assert store.find_owner(DISCORD) == "alice"


def test_an_update_moves_the_claims(store: DynamoFriendStore) -> None:
    before = create_friend(contact=Contact("Alice", DISCORD.key))
    store.create(before, None)
    after = create_friend(version=2, contact=Contact("Alice", signal="+15550100199"))
    store.update_contact(before, after)
    assert store.find_owner(DISCORD) is None
    assert store.find_owner(Identity(Platform.SIGNAL, "+15550100199")) == "alice"


def test_a_friendship_of_an_earlier_friend_of_the_id_is_not_inherited(
    store: DynamoFriendStore,
) -> None:
    friendship = Friendship("mochi", "alice", FriendshipStatus.ACTIVE, "2026-11-24T09:00:00Z")
    store.create(create_friend(uid="first"), friendship)
    boto3.client("dynamodb").delete_item(
        TableName=TABLE, Key={"pk": {"S": "FRIEND#alice"}, "sk": {"S": "PROFILE"}}
    )
    store.create(create_friend(uid="second"), None)
    record = store.load("alice")
    assert record is not None
    assert record.friendships == ()


def test_a_registration_that_is_gone_cannot_be_marked_ready(store: DynamoFriendStore) -> None:
    store.create(create_friend(uid="second"), None)
    with pytest.raises(NotFound):
        store.mark(create_friend(uid="first"), Phase.READY)


def test_l09_a_transaction_in_conflict_is_tried_again(
    clients: AwsClients, store: DynamoFriendStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    failures = fail_transactions(clients, monkeypatch, times=3)
    store.create(create_friend(), None)
    assert failures == []
    fail_transactions(clients, monkeypatch, times=4)
    with pytest.raises(UpstreamUnreachable) as refusal:
        store.create(create_friend(id="bob"), None)
    assert refusal.value.retry_after_seconds


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ProvisionedThroughputExceededException", "dynamodb_busy"),
        ("TransactionConflictException", "dynamodb_busy"),
        (None, "dynamodb_unreachable"),
    ],
)
def test_l09_throttling_and_absence_are_503(
    clients: AwsClients,
    store: DynamoFriendStore,
    monkeypatch: pytest.MonkeyPatch,
    code: str | None,
    expected: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        if code is None:
            raise EndpointConnectionError(endpoint_url="https://canary")
        raise ClientError({"Error": {"Code": code, "Message": "canary"}}, "Query")

    client: Any = clients.dynamodb
    monkeypatch.setattr(client, "query", fail)
    with pytest.raises(UpstreamUnreachable) as refusal:
        store.load("alice")
    assert refusal.value.code == expected
    assert "canary" not in refusal.value.message


@pytest.mark.parametrize("reasons", [[{"Code": "ThrottlingError"}, {"Code": "None"}], []])
def test_l09_a_throttled_transaction_is_503(
    clients: AwsClients,
    store: DynamoFriendStore,
    monkeypatch: pytest.MonkeyPatch,
    reasons: list[Any],
) -> None:
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": ""},
        "CancellationReasons": reasons,
    }

    def throttle(**_: Any) -> None:
        raise ClientError(response, "TransactWriteItems")

    monkeypatch.setattr(clients.dynamodb, "transact_write_items", throttle)
    with pytest.raises(UpstreamUnreachable) as refusal:
        store.create(create_friend(), None)
    assert refusal.value.code == "dynamodb_busy"


def fail_transactions(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, *, times: int
) -> list[int]:
    client: Any = clients.dynamodb
    transact = client.transact_write_items
    left = list(range(times))
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": ""},
        "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
    }

    def maybe_fail(**arguments: Any) -> Any:
        if left:
            left.pop()
            raise ClientError(response, "TransactWriteItems")
        return transact(**arguments)

    monkeypatch.setattr(client, "transact_write_items", maybe_fail)
    return left
