"""Rows and objects that no request could have written: they cost nobody anything but themselves."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib.domain.errors import UpstreamUnreachable
from chalicelib.gateways.cluster import _OpenCluster
from chalicelib.gateways.exposures import DynamoExposureStore
from chalicelib.gateways.inventory import DynamoInventory
from chalicelib.gateways.seam import Seam
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests.api.reconcile.outside import (
    DISCORD_ID,
    FRIEND,
    HOST,
    INSIDE,
    ROUTE,
    Outside,
    codes,
    delete_profile,
    delete_quota,
    find_row,
    forget_record_id,
    lose_host,
    lose_identity,
    orphan,
    repairs,
    require_quiet,
    set_row,
    table,
)
from tests.cluster_client import ClusterClient
from tests.harness import ZONE_ID, Api, Clock, configure_domain, read_profile
from tests.manifests import create_config_map_manifest, create_service_manifest

ASYNC = {"Prefer": "respond-async"}


def expose(api: Api, friend_id: str, name: str) -> Any:
    """Expose the Service web of a friend under a name, and return the answer."""
    manifest = create_service_manifest()
    manifest["metadata"]["namespace"] = f"friend-{friend_id}"
    path = f"/api/friends/{friend_id}/namespace"
    assert api.post(f"{path}/apply", manifest).status == 200
    return api.post(f"{path}/expose", {"name": name, "service": "web"})


def accept_apply(api: Api, friend_id: str = "alice") -> str:
    """Have an apply accepted that waits for its turn; return the operation's id."""
    manifest = create_config_map_manifest("settings")
    manifest["metadata"]["namespace"] = f"friend-{friend_id}"
    path = f"/api/friends/{friend_id}/namespace/apply"
    answer = api.post(path, manifest, headers=ASYNC)
    assert answer.status == 202
    return str(answer.json["operation"]["id"])


def found_of(report: Any, code: str = "damaged_row") -> list[Any]:
    """Return whose findings of this code the report has, one for each."""
    return [each["friend_id"] for each in report["failed"] if each["code"] == code]


def is_recorded(cloudflare: CloudflareDouble, hostname: str = HOST) -> bool:
    return hostname in {each["name"] for each in cloudflare.records(ZONE_ID)}


@pytest.mark.parametrize(
    "damage", [{"port": "eighty"}, {"service": "Web"}, {"hostname": "x"}, {"uid": None}]
)
def test_a_damaged_exposure_keeps_all_that_belongs_to_it(
    api: Api, cluster: ClusterClient, cloudflare: CloudflareDouble, damage: Any
) -> None:
    set_row("FRIEND#alice", "EXPOSURE#app", **damage)
    report = api.reconcile()
    assert (report["repaired"], found_of(report)) == ([], ["alice"])
    assert "FRIEND#alice, EXPOSURE#app" in report["failed"][0]["what"]
    assert cluster.find(ROUTE) is not None
    assert is_recorded(cloudflare)
    assert find_row(f"HOST#{HOST}", "CLAIM")
    assert found_of(api.reconcile({"friend_id": "alice"})) == ["alice"]


def test_a_damaged_exposure_keeps_its_name(api: Api) -> None:
    assert expose(api, "alice", "x-app").status == 200
    api.register_friend("app-alice")
    set_row("FRIEND#alice", "EXPOSURE#x-app", port="eighty")
    api.reconcile()
    assert expose(api, "app-alice", "x").json["code"] == "hostname_taken"


def test_an_exposure_in_another_friends_rows_is_damaged(
    api: Api, cluster: ClusterClient, cloudflare: CloudflareDouble
) -> None:
    api.register_friend("bob")
    row = find_row("FRIEND#alice", "EXPOSURE#app")
    hostname = HOST.replace("alice", "bob")
    table().put_item(Item={**row, "friend_id": "bob", "hostname": hostname})
    report = api.reconcile()
    assert (report["repaired"], found_of(report)) == ([], ["alice"])
    assert not is_recorded(cloudflare, hostname)


def damage_watch(_: Api) -> None:
    key = {"pk": "OPERATIONS#bob", "sk": "0-1"}
    table().put_item(Item={**key, "list_pk": "WATCHED", "list_sk": "bob#0-1", "uid": "u"})


