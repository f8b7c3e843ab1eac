"""The end of a friend: everything of theirs goes, in order, and nothing comes back."""

from typing import Any

import boto3
import pytest

from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests.aws_double import AwsDouble
from tests.cluster_client import ClusterClient, wait_until
from tests.factories import AGENT_TOKEN, OTHER_AGENT_TOKEN
from tests.harness import BUCKET, TABLE, ZONE_ID, Api, Clock, configure_domain
from tests.manifests import create_config_map_manifest, create_service_manifest

DISCORD_ID = "123456789012345678"
FRIEND = "/api/friends/alice"
DELETE = f"{FRIEND}?confirm=alice"
EXPOSE = f"{FRIEND}/namespace/expose"
APPLY = f"{FRIEND}/namespace/apply"


@pytest.fixture
def clock() -> Clock:
    """The time, which passes when somebody sleeps."""
    return Clock()


@pytest.fixture
def api(backend: None, kube: ClusterDouble, cloudflare: CloudflareDouble, clock: Clock) -> Api:
    """The app with a domain; alice has an exposure and a platform id, and her agent is mochi."""
    kube.timing.termination_seconds = 0.0
    api = Api(
        configure_domain(cloudflare),
        now=clock.now,
    )
    api.register_friend(discord_id=DISCORD_ID, token=AGENT_TOKEN)
    assert api.post(APPLY, create_service_manifest()).status == 200
    assert api.post(EXPOSE, {"name": "app", "service": "web"}).status == 200
    return api


@pytest.fixture
def cluster(kube: ClusterDouble) -> ClusterClient:
    """The cluster, as its admin sees it."""
    return ClusterClient(kube.kubeconfig())


def rows() -> list[Any]:
    """Return what is recorded, but for operations, counts and what proves a deletion."""
    items: list[Any] = boto3.resource("dynamodb").Table(TABLE).scan()["Items"]
    return [
        each
        for each in items
        if not each["pk"].startswith(("OPERATIONS#", "TOMBSTONE#", "COUNTER#"))
        and not each["sk"].startswith("REMOVED#")
        and "expires_at" not in each
    ]


def profiles() -> list[str]:
    listed = boto3.client("s3").list_objects_v2(Bucket=BUCKET)
    return [str(each["Key"]) for each in listed.get("Contents", [])]


@pytest.mark.case("M2")
@pytest.mark.parametrize("left", ["AGENT#old", "EXPOSURE#old"])
def test_what_an_earlier_registration_left_keeps_nothing_from_going(
    api: Api, aws: AwsDouble, invocations: list[Any], left: str
) -> None:
    api.register_friend("carol")
    api.put("/api/friends/carol/agents/mochi", {"status": "active"})
    key = {"pk": {"S": "FRIEND#carol"}, "sk": {"S": left}}
    boto3.client("dynamodb").put_item(TableName=TABLE, Item={**key, "uid": {"S": "earlier"}})
    invocations.clear()
    assert api.delete("/api/friends/carol?confirm=carol").status == 202
    (report,) = api.deliver(invocations)
    assert report["operation"]["status"] == "succeeded"
    assert [each for each in aws.items(TABLE) if each["pk"] == "FRIEND#carol"] == []


def test_a_deletion_is_accepted_and_then_nothing_is_left(
    api: Api, cluster: ClusterClient, cloudflare: CloudflareDouble, invocations: list[Any]
) -> None:
    answer = api.delete(DELETE, token=AGENT_TOKEN)
    assert answer.status == 202, answer.text
    operation = answer.json["operation"]
    assert (operation["type"], operation["status"]) == ("delete", "pending")
    assert operation["progress"] == {"done": 0, "total": 4}
    assert answer.headers["Location"] == f"/test{operation['url']}"
    assert api.get(FRIEND).json["phase"] == "deleting"
    (report,) = api.deliver(invocations)
    assert report["operation"]["status"] == "succeeded"
    assert [each["step"] for each in report["operation"]["results"]] == [
        "exposures",
        "namespace",
        "profile",
        "friend",
    ]
    assert (rows(), profiles(), cloudflare.records(ZONE_ID)) == ([], [], [])
    assert cluster.find("/api/v1/namespaces/friend-alice") is None
    assert api.get(FRIEND).status == 404


