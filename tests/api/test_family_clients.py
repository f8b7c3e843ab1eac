"""What the product family's published clients send and read, where that is this contract's too."""

from datetime import datetime
from typing import Any

import pytest

from tests.factories import AGENT_ID, AGENT_TOKEN
from tests.harness import Api, read_profile

UUID = "0F8FAD5B-D9CB-469F-A165-70867728950E"
CONTACT = {
    "discord_id": "1" * 18,
    "signal": "+15550100199",
    "whatsapp": "+15550100199",
    "preferred_channel": "discord",
}


@pytest.mark.case("CLIENTS")
@pytest.mark.parametrize("nothing", ["", None])
@pytest.mark.parametrize(
    "fields",
    [
        ["signal"],
        ["whatsapp"],
        ["preferred_channel"],
        ["discord_id", "preferred_channel"],
        ["discord_id", "signal", "whatsapp", "preferred_channel"],
    ],
)
def test_an_empty_text_clears_a_field_as_null_does(
    api: Api, fields: list[str], nothing: str | None
) -> None:
    api.register_friend(**CONTACT)
    answer = api.put("/api/friends/alice", dict.fromkeys(fields, nothing))
    assert answer.status == 200, answer.text
    expected = {**CONTACT, **dict.fromkeys(fields)}
    assert {name: answer.json[name] for name in CONTACT} == expected
    assert read_profile("alice")["discord_id"] == expected["discord_id"]
    if "signal" in fields:
        assert api.get("/api/friends?signal=%2B15550100199").json == []


@pytest.mark.case("CLIENTS")
@pytest.mark.parametrize(
    "body", [{"display_name": ""}, {"signal": " "}, {"preferred_channel": "none"}, {"signal": []}]
)
def test_what_is_no_empty_text_clears_nothing(api: Api, body: dict[str, Any]) -> None:
    api.register_friend(**CONTACT)
    assert api.put("/api/friends/alice", body).status == 400


@pytest.mark.case("CLIENTS")
def test_a_channel_without_an_id_stays_refused(api: Api) -> None:
    api.register_friend(**CONTACT)
    assert api.put("/api/friends/alice", {"discord_id": ""}).status == 400


@pytest.mark.case("CLIENTS")
@pytest.mark.parametrize(
    ("field", "written", "same", "other"),
    [
        ("whatsapp", "187012345678901@lid", "187012345678901@lid", "187012345678902@lid"),
        # A number of @lid is nobody's phone.
        ("whatsapp", "15550100199@lid", "15550100199@lid", "15550100199@c.us"),
        ("whatsapp", "15550100199@s.whatsapp.net", "%2B1 555 010 0199", "15550100199@lid"),
        ("signal", "name.01", "NAME.01", "name.02"),
        ("signal", "_x_y.123", "_X_Y.123", "_x_y.124"),
        (
            "signal",
            "A23456789012345678901234567890ab.99",
            "a" + "23456789012345678901234567890AB.99",
            "name.99",
        ),
        ("signal", UUID, UUID.lower(), "name.01"),
    ],
)
def test_an_id_is_found_in_each_spelling_and_has_one_owner(
    api: Api, field: str, written: str, same: str, other: str
) -> None:
    api.register_friend(**{field: written, "preferred_channel": field})
    (found,) = api.get(f"/api/friends?{field}={same}").json
    assert (found["id"], found[field]) == ("alice", written)
    assert api.get(f"/api/friends?{field}={other}").json == []
    taken = {"id": "bob", "display_name": "Bob", field: same.replace("%2B", "+")}
    assert api.post("/api/friends", taken).json["code"] == "platform_id_taken"
    assert api.post("/api/friends", {**taken, field: other}).status == 201


@pytest.mark.case("CLIENTS")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("signal", each) for each in ("na.01", "1name.01", "name", "name.", "name.1", "name.00")],
        *[("signal", each) for each in ("na-me.01", "name.01 ", "näme.01", "@name.01", "name.001")],
        ("signal", "a" * 33 + ".01"),
        *[("whatsapp", each) for each in ("@lid", "1@lid", "+15550100199@lid", "15550100199@LID")],
        *[("whatsapp", each) for each in ("0187012345678901@lid", "15550100199:2@lid", "name.01")],
    ],
)
def test_what_is_no_id_there_is_refused(api: Api, field: str, value: str) -> None:
    body = {"id": "alice", "display_name": "Alice", field: value}
    answer = api.post("/api/friends", body)
    assert (answer.status, answer.json["details"][0]["path"]) == (400, f"/{field}")


@pytest.mark.case("CLIENTS")
@pytest.mark.parametrize("agents", [(), ("mochi",), ("mochi", "tofu", "another")])
def test_the_relationships_of_a_friend_are_listed(api: Api, agents: tuple[str, ...]) -> None:
    api.register_friend()
    for agent in agents:
        api.put(f"/api/friends/alice/agents/{agent}", {"status": "active"})
    listed = api.get("/api/friends/alice/agents", token=AGENT_TOKEN)
    assert listed.status == 200
    assert [each["agent_id"] for each in listed.json] == sorted(agents)
    fields = {"agent_id", "friend_id", "status", "created_at"}
    assert all(each.keys() == fields for each in listed.json)
    assert listed.json == api.get("/api/friends/alice").json["friendships"]


@pytest.mark.case("CLIENTS")
@pytest.mark.parametrize(
    ("status", "expected"), [("active", 200), ("inactive", 200), ("blocked", 403)]
)
def test_a_blocked_agent_sees_no_relationships(api: Api, status: str, expected: int) -> None:
    api.register_friend()
    api.put(f"/api/friends/alice/agents/{AGENT_ID}", {"status": status})
    answer = api.get("/api/friends/alice/agents", token=AGENT_TOKEN)
    assert answer.status == expected
    assert api.get("/api/friends/zoe/agents").status == 404


@pytest.mark.case("CLIENTS")
@pytest.mark.parametrize("token", [None, AGENT_TOKEN, "fapi_unknown-token-0123456789"])
def test_health_tells_its_status_and_the_time(api: Api, token: str | None) -> None:
    answer = api.get("/api/health", token=token)
    assert answer.json | {"timestamp": ""} == {"ok": True, "status": "healthy", "timestamp": ""}
    assert datetime.fromisoformat(answer.json["timestamp"]).tzinfo is not None


@pytest.mark.case("CLIENTS")
@pytest.mark.parametrize(
    ("method", "url", "body", "status"),
    [
        # Not taken over: registering by overwriting, tokens in the URL, ids in capitals.
        ("POST", "/api/friends", {"id": "alice", "display_name": "Another"}, 409),
        ("GET", "/api/friends/alice?token=fapi_admin-token-0123456789", None, 400),
        ("POST", "/api/friends", {"id": "Bob", "display_name": "Bob"}, 400),
    ],
)
def test_what_is_not_taken_over_stays_refused(
    api: Api, method: str, url: str, body: Any, status: int
) -> None:
    api.register_friend()
    assert api.call(method, url, json_body=body).status == status
    assert api.get("/api/friends/alice").json["display_name"] != "Another"
