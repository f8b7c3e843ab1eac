"""Friends over HTTP: registered, found, read, changed, and known to agents."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest

from chalicelib.routes import answer_size
from infra.local.cluster import ClusterDouble
from tests.aws_double import AwsDouble
from tests.factories import (
    AGENT_ID,
    AGENT_TOKEN,
    OTHER_AGENT_ID,
    OTHER_AGENT_TOKEN,
    create_friend_body,
)
from tests.harness import Api, read_profile

DISCORD_ID = "123456789012345678"
SIGNAL = "+1 555 010 0199"
SUMMARY_FIELDS = {
    *("id", "display_name", "discord_id", "signal", "whatsapp", "preferred_channel"),
    *("namespace", "phase", "cluster"),
}


def test_registering_records_the_friend_provisions_and_writes_the_profile(api: Api) -> None:
    body = create_friend_body(discord_id=DISCORD_ID, preferred_channel="discord")
    answer = api.post("/api/friends", body)
    assert answer.status == 201
    assert answer.headers["Location"] == "/test/api/friends/alice"
    assert answer.json == {
        "ok": True,
        "id": "alice",
        "display_name": "Alice",
        "discord_id": DISCORD_ID,
        "signal": None,
        "whatsapp": None,
        "preferred_channel": "discord",
        "namespace": "friend-alice",
        "phase": "ready",
        "cluster": "main",
    }
    assert read_profile("alice")["discord_id"] == DISCORD_ID
    status = api.get("/api/friends/alice/namespace/status").json
    assert status["quota"]["hard"]["pods"] == "3"


def test_the_list_is_an_array_sorted_by_id_with_nulls_for_what_is_absent(api: Api) -> None:
    for friend_id in ("carol", "alice", "bob"):
        api.register_friend(friend_id)
    answer = api.get("/api/friends")
    assert [friend["id"] for friend in answer.json] == ["alice", "bob", "carol"]
    assert {frozenset(friend) for friend in answer.json} == {frozenset(SUMMARY_FIELDS)}
    assert answer.json[0]["signal"] is None
    assert "Link" not in answer.headers


def test_an_empty_list_is_an_empty_array(api: Api) -> None:
    assert api.get("/api/friends").json == []


def test_pages_follow_one_another_without_gap_or_repeat(api: Api) -> None:
    ids = [f"friend{number}" for number in range(5)]
    for friend_id in ids:
        api.register_friend(friend_id)
    seen, url, pages = [], "/api/friends?limit=2", 0
    while url:
        answer = api.get(url)
        seen += [friend["id"] for friend in answer.json]
        pages += 1
        url = answer.next_url
    assert (seen, pages) == (ids, 3)


def test_what_does_not_fit_one_answer_of_lambdas_is_cut_and_leads_to_the_rest(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    most_bytes = 4000
    monkeypatch.setattr(answer_size, "MOST_BYTES", most_bytes)
    ids = [f"friend{number}" for number in range(5)]
    for friend_id in ids:
        api.register_friend(friend_id, display_name="\N{GRINNING FACE}" * 100)
    seen, url, pages = [], "/api/friends", 0
    while url:
        answer = api.get(url)
        assert len(json.dumps(answer.text)) <= most_bytes
        seen += [friend["id"] for friend in answer.json]
        pages += 1
        url = answer.next_url
    assert (seen, pages) == (ids, 3)


def test_an_agents_pages_are_full_and_name_nobody_out_of_bounds(api: Api) -> None:
    for number in range(6):
        api.register_friend(f"friend{number}")
    for number in (0, 1, 3, 5):
        api.put(f"/api/friends/friend{number}/agents/mochi", {"status": "blocked"})
    first = api.get("/api/friends?limit=1", token=AGENT_TOKEN)
    assert [each["id"] for each in first.json] == ["friend2"]
    cursor = base64.urlsafe_b64encode(b"friend2").decode().rstrip("=")
    assert f"cursor={cursor}" in first.next_url
    second = api.get(first.next_url, token=AGENT_TOKEN)
    assert [each["id"] for each in second.json] == ["friend4"]
    assert "Link" not in second.headers


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "page=2"])
def test_a_page_that_cannot_be_is_refused(api: Api, query: str) -> None:
    answer = api.get(f"/api/friends?{query}")
    assert (answer.status, answer.json["code"]) == (400, "invalid_input")


@pytest.mark.parametrize("cursor", ["x", "", "YWxpY2U_", "QUxJQ0U", "4pyT", "YS4uL2I"])
def test_e04_a_cursor_that_we_did_not_make_is_refused(api: Api, cursor: str) -> None:
    assert api.get(f"/api/friends?cursor={cursor}").status == 400


def test_a_friend_is_found_by_a_platform_id_however_it_is_written(api: Api) -> None:
    api.register_friend(signal=SIGNAL)
    (found,) = api.get("/api/friends?signal=%2B1-555-010-0199").json
    assert (found["id"], found["signal"]) == ("alice", SIGNAL)
    assert api.get(f"/api/friends?discord_id={DISCORD_ID}").json == []


def test_looking_up_takes_one_identity_and_nothing_else(api: Api) -> None:
    both = f"/api/friends?discord_id={DISCORD_ID}&signal=%2B15550100199"
    assert api.get(both).status == 400
    assert api.get(f"/api/friends?discord_id={DISCORD_ID}&limit=5").status == 400
    assert api.get("/api/friends?discord_id=abc").status == 400


def test_a_friend_is_read_with_profile_friendships_and_exposures(api: Api) -> None:
    api.register_friend(token=AGENT_TOKEN)
    answer = api.get("/api/friends/alice")
    assert answer.status == 200
    assert answer.json["profile"] == read_profile("alice")
    (friendship,) = answer.json["friendships"]
    assert friendship.keys() == {"agent_id", "friend_id", "status", "created_at"}
    assert (friendship["agent_id"], friendship["status"]) == (AGENT_ID, "active")
    assert answer.json["exposures"] == []
    assert answer.json.keys() == SUMMARY_FIELDS | {"profile", "friendships", "exposures"}


def test_an_unknown_friend_is_404(api: Api) -> None:
    for call in (
        api.get("/api/friends/bob"),
        api.put("/api/friends/bob", {"display_name": "Bob"}),
        api.get("/api/friends/bob/namespace/pods"),
        api.post("/api/friends/bob/namespace/provision"),
    ):
        assert (call.status, call.json["code"]) == (404, "friend_not_found")


def test_h04_an_id_belongs_to_one_friend(api: Api) -> None:
    api.register_friend()
    answer = api.post("/api/friends", create_friend_body(display_name="Another"))
    assert (answer.status, answer.json["code"]) == (409, "id_taken")
    assert [detail["path"] for detail in answer.json["details"]] == ["/id"]
    assert api.get("/api/friends/alice").json["display_name"] == "Alice"


def test_a_platform_id_belongs_to_one_friend_and_the_answer_names_it(api: Api) -> None:
    api.register_friend(discord_id=DISCORD_ID, signal=SIGNAL)
    taken = create_friend_body(id="bob", discord_id=DISCORD_ID, signal="+15550100199")
    answer = api.post("/api/friends", taken)
    assert (answer.status, answer.json["code"]) == (409, "platform_id_taken")
    paths = [detail["path"] for detail in answer.json["details"]]
    assert paths == ["/discord_id", "/signal"]
    assert api.get("/api/friends/bob").status == 404
    api.register_friend("bob", discord_id=None)


def test_h04_one_of_many_registrations_at_once_wins(api: Api) -> None:
    def register(number: int) -> int:
        body = create_friend_body(display_name=f"Alice {number}")
        return Api().post("/api/friends", body).status

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(register, range(4)))
    assert statuses == [201, 409, 409, 409]


def test_updating_merges_clears_and_rewrites_the_profile(api: Api) -> None:
    api.register_friend(discord_id=DISCORD_ID, signal=SIGNAL)
    answer = api.put("/api/friends/alice", {"display_name": "Al", "signal": None})
    assert answer.status == 200
    assert answer.json["ok"] is True
    assert (answer.json["display_name"], answer.json["signal"]) == ("Al", None)
    assert answer.json["discord_id"] == DISCORD_ID
    profile = read_profile("alice")
    assert (profile["display_name"], profile["signal"]) == ("Al", None)
    assert profile == api.get("/api/friends/alice").json["profile"]


def test_a_platform_id_that_is_given_up_can_be_taken(api: Api) -> None:
    api.register_friend(discord_id=DISCORD_ID)
    api.register_friend("bob")
    assert api.put("/api/friends/bob", {"discord_id": DISCORD_ID}).status == 409
    assert api.put("/api/friends/alice", {"discord_id": None}).status == 200
    assert api.put("/api/friends/bob", {"discord_id": DISCORD_ID}).status == 200
    assert api.get(f"/api/friends?discord_id={DISCORD_ID}").json[0]["id"] == "bob"


def test_an_update_with_a_stale_etag_changes_nothing(api: Api) -> None:
    api.register_friend()
    etag = api.get("/api/friends/alice").headers["ETag"]
    first = api.put("/api/friends/alice", {"display_name": "A"}, headers={"If-Match": etag})
    second = api.put("/api/friends/alice", {"display_name": "B"}, headers={"If-Match": etag})
    assert (first.status, second.status) == (200, 412)
    assert api.get("/api/friends/alice").json["display_name"] == "A"
    again = {"If-Match": f'"other", {first.headers["ETag"]}'}
    assert api.put("/api/friends/alice", {"display_name": "C"}, headers=again).status == 200
    assert api.put("/api/friends/alice", {"display_name": "D"}, headers={"If-Match": "*"}).status
    for malformed in ("x", '"x', "", '"x" "y"'):
        headers = {"If-Match": malformed}
        assert api.put("/api/friends/alice", {"display_name": "E"}, headers=headers).status == 400


def test_updates_at_once_all_land(api: Api) -> None:
    api.register_friend()
    values = {"display_name": "Al", "signal": SIGNAL, "discord_id": DISCORD_ID}

    def update(field: str) -> int:
        return Api().put("/api/friends/alice", {field: values[field]}).status

    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(update, values)) == {200}
    friend = api.get("/api/friends/alice").json
    assert {name: friend[name] for name in values} == values
    assert {name: read_profile("alice")[name] for name in values} == values


def test_an_agent_sets_its_own_relationship_and_only_that(api: Api) -> None:
    api.register_friend()
    own, other = (f"/api/friends/alice/agents/{each}" for each in (AGENT_ID, OTHER_AGENT_ID))
    answer = api.put(own, {"status": "inactive"}, token=AGENT_TOKEN)
    assert answer.status == 200
    assert (answer.json["ok"], answer.json["status"]) == (True, "inactive")
    assert api.put(other, {"status": "blocked"}, token=AGENT_TOKEN).status == 403
    assert api.delete(other, token=AGENT_TOKEN).status == 403
    assert api.delete(own, token=AGENT_TOKEN).json == {"ok": True}
    assert api.delete(own, token=AGENT_TOKEN).status == 404
    assert api.put(other, {"status": "active"}).status == 200


def test_a_relationship_keeps_its_beginning(api: Api) -> None:
    api.register_friend(token=AGENT_TOKEN)
    url = f"/api/friends/alice/agents/{AGENT_ID}"
    before = api.get("/api/friends/alice").json["friendships"][0]["created_at"]
    after = api.put(url, {"status": "inactive"}).json["created_at"]
    assert before == after


def test_a_blocked_agent_is_kept_out_and_cannot_lift_the_block(api: Api) -> None:
    api.register_friend(discord_id=DISCORD_ID)
    url = f"/api/friends/alice/agents/{AGENT_ID}"
    api.put(url, {"status": "blocked"})
    assert api.get("/api/friends/alice", token=AGENT_TOKEN).status == 403
    assert api.put(url, {"status": "active"}, token=AGENT_TOKEN).status == 403
    assert api.delete(url, token=AGENT_TOKEN).status == 403
    assert api.get("/api/friends", token=AGENT_TOKEN).json == []
    lookup = f"/api/friends?discord_id={DISCORD_ID}"
    assert api.get(lookup, token=AGENT_TOKEN).json == []
    assert api.get("/api/friends/alice", token=OTHER_AGENT_TOKEN).status == 200


def test_relationships_can_be_required(backend: None) -> None:
    api = Api({"REQUIRE_RELATIONSHIP": "true"})
    api.register_friend("alice", token=AGENT_TOKEN)
    api.register_friend("bob")
    assert [each["id"] for each in api.get("/api/friends", token=AGENT_TOKEN).json] == ["alice"]
    assert api.get("/api/friends/bob", token=AGENT_TOKEN).status == 403
    grant = f"/api/friends/bob/agents/{AGENT_ID}"
    assert api.put(grant, {"status": "active"}, token=AGENT_TOKEN).status == 403
    assert api.put(grant, {"status": "active"}).status == 200
    assert api.get("/api/friends/bob", token=AGENT_TOKEN).status == 200


@pytest.fixture
def narrowed(backend: None) -> Api:
    """An app that narrows agents to their own friends: mochi has five of seven."""
    api = Api({"REQUIRE_RELATIONSHIP": "true"})
    for number in range(5):
        api.register_friend(f"friend{number}", token=AGENT_TOKEN)
    api.register_friend("another")
    api.register_friend("zoe")
    return api


@pytest.mark.case("M3")
@pytest.mark.parametrize("limit", [1, 2, 5, 1000])
def test_an_agents_own_friends_follow_one_another_without_gap_or_repeat(
    narrowed: Api, limit: int
) -> None:
    narrowed.put(f"/api/friends/friend3/agents/{AGENT_ID}", {"status": "inactive"})
    seen, url, pages = [], f"/api/friends?limit={limit}", 0
    while url:
        answer = narrowed.get(url, token=AGENT_TOKEN)
        seen += [each["id"] for each in answer.json]
        pages += 1
        url = answer.next_url
    assert seen == ["friend0", "friend1", "friend2", "friend4"]
    assert pages == -(-4 // limit)


@pytest.mark.case("M3")
def test_a_relationship_with_an_earlier_friend_of_the_id_lists_no_friend(
    narrowed: Api, aws: AwsDouble
) -> None:
    boto3.client("dynamodb").update_item(
        TableName="friends",
        Key={"pk": {"S": "FRIEND#friend1"}, "sk": {"S": "PROFILE"}},
        UpdateExpression="SET uid = :uid",
        ExpressionAttributeValues={":uid": {"S": "another"}},
    )
    listed = narrowed.get("/api/friends", token=AGENT_TOKEN).json
    assert [each["id"] for each in listed] == ["friend0", "friend2", "friend3", "friend4"]


@pytest.mark.case("M3")
@pytest.mark.parametrize("token", [AGENT_TOKEN, OTHER_AGENT_TOKEN])
def test_a_list_ends_with_its_time_and_leads_on(
    api: Api, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    for number in range(4):
        api.register_friend(f"friend{number}", token=AGENT_TOKEN)
        api.put(f"/api/friends/friend{number}/agents/tofu", {"status": "blocked"})
    monkeypatch.setattr("chalicelib.services.friends._MOST_LOADED", 1)
    narrowed = Api({"REQUIRE_RELATIONSHIP": "true"} if token == AGENT_TOKEN else {})
    options: Any = {"token": token, "remaining_seconds": 4}
    answer = narrowed.get("/api/friends?limit=2", **options)
    assert len(answer.json) == (1 if token == AGENT_TOKEN else 0)
    assert answer.next_url


def test_a_cluster_is_one_of_those_we_know(backend: None) -> None:
    api = Api({"CLUSTERS": "main,second"})
    refused = api.post("/api/friends", create_friend_body(cluster="third"))
    assert (refused.status, refused.json["details"][0]["path"]) == (400, "/cluster")
    # The second cluster has no kubeconfig yet: the friend is recorded, and waits.
    waiting = api.post("/api/friends", create_friend_body(cluster="second"))
    assert (waiting.status, waiting.json["cluster"]) == (202, "second")


def test_a_friend_is_recorded_while_the_cluster_is_away_and_finished_later(
    api: Api, kube: ClusterDouble
) -> None:
    kube.fail_next(status=503, times=50)
    answer = api.post("/api/friends", create_friend_body(), remaining_seconds=6)
    assert (answer.status, answer.json["phase"]) == (202, "provisioning")
    assert [each["part"] for each in answer.json["pending"]] == ["namespace"]
    assert api.get("/api/friends/alice").json["phase"] == "provisioning"
    kube.clear()
    assert api.post("/api/friends/alice/namespace/provision").status == 200
    assert api.get("/api/friends/alice").json["phase"] == "ready"


def test_a_friend_is_recorded_while_the_workspace_is_away_and_finished_later(api: Api) -> None:
    s3 = boto3.client("s3")
    s3.delete_bucket(Bucket="workspace")
    answer = api.post("/api/friends", create_friend_body())
    assert (answer.status, answer.json["phase"]) == (202, "provisioning")
    assert [each["part"] for each in answer.json["pending"]] == ["profile"]
    s3.create_bucket(Bucket="workspace")
    assert api.post("/api/friends/alice/namespace/provision").status == 200
    assert read_profile("alice")["id"] == "alice"
    assert api.get("/api/friends/alice").json["phase"] == "ready"


def test_an_update_is_kept_while_the_workspace_is_away(api: Api) -> None:
    api.register_friend()
    s3 = boto3.client("s3")
    s3.delete_object(Bucket="workspace", Key="friends/alice/profile.json")
    s3.delete_bucket(Bucket="workspace")
    answer = api.put("/api/friends/alice", {"display_name": "Al"})
    assert (answer.status, answer.json["display_name"]) == (202, "Al")
    s3.create_bucket(Bucket="workspace")
    assert api.put("/api/friends/alice", {"display_name": "Al"}).status == 200
    assert read_profile("alice")["display_name"] == "Al"


def test_a_friend_is_recorded_in_time_while_the_cluster_hangs(
    api: Api, kube: ClusterDouble
) -> None:
    kube.latency_seconds = 30
    started = time.monotonic()
    answer = api.post("/api/friends", create_friend_body(), remaining_seconds=6)
    assert (answer.status, answer.json["phase"]) == (202, "provisioning")
    assert answer.json["pending"][0]["code"] in {"out_of_time", "cluster_unreachable"}
    assert time.monotonic() - started < 6