def damage_pending_operation(api: Api) -> None:
    set_row("OPERATIONS#bob", accept_apply(api, "bob"), manifests="damaged")


def damage_date_of_operation(api: Api) -> None:
    set_row("OPERATIONS#bob", accept_apply(api, "bob"), created_at="yesterday")


def damage_registration_date(_: Api) -> None:
    set_row("FRIEND#bob", "PROFILE", created_at="yesterday", accepted=1)


def damage_contact(_: Api) -> None:
    set_row("FRIEND#bob", "PROFILE", signal=5)


def damage_identity(_: Api) -> None:
    set_row("FRIEND#bob", "PROFILE", signal="nobody's number")


def damage_phase(_: Api) -> None:
    set_row("FRIEND#bob", "PROFILE", phase="unheard-of")


def damage_friendship(api: Api) -> None:
    assert api.put("/api/friends/bob/agents/mochi", {"status": "active"}).status < 300
    set_row("FRIEND#bob", "AGENT#mochi", status="unheard-of")


def damage_claim(_: Api) -> None:
    key = {"pk": "HOST#x", "sk": "CLAIM"}
    table().put_item(Item={**key, "list_pk": "CLAIMS", "list_sk": "bob#HOST#x", "uid": "u"})


def damage_claims_owner(_: Api) -> None:
    key = {"pk": "HOST#x", "sk": "CLAIM", "list_pk": "CLAIMS", "list_sk": "bob#HOST#x"}
    table().put_item(Item={**key, "friend_id": 5, "uid": "u"})


Damage = Callable[[Api], None]
DAMAGES: dict[Damage, str | None] = {
    damage_watch: "bob",
    damage_registration_date: "bob",
    damage_contact: "bob",
    damage_phase: "bob",
    damage_claim: None,
    damage_claims_owner: None,
}
OTHER_DAMAGES: tuple[Damage, ...] = (
    damage_pending_operation,
    damage_date_of_operation,
    damage_identity,
    damage_friendship,
)


@pytest.mark.parametrize("damage", [*DAMAGES, *OTHER_DAMAGES])
def test_a_damaged_row_keeps_nobody_else_from_theirs(
    api: Api, cluster: ClusterClient, outside: Outside, damage: Damage
) -> None:
    for friend_id in ("bob", "zoe"):
        api.register_friend(friend_id)
    assert expose(api, "bob", "app").status == 200
    damage(api)
    orphan("zoe")
    for drift in (delete_profile, delete_quota, lose_identity, forget_record_id):
        drift(outside)
    before = {each["pk"] for each in table().scan()["Items"]}
    report = api.reconcile()
    assert {
        "Namespace friend-zoe deleted",
        "profile.json deleted",
        "profile.json written",
        "ResourceQuota friend-quota created",
        f"claim of identity discord#{DISCORD_ID} made again",
        f"DNS record {HOST} restored",
    } <= set(repairs(report))
    assert before <= {each["pk"] for each in table().scan()["Items"]}
    assert cluster.find("/api/v1/namespaces/friend-bob") is not None
    assert is_recorded(outside.cloudflare, HOST.replace("alice", "bob"))
    assert read_profile("bob")["id"] == "bob"
    assert "internal_error" not in codes(report["failed"])
    if damage in DAMAGES:
        assert found_of(report) == [DAMAGES[damage]]


def test_the_list_leaves_a_damaged_friend_out_and_goes_on(api: Api) -> None:
    for friend_id in ("bob", "carol", "dave"):
        api.register_friend(friend_id)
    for friend_id in ("bob", "carol"):
        row = find_row(f"FRIEND#{friend_id}", "PROFILE")
        del row["display_name"]
        table().put_item(Item=row)
    assert [each["id"] for each in api.get("/api/friends").json] == ["alice", "dave"]
    first = api.get("/api/friends?limit=1")
    assert [each["id"] for each in first.json] == ["alice"]
    following = api.get(first.next_url)
    assert ([each["id"] for each in following.json], following.headers.get("Link")) == (
        ["dave"],
        None,
    )
    answer = api.get("/api/friends/bob")
    assert (answer.status, answer.json["code"]) == (502, "damaged_row")