@pytest.mark.case("H2")
def test_a_deletion_leaves_a_tombstone_for_good_once_the_friend_is_gone(
    api: Api, kube: ClusterDouble, clock: Clock, invocations: list[Any]
) -> None:
    table: Any = boto3.resource("dynamodb").Table(TABLE)
    row = table.get_item(Key={"pk": "FRIEND#alice", "sk": "PROFILE"})["Item"]
    key = {"pk": f"TOMBSTONE#{row['uid']}", "sk": "FRIEND"}
    api.delete(DELETE)
    event = invocations[0]
    kube.fail_next(status=500, times=99, match="DELETE /api/v1/namespaces")
    with pytest.raises(Exception, match="cluster"):
        api.run_operation(event)
    assert "Item" not in table.get_item(Key=key)
    kube.clear()
    clock.pass_seconds(60)
    for _ in range(2):
        api.run_operation(event)
        tombstone = table.get_item(Key=key)["Item"]
        about = {each: tombstone[each] for each in ("friend_id", "uid", "cluster", "created_at")}
        assert about == {
            "friend_id": "alice",
            "uid": row["uid"],
            "cluster": "main",
            "created_at": row["created_at"],
        }
        assert tombstone["deleted_at"] > row["created_at"]
        assert "expires_at" not in tombstone


def test_the_one_who_asked_sees_how_it_ended(api: Api, invocations: list[Any]) -> None:
    url = api.delete(DELETE, token=AGENT_TOKEN).json["operation"]["url"]
    api.deliver(invocations)
    for permitted in ({"token": AGENT_TOKEN}, {}):
        assert api.get(url, **permitted).json["status"] == "succeeded"
    assert api.get(url, token=OTHER_AGENT_TOKEN).status == 404


def test_the_name_goes_before_what_it_leads_to(
    api: Api, kube: ClusterDouble, cloudflare: CloudflareDouble, invocations: list[Any]
) -> None:
    api.delete(DELETE)
    kube.fail_next(status=500, times=99, match="DELETE /api/v1/namespaces")
    with pytest.raises(Exception, match="cluster"):
        api.deliver(invocations)
    assert cloudflare.records(ZONE_ID) == []
    assert api.get(FRIEND).json["phase"] == "deleting"


def test_a_deletion_that_was_interrupted_is_taken_up_again(
    api: Api, kube: ClusterDouble, clock: Clock, invocations: list[Any]
) -> None:
    api.delete(DELETE)
    kube.fail_next(status=500, times=99, match="DELETE /api/v1/namespaces")
    event = invocations[0]
    for _ in range(5):
        with pytest.raises(Exception, match="cluster"):
            api.run_operation(event)
        clock.pass_seconds(60)
    kube.clear()
    assert api.run_operation(event)["operation"]["status"] == "succeeded"
    assert api.run_operation(event)["operation"]["status"] == "succeeded"
    assert rows() == []


def test_a_second_call_is_the_same_deletion(api: Api, invocations: list[Any]) -> None:
    first, second = api.delete(DELETE), api.delete(DELETE)
    assert (first.status, second.status) == (202, 202)
    assert first.json["operation"]["id"] == second.json["operation"]["id"]
    api.deliver(invocations)
    assert api.delete(DELETE).status == 404


@pytest.mark.parametrize("query", ["", "?confirm=", "?confirm=bob", "?confirm=alice&confirm=alice"])
def test_it_needs_the_friends_id_twice(api: Api, query: str) -> None:
    answer = api.delete(f"{FRIEND}{query}")
    assert (answer.status, answer.json["details"][0]["path"]) == (400, "?confirm")
    assert api.get(FRIEND).json["phase"] == "ready"


def test_a_dry_run_deletes_nothing(api: Api, invocations: list[Any]) -> None:
    before = rows()
    answer = api.delete(f"{DELETE}&dry_run=true")
    assert (answer.status, answer.json["dry_run"], answer.json["operation"]["id"]) == (
        202,
        True,
        None,
    )
    assert (rows(), invocations) == (before, [])


