"""The field rules of the contract, and threats H01 and H02."""

from typing import Any

import pytest

from chalicelib.domain.errors import InvalidInput
from chalicelib.domain.fields import (
    friend_id_fault,
    identities_of,
    merge_contact,
    parse_contact_changes,
    parse_friendship_status,
    parse_identity,
    parse_new_friend,
)
from chalicelib.domain.model import Contact, FriendshipStatus, Identity, Platform
from tests.factories import create_friend_body

CLUSTERS = ("main", "second")

DISCORD_ID = "123456789012345678"
SIGNAL_UUID = "0b6b3f6a-9e3a-4f0e-8b59-3d2f2a1c4e5d"


def test_a_friend_without_an_id_or_a_display_name_is_refused() -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_new_friend({}, CLUSTERS)
    assert {fault.path: fault.message for fault in refusal.value.faults} == {
        "/id": "id is required.",
        "/display_name": "display_name is required.",
    }


@pytest.mark.parametrize("friend_id", ["a", "alice", "al-ice", "a1", "1a", "a" * 40])
def test_an_id_is_a_short_dns_label(friend_id: str) -> None:
    assert parse_new_friend(create_friend_body(id=friend_id), CLUSTERS).id == friend_id


@pytest.mark.parametrize(
    "friend_id",
    [
        *["", "Alice", "al_ice", "al ice", "-alice", "alice-", "a" * 41, "al.ice", "alice\n"],
        *["аlice", "alicé", "\uff41lice", "alice١", "alice\u200d", "alice\x00", "😀"],
    ],
)
def test_h02_an_id_that_only_looks_like_one_is_refused(friend_id: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_new_friend(create_friend_body(id=friend_id), CLUSTERS)
    assert [fault.path for fault in refusal.value.faults] == ["/id"]


@pytest.mark.parametrize(
    "friend_id",
    ["system", "default", "api", "admin", "www", "kube-system", "kube-x", "friend-alice"],
)
def test_h01_a_reserved_id_is_refused(friend_id: str) -> None:
    with pytest.raises(InvalidInput, match="reserved"):
        parse_new_friend(create_friend_body(id=friend_id), CLUSTERS)


@pytest.mark.case("L2")
@pytest.mark.parametrize(
    "friend_id", ["friends-api", "admin-login", "console", "login-2", "accounts", "www1"]
)
def test_h01_an_id_that_starts_as_the_platforms_is_refused_to_new_friends(friend_id: str) -> None:
    with pytest.raises(InvalidInput, match="id is reserved; choose another id"):
        parse_new_friend(create_friend_body(id=friend_id), CLUSTERS)
    assert friend_id_fault(friend_id) is None


def test_every_fault_is_named_at_once() -> None:
    body = {"id": "A", "discord_id": 7, "signal": "x", "preferred_channel": "fax", "shoe/size": 4}
    with pytest.raises(InvalidInput) as refusal:
        parse_new_friend(body, CLUSTERS)
    assert {fault.path for fault in refusal.value.faults} == {
        "/id",
        "/display_name",
        "/discord_id",
        "/signal",
        "/preferred_channel",
        "/shoe~1size",
    }


@pytest.mark.parametrize(
    "name", ["A", "Zoë", "李小龍", "O'Brien-Smith", "👩‍👩‍👧", "نام‌خانوادگی", "x" * 100]
)
def test_a_display_name_is_what_people_call_themselves(name: str) -> None:
    friend = parse_new_friend(create_friend_body(display_name=name), CLUSTERS)
    assert friend.contact.display_name == name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            " ",
            "x" * 101,
            "a\nb",
            "a\tb",
            " a",
            "a ",
            "a\u202eb",
            "a\x00",
            "\u200d",
            "a\u2028b",
            7,
        ),
        *("\u3164", "\u2800", "\u115f\u200d", "\ufe0f", "a\ufdd0", "a\U0001ffff"),
    ],
)
def test_a_display_name_with_invisible_parts_is_refused(name: Any) -> None:
    with pytest.raises(InvalidInput):
        parse_new_friend(create_friend_body(display_name=name), CLUSTERS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("discord_id", "1" * 17),
        ("discord_id", "1" * 20),
        ("signal", "+15550100199"),
        ("signal", "+1 (555) 010-0199"),
        ("signal", SIGNAL_UUID),
        ("whatsapp", "+49 30 901820"),
        ("whatsapp", "4930901820@s.whatsapp.net"),
    ],
)
def test_a_platform_id_is_kept_as_it_was_written(field: str, value: str) -> None:
    contact = parse_new_friend(create_friend_body(**{field: value}), CLUSTERS).contact
    assert getattr(contact, field) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("discord_id", "1" * 16),
        ("discord_id", "0" + "1" * 17),
        ("discord_id", "1" * 21),
        ("discord_id", "١" * 18),
        ("discord_id", int("1" * 18)),
        ("signal", "15550100199"),
        ("signal", "+0555010019"),
        ("signal", "+1555"),
        ("signal", "+1555010019912345"),
        ("signal", " +15550100199"),
        ("signal", "-+15550100199"),
        ("signal", "+((((15550100199"),
        ("signal", "+1-" + "5-" * 12 + "-"),
        ("signal", "4930901820@s.whatsapp.net"),
        ("whatsapp", SIGNAL_UUID),
        ("whatsapp", "4930901820@example.net"),
        ("whatsapp", "+1-555-x10-0199"),
    ],
)
def test_what_is_no_id_on_the_platform_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_new_friend(create_friend_body(**{field: value}), CLUSTERS)
    assert [fault.path for fault in refusal.value.faults] == [f"/{field}"]