def test_what_nobody_expected_is_an_answer_and_a_failed_pass(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(DynamoInventory, "friends", lambda *_: 1 / 0)
    with caplog.at_level("INFO", logger="chalicelib.metrics"):
        answer = api.reconcile()
    assert (answer["ok"], answer["code"]) == (False, "internal_error")
    assert answer["request_id"]
    (line,) = (vars(each) for each in caplog.records if each.name == "chalicelib.metrics")
    assert (line["Passes"], line["FailedPasses"]) == (1, 1)


@pytest.mark.parametrize("answer_is_lost", [False, True])
def test_a_lock_that_fails_leaves_no_leases_and_the_others_theirs(
    api: Api, monkeypatch: pytest.MonkeyPatch, *, answer_is_lost: bool
) -> None:
    assert expose(api, "alice", "two").status == 200
    for name in ("app", "two"):
        set_row("FRIEND#alice", f"EXPOSURE#{name}", record_id=None)
    lock = DynamoExposureStore.lock

    def lock_badly(self: Any, exposure: Any, lease: Any, now: float) -> None:
        if exposure.name == "two":
            if answer_is_lost:
                lock(self, exposure, lease, now)
            msg = "Others are changing the same records."
            raise UpstreamUnreachable(msg, code="dynamodb_busy", retry_after_seconds=1)
        lock(self, exposure, lease, now)

    with monkeypatch.context() as patch:
        patch.setattr(DynamoExposureStore, "lock", lock_badly)
        report = api.reconcile()
    assert found_of(report, "dynamodb_busy") == ["alice"]
    assert repairs(report) == [f"DNS record {HOST} restored"]
    assert find_row("FRIEND#alice", "EXPOSURE#app")["record_id"]
    for hostname in (HOST, "two-alice.friends.example"):
        assert "lease_owner" not in find_row(f"HOST#{hostname}", "CLAIM")
    assert repairs(api.reconcile()) == ["DNS record two-alice.friends.example restored"]


@pytest.mark.parametrize(
    "damage", [{"manifests": "damaged"}, {"created_at": 5}, {"type": "?"}, {"results": 1}]
)
def test_a_damaged_operation_blocks_no_deletion(
    api: Api, invocations: list[Any], damage: Any
) -> None:
    set_row("OPERATIONS#alice", accept_apply(api), **damage)
    assert api.delete(f"{FRIEND}?confirm=alice").status == 202
    api.deliver(invocations)
    assert api.get(FRIEND).status == 404


def test_a_damaged_operation_has_failed_and_the_next_one_runs(
    api: Api, seam: Seam, cluster: ClusterClient, invocations: list[Any]
) -> None:
    identifier = accept_apply(api)
    set_row("OPERATIONS#alice", identifier, manifests="damaged")
    later = create_config_map_manifest("later")
    assert api.post(f"{FRIEND}/namespace/apply", later, headers=ASYNC).status == 202
    api.deliver(invocations)
    url = f"{FRIEND}/operations/{identifier}"
    shown = api.get(url).json
    assert (shown["status"], shown["code"]) == ("failed", "damaged_row")
    assert shown["finished_at"]
    assert cluster.find(f"{INSIDE}/configmaps/later") is not None
    listed = api.get(f"{FRIEND}/operations").json
    assert [each["status"] for each in listed[:2]] == ["succeeded", "failed"]
    require_quiet(api, seam)


def test_a_waiting_operation_whose_row_is_damaged_ends(
    api: Api, seam: Seam, invocations: list[Any]
) -> None:
    url = f"{FRIEND}/namespace/apply?wait=ready"
    identifier = api.post(url, create_config_map_manifest("settings")).json["operation"]["id"]
    api.deliver(invocations)
    set_row("OPERATIONS#alice", identifier, manifests="damaged")
    report = api.reconcile()
    assert (report["repaired"], invocations) == ([], [])
    assert api.get(f"{FRIEND}/operations").json[0]["code"] == "damaged_row"
    require_quiet(api, seam)


def test_an_identity_that_is_taken_keeps_no_host_name_from_its_owner(
    api: Api, outside: Outside
) -> None:
    lose_identity(outside)
    lose_host(outside)
    api.register_friend("bob", discord_id=DISCORD_ID)
    report = api.reconcile()
    assert find_row(f"HOST#{HOST}", "CLAIM")
    assert repairs(report) == [f"claim of host {HOST} made again"]
    assert [each["friend_id"] for each in report["failed"]] == ["alice"]


def test_a_host_name_that_is_taken_keeps_no_other_from_its_owner(api: Api) -> None:
    assert expose(api, "alice", "zoo").status == 200
    # Somebody is at work on it, so that it is not given up as nobody's.
    theirs = {"uid": "f" * 32, "friend_id": "bob", "list_sk": "bob#x", "lease_until": 2**40}
    set_row(f"HOST#{HOST}", "CLAIM", **theirs)
    other = "HOST#zoo-alice.friends.example"
    table().delete_item(Key={"pk": other, "sk": "CLAIM"})
    report = api.reconcile()
    assert find_row(other, "CLAIM")
    assert "hostname_taken" in codes(report["failed"])


def test_a_cluster_that_is_not_configured_is_told(api: Api) -> None:
    set_row("FRIEND#alice", "PROFILE", cluster="gone")
    report = api.reconcile()
    assert codes(report["failed"]) == {"cluster_misconfigured"}
    assert "gone" in report["failed"][0]["what"]


def test_a_domain_that_is_not_configured_is_told(
    backend: None, kube: ClusterDouble, cloudflare: CloudflareDouble, clock: Clock
) -> None:
    environment = configure_domain(cloudflare)
    api = Api(environment, now=clock.now)
    api.register_friend()
    assert expose(api, "alice", "app").status == 200
    bare = Api({**environment, "DOMAINS": "[]"}, now=clock.now)
    report = bare.reconcile()
    assert codes(report["failed"]) == {"dns_misconfigured"}
    assert "friends.example" in report["failed"][0]["what"]


@pytest.mark.parametrize(
    "item",
    [
        {"metadata": {"name": "friend-odd", "namespace": "friend-alice", "labels": ["x"]}},
        {"metadata": {"name": "friend-alice", "namespace": "friend-alice", "labels": 5}},
        {"metadata": {"name": 5, "namespace": 5}},
        {"metadata": None},
        "odd",
    ],
)
def test_an_odd_object_stops_nothing(
    api: Api, outside: Outside, monkeypatch: pytest.MonkeyPatch, item: Any
) -> None:
    delete_quota(outside)
    list_pages = _OpenCluster.list_pages

    def list_oddly(self: Any, kind: Any, labels: str = "") -> Iterator[list[Any]]:
        for page in list_pages(self, kind, labels):
            yield [item, *page]

    monkeypatch.setattr(_OpenCluster, "list_pages", list_oddly)
    report = api.reconcile()
    assert (repairs(report), report["failed"]) == (["ResourceQuota friend-quota created"], [])


def test_handing_on_ends_where_there_is_never_time(
    api: Api, outside: Outside, invocations: list[Any]
) -> None:
    delete_quota(outside)
    assert api.reconcile(remaining_seconds=20)["handed_on"] == 1
    report = api.reconcile(invocations.pop(), remaining_seconds=20)
    assert (codes(report["failed"]), report["handed_on"]) == ({"timeout_too_short"}, 0)
    assert invocations == []


def test_a_friend_who_was_misspelt_is_not_found(api: Api, seam: Seam) -> None:
    seam.writes.clear()
    report = api.reconcile({"friend_id": "nobody"})
    assert (report["ok"], found_of(report, "friend_not_found")) == (False, ["nobody"])
    assert +seam.writes == {}


def test_work_for_a_friend_who_is_gone_by_now_is_no_failure(api: Api) -> None:
    report = api.reconcile({"friends": {"nobody": ["profile"]}})
    assert (report["ok"], report["changed"]) == (True, 0)


def test_a_report_says_nothing_of_operations_that_it_did_not_look_for(api: Api) -> None:
    assert "oldest_unfinished_operation_seconds" not in api.reconcile({"friend_id": "alice"})
    assert "oldest_unfinished_operation_seconds" in api.reconcile()


def test_a_look_at_an_operation_that_fails_stops_nothing(
    api: Api, outside: Outside, kube: ClusterDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_profile(outside)
    monkeypatch.setattr(DynamoInventory, "watched", lambda *_: 1 / 0)
    report = api.reconcile()
    assert "profile.json written" in repairs(report)
    assert "oldest_unfinished_operation_seconds" not in report