def test_a_blocked_agent_may_not(api: Api) -> None:
    api.put(f"{FRIEND}/agents/mochi", {"status": "blocked"})
    assert api.delete(DELETE, token=AGENT_TOKEN).status == 403


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("PUT", FRIEND, {"display_name": "A"}),
        ("PUT", f"{FRIEND}/agents/tofu", {"status": "active"}),
        ("POST", f"{FRIEND}/namespace/provision", None),
        ("POST", APPLY, create_config_map_manifest()),
        ("POST", EXPOSE, {"name": "other", "service": "web"}),
        ("POST", "/api/friends", {"id": "alice", "display_name": "Alice"}),
    ],
)
def test_nothing_new_is_begun_for_a_friend_on_the_way_out(
    api: Api, method: str, url: str, body: Any
) -> None:
    api.delete(DELETE)
    answer = api.call(method, url, json_body=body)
    assert (answer.status, answer.json["code"]) == (409, "friend_deleting"), answer.text
    assert int(answer.headers["Retry-After"]) > 0


def test_k08_what_was_accepted_before_is_not_applied_any_more(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    url = api.post(APPLY, create_config_map_manifest(), headers={"Prefer": "respond-async"}).json
    api.delete(DELETE)
    invocations.reverse()
    api.deliver(invocations)
    assert api.get(url["operation"]["url"]).status == 404
    assert cluster.find("/api/v1/namespaces/friend-alice") is None


def test_h05_an_id_is_free_when_its_namespace_is_gone(
    api: Api, kube: ClusterDouble, invocations: list[Any]
) -> None:
    kube.timing.termination_seconds = 3600
    api.delete(DELETE)
    (report,) = api.deliver(invocations)
    assert report["operation"]["status"] == "running"
    answer = api.post("/api/friends", {"id": "alice", "display_name": "Alice"})
    assert (answer.status, answer.json["code"]) == (409, "friend_deleting")
    assert int(answer.headers["Retry-After"]) > 0


def test_h06_a_new_friend_of_the_id_inherits_nothing(
    api: Api, clock: Clock, invocations: list[Any]
) -> None:
    api.delete(DELETE)
    api.deliver(invocations)
    clock.pass_seconds(1)
    api.register_friend(discord_id=DISCORD_ID)
    found = api.get(FRIEND).json
    assert (found["friendships"], found["exposures"]) == ([], [])
    assert api.get(f"{FRIEND}/operations").json == []
    assert api.post(APPLY, create_service_manifest()).status == 200
    taken = api.post(EXPOSE, {"name": "app", "service": "web"})
    assert (taken.status, taken.json["code"]) == (409, "hostname_taken")
    clock.pass_seconds(301)
    assert api.post(EXPOSE, {"name": "app", "service": "web"}).status == 200


def test_a_friend_is_restored_as_the_runbook_says(api: Api, invocations: list[Any]) -> None:
    table = boto3.resource("dynamodb").Table(TABLE)
    backup = rows()
    api.delete(DELETE)
    api.deliver(invocations)
    for row in backup:
        table.put_item(Item=row)
    assert api.reconcile()["ok"]
    # The deletion has taken the number that comes next.
    assert api.post(APPLY, create_config_map_manifest()).json["code"] == "busy"
    (profile,) = (each for each in backup if each["sk"] == "PROFILE")
    last = profile["accepted"] + 1
    table.put_item(Item={**profile, "accepted": last, "finished": last})
    assert api.post(APPLY, create_config_map_manifest()).status == 200
    assert api.reconcile()["changed"] == 0


def test_what_is_not_the_friends_stays(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    path = "/api/v1/namespaces/friend-alice"
    cluster.merge(path, {"metadata": {"labels": {"friends-api/uid": "another"}}})
    api.delete(DELETE)
    (report,) = api.deliver(invocations)
    wait_until(lambda: api.get(FRIEND).status == 404)
    assert cluster.get(path)["metadata"].get("deletionTimestamp") is None
    steps = {each["step"]: each for each in report["operation"]["results"]}
    assert {step: each["status"] for step, each in steps.items()} == {
        "exposures": "done",
        "namespace": "left",
        "profile": "done",
        "friend": "done",
    }
    assert "friend-alice" in steps["namespace"]["message"]
    assert "admin has to remove it" in steps["namespace"]["message"]
    shown = api.get(report["operation"]["url"])
    assert (shown.status, shown.json["results"]) == (200, report["operation"]["results"])