def test_a_friend_can_prefer_only_a_channel_on_which_they_have_an_id() -> None:
    with pytest.raises(InvalidInput, match="discord_id"):
        parse_new_friend(create_friend_body(preferred_channel="discord"), CLUSTERS)
    body = create_friend_body(preferred_channel="discord", discord_id=DISCORD_ID)
    assert parse_new_friend(body, CLUSTERS).contact.preferred_channel is Platform.DISCORD


@pytest.mark.parametrize(
    ("platform", "spellings", "key"),
    [
        (Platform.SIGNAL, ["+15550100199", "+1 (555) 010-0199", "+1.555.010.0199"], "+15550100199"),
        (Platform.SIGNAL, [SIGNAL_UUID, SIGNAL_UUID.upper()], SIGNAL_UUID),
        (Platform.WHATSAPP, ["+4930901820", "4930901820@s.whatsapp.net"], "+4930901820"),
        (Platform.DISCORD, [DISCORD_ID], DISCORD_ID),
    ],
)
def test_one_person_has_one_identity_however_it_is_written(
    platform: Platform, spellings: list[str], key: str
) -> None:
    assert {parse_identity(platform, each) for each in spellings} == {Identity(platform, key)}


@pytest.mark.parametrize("platform", Platform)
def test_what_is_no_id_on_the_platform_is_nobody(platform: Platform) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_identity(platform, "alice")
    assert [fault.path for fault in caught.value.faults] == [f"/{platform.field}"]


def test_a_contact_claims_each_id_that_it_has() -> None:
    contact = Contact("Alice", discord_id=DISCORD_ID, signal="+1 555 010 0199")
    assert identities_of(contact) == (
        Identity(Platform.DISCORD, DISCORD_ID),
        Identity(Platform.SIGNAL, "+15550100199"),
    )


def test_changes_merge_and_null_clears() -> None:
    contact = Contact("Alice", discord_id=DISCORD_ID, signal="+15550100199")
    changes = parse_contact_changes({"display_name": "Al", "signal": None})
    assert merge_contact(contact, changes) == Contact("Al", discord_id=DISCORD_ID)


def test_clearing_the_preferred_channels_id_is_refused() -> None:
    contact = Contact("Alice", discord_id=DISCORD_ID, preferred_channel=Platform.DISCORD)
    with pytest.raises(InvalidInput, match="preferred"):
        merge_contact(contact, parse_contact_changes({"discord_id": None}))


@pytest.mark.parametrize("body", [{}, {"id": "bob"}, {"display_name": None}, {"phase": "ready"}])
def test_changes_that_are_no_changes_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        parse_contact_changes(body)


def test_a_relationship_is_active_inactive_or_blocked() -> None:
    assert parse_friendship_status({"status": "blocked"}) is FriendshipStatus.BLOCKED
    for body in ({}, {"status": "friend"}, {"status": None}, {"status": "active", "x": 1}):
        with pytest.raises(InvalidInput):
            parse_friendship_status(body)
