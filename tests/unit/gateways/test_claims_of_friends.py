"""The claims of platform ids: a write takes and drops only its own friend's claims."""

from typing import Any

import boto3
import pytest

from chalicelib.domain.errors import Conflict
from chalicelib.domain.fields import identities_of
from chalicelib.domain.model import Contact, Identity, Platform
from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.dynamodb import DynamoFriendStore, identity_pk
from chalicelib.gateways.table import Table
from chalicelib.ports import StaleVersion
from tests.factories import create_friend
from tests.harness import TABLE, create_backend

SIGNAL = Identity(Platform.SIGNAL, "+15550100199")
OTHER_SIGNAL = Identity(Platform.SIGNAL, "+15550100200")
DISCORD = Identity(Platform.DISCORD, "1" * 18)
WHATSAPP = Identity(Platform.WHATSAPP, "+15550100199")
LATER = "2026-11-24T09:01:00Z"


@pytest.fixture
def store(aws: None) -> DynamoFriendStore:
    """An empty store."""
    create_backend("no kubeconfig is needed here")
    return DynamoFriendStore(Table(AwsClients(), TABLE))


@pytest.mark.case("M1")
@pytest.mark.parametrize(
    ("had", "changes"),
    [
        ({"signal": SIGNAL.key}, {"signal": None}),
        ({"signal": SIGNAL.key}, {"signal": OTHER_SIGNAL.key}),
        ({"whatsapp": WHATSAPP.key}, {"whatsapp": None}),
        ({"discord_id": DISCORD.key}, {"discord_id": None}),
        (
            {"signal": SIGNAL.key, "discord_id": DISCORD.key},
            {"signal": None, "discord_id": None},
        ),
    ],
)
def test_a_claim_that_is_anothers_by_now_stays_and_keeps_no_update_from_happening(
    store: DynamoFriendStore, had: dict[str, Any], changes: dict[str, Any]
) -> None:
    before = create_friend(contact=Contact("Alice", **had))
    store.create(before, None)
    for identity in identities_of(before.contact):
        drop_claim(identity)
    store.create(create_friend(id="bob", uid="bob", contact=Contact("Bob", **had)), None)
    after = create_friend(
        version=2, updated_at=LATER, contact=Contact("Alice", **{**had, **changes})
    )
    store.update_contact(before, after)
    record = store.load("alice")
    assert record is not None
    assert record.friend == after
    assert {store.find_owner(each) for each in identities_of(before.contact)} == {"bob"}
    for identity in identities_of(after.contact):
        assert store.find_owner(identity) == "alice"


@pytest.mark.case("M1")
def test_of_two_dropped_claims_the_own_one_goes_and_the_others_stays(
    store: DynamoFriendStore,
) -> None:
    before = create_friend(contact=Contact("Alice", DISCORD.key, SIGNAL.key))
    store.create(before, None)
    drop_claim(SIGNAL)
    store.create(create_friend(id="bob", uid="b", contact=Contact("Bob", signal=SIGNAL.key)), None)
    store.update_contact(before, create_friend(version=2, updated_at=LATER))
    assert (store.find_owner(DISCORD), store.find_owner(SIGNAL)) == (None, "bob")


@pytest.mark.case("M1")
def test_a_claim_that_is_gone_is_no_obstacle(store: DynamoFriendStore) -> None:
    before = create_friend(contact=Contact("Alice", signal=SIGNAL.key))
    store.create(before, None)
    drop_claim(SIGNAL)
    store.update_contact(before, create_friend(version=2, updated_at=LATER))
    assert store.find_owner(SIGNAL) is None


@pytest.mark.case("M1")
def test_a_lost_claim_that_is_anothers_does_not_cost_the_friend_the_others(
    store: DynamoFriendStore,
) -> None:
    alice = create_friend(contact=Contact("Alice", DISCORD.key, SIGNAL.key))
    store.create(alice, None)
    for identity in (DISCORD, SIGNAL):
        drop_claim(identity)
    store.create(create_friend(id="bob", uid="b", contact=Contact("Bob", signal=SIGNAL.key)), None)
    with pytest.raises(Conflict) as refusal:
        store.claim_identities(alice)
    assert [fault.path for fault in refusal.value.faults] == ["/signal"]
    assert (store.find_owner(DISCORD), store.find_owner(SIGNAL)) == ("alice", "bob")


@pytest.mark.case("M2")
def test_a_claim_that_is_ones_own_already_is_no_reason_to_call_an_update_done(
    store: DynamoFriendStore,
) -> None:
    before = create_friend()
    store.create(before, None)
    # Left by whatever: a row put back from a backup, say.
    put_claim(SIGNAL, before.uid)
    after = create_friend(version=2, updated_at=LATER, contact=Contact("Alice", signal=SIGNAL.key))
    store.update_contact(before, after)
    record = store.load("alice")
    assert record is not None
    assert record.friend == after


@pytest.mark.case("M2")
def test_another_update_of_the_same_moment_is_not_taken_for_ones_own(
    store: DynamoFriendStore,
) -> None:
    before = create_friend()
    store.create(before, None)
    theirs = create_friend(version=2, updated_at=LATER, contact=Contact("Al"))
    store.update_contact(before, theirs)
    ours = create_friend(version=2, updated_at=LATER, contact=Contact("Ali", signal=SIGNAL.key))
    with pytest.raises(StaleVersion):
        store.update_contact(before, ours)


@pytest.mark.case("M2")
def test_an_update_that_was_overwritten_since_is_not_called_done(store: DynamoFriendStore) -> None:
    before = create_friend()
    store.create(before, None)
    ours = create_friend(version=2, updated_at=LATER, contact=Contact("Ali"))
    store.update_contact(before, ours)
    theirs = create_friend(version=3, updated_at="2026-11-24T09:02:00Z", contact=Contact("Al"))
    store.update_contact(ours, theirs)
    with pytest.raises(StaleVersion):
        store.update_contact(before, ours)


@pytest.mark.case("M2")
def test_a_claim_of_ones_own_is_no_reason_to_call_a_registration_done(
    store: DynamoFriendStore,
) -> None:
    alice = create_friend(contact=Contact("Alice", signal=SIGNAL.key))
    put_claim(SIGNAL, alice.uid)
    store.create(alice, None)
    assert store.load("alice") is not None


@pytest.mark.case("M2")
def test_claims_are_made_again_also_where_some_are_there(store: DynamoFriendStore) -> None:
    alice = create_friend(contact=Contact("Alice", DISCORD.key, SIGNAL.key))
    store.create(alice, None)
    drop_claim(SIGNAL)
    store.claim_identities(alice)
    assert {store.find_owner(each) for each in (DISCORD, SIGNAL)} == {"alice"}


def drop_claim(identity: Identity) -> None:
    boto3.client("dynamodb").delete_item(
        TableName=TABLE, Key={"pk": {"S": identity_pk(identity)}, "sk": {"S": "CLAIM"}}
    )


def put_claim(identity: Identity, uid: str) -> None:
    item = {"pk": identity_pk(identity), "sk": "CLAIM", "friend_id": "alice", "uid": uid}
    boto3.client("dynamodb").put_item(
        TableName=TABLE, Item={key: {"S": value} for key, value in item.items()}
    )
