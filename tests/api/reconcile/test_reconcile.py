"""Reconcile: whatever died, the world converges to what was recorded, and then is quiet."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest

from chalicelib.gateways.dynamodb import DynamoFriendStore
from chalicelib.gateways.exposures import DynamoExposureStore
from chalicelib.gateways.inventory import DynamoInventory
from chalicelib.gateways.seam import Seam
from chalicelib.services import reconciling
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests.api.reconcile.outside import (
    DISCORD_ID,
    FRIEND,
    HOST,
    INSIDE,
    ROUTE,
    SCHEDULED,
    Outside,
    age_quota,
    bend_route,
    bury,
    codes,
    delete_namespace,
    delete_profile,
    delete_quota,
    delete_record,
    delete_route,
    edit_profile,
    find_row,
    forget_record_id,
    leave_unready,
    lose_host,
    lose_identity,
    lower_security,
    open_policy,
    orphan,
    remove_exposure,
    repairs,
    require_quiet,
    switch_token_on,
    table,
    widen_quota,
)
from tests.cluster_client import ClusterClient
from tests.factories import create_friend_body
from tests.harness import BUCKET, TABLE, ZONE_ID, Api, Clock, read_profile
from tests.manifests import create_config_map_manifest, create_service_manifest


def test_l12_a_clean_pass_costs_its_lists_and_writes_nothing(
    api: Api, seam: Seam, kube: ClusterDouble, cloudflare: CloudflareDouble
) -> None:
    api.reconcile()
    for log in (kube.requests, cloudflare.requests):
        log.clear()
    seam.calls.clear()
    require_quiet(api, seam)
    # Friends, their counts, exposures, claims, watched operations; the run's lease, taken and given
    # back; and the count of the request to Cloudflare.
    assert seam.calls == {"dynamodb": 8, "cluster": 7, "s3": 1, "cloudflare": 1}
    assert {each.method for each in (*kube.requests, *cloudflare.requests)} == {"GET"}
    assert all("friend-" not in each.path for each in kube.requests)


@pytest.mark.parametrize("event", [{}, SCHEDULED])
def test_the_schedule_and_the_console_start_the_same_pass(api: Api, event: Any) -> None:
    report = api.reconcile(event)
    assert report.keys() == {
        "ok",
        "dry_run",
        "checked",
        "changed",
        "handed_on",
        "postponed",
        "orphans",
        "oldest_unfinished_operation_seconds",
        "repaired",
        "failed",
        "refused",
        "unproved",
        "left_out",
    }
    assert (report["ok"], report["checked"], report["dry_run"]) == (True, 1, False)


Drift = Callable[[Outside], None]
DRIFTS: dict[Drift, str] = {
    delete_quota: "ResourceQuota friend-quota created",
    widen_quota: "ResourceQuota friend-quota configured",
    age_quota: "ResourceQuota friend-quota configured",
    open_policy: "NetworkPolicy friend-netpol configured",
    switch_token_on: "ServiceAccount default configured",
    delete_namespace: "Namespace friend-alice created",
    lower_security: "Namespace friend-alice configured",
    delete_route: "IngressRoute expose-app restored",
    bend_route: "IngressRoute expose-app restored",
    delete_record: "DNS record app-alice.friends.example restored",
    forget_record_id: "DNS record app-alice.friends.example restored",
    delete_profile: "profile.json written",
    edit_profile: "profile.json written",
    lose_identity: f"claim of identity discord#{DISCORD_ID} made again",
    lose_host: "claim of host app-alice.friends.example made again",
    leave_unready: "phase provisioning became ready",
}


@pytest.mark.parametrize("drift", DRIFTS)
@pytest.mark.parametrize("event", [{}, {"friend_id": "alice"}], ids=["pass", "friend"])
def test_what_is_not_as_recorded_is_repaired(
    api: Api, seam: Seam, outside: Outside, drift: Drift, event: Any
) -> None:
    drift(outside)
    report = api.reconcile(event)
    assert (report["failed"], report["refused"]) == ([], [])
    assert DRIFTS[drift] in repairs(report)
    assert codes(report["repaired"]) <= {
        "created",
        "configured",
        "restored",
        "written",
        "claimed",
        "ready",
    }
    require_quiet(api, seam)


@pytest.mark.case("M12")
def test_a_namespace_of_before_gets_the_quota_that_counts_finished_pods(
    api: Api, outside: Outside
) -> None:
    age_quota(outside)
    path = f"{INSIDE}/resourcequotas/friend-quota"
    assert "count/pods" not in outside.cluster.get(path)["spec"]["hard"]
    assert api.reconcile()["ok"]
    assert outside.cluster.get(path)["spec"]["hard"]["count/pods"] == "60"


@pytest.mark.parametrize("drift", DRIFTS)
def test_a_dry_run_tells_what_it_would_do_and_does_nothing(
    api: Api, seam: Seam, outside: Outside, drift: Drift
) -> None:
    drift(outside)
    seam.writes.clear()
    sent = seam.calls["cloudflare"]
    report = api.reconcile({"dry_run": True})
    counted = {"dynamodb": seam.calls["cloudflare"] - sent}
    assert (report["dry_run"], report["changed"], +seam.writes) == (True, 0, counted)
    planned = repairs(report)
    assert DRIFTS[drift] in planned
    assert set(planned) <= {*repairs(api.reconcile())}


def test_what_differs_for_one_friend_costs_nothing_for_the_others(
    api: Api, outside: Outside, kube: ClusterDouble
) -> None:
    for friend_id in ("bob", "carol"):
        api.register_friend(friend_id)
    widen_quota(outside)
    kube.requests.clear()
    report = api.reconcile()
    assert (report["checked"], report["changed"]) == (3, 1)
    touched = {
        each.path.split("/namespaces/")[-1] for each in kube.requests if "friend-" in each.path
    }
    assert {each.partition("/")[0] for each in touched} == {"friend-alice"}
    writes = [each for each in kube.requests if each.method != "GET"]
    assert [each.path for each in writes] == [f"{INSIDE}/resourcequotas/friend-quota"]


def test_a_friend_who_was_only_recorded_is_finished(
    api: Api, seam: Seam, kube: ClusterDouble
) -> None:
    kube.fail_next(status=503, times=99)
    answer = api.post("/api/friends", create_friend_body(id="bob"), remaining_seconds=7)
    assert (answer.status, answer.json["phase"]) == (202, "provisioning")
    kube.clear()
    report = api.reconcile()
    assert "phase provisioning became ready" in repairs(report)
    assert api.get("/api/friends/bob").json["phase"] == "ready"
    require_quiet(api, seam)


def test_a_foreign_namespace_is_reported_and_left_alone(
    api: Api, kube: ClusterDouble, cluster: ClusterClient
) -> None:
    path = "/api/v1/namespaces/friend-bob"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "friend-bob"}}
    cluster.call("POST", "/api/v1/namespaces", manifest)
    assert codes(api.reconcile()["refused"]) == {"namespace_not_ours"}
    kube.fail_next(status=503, times=99)
    assert api.post("/api/friends", create_friend_body(id="bob"), remaining_seconds=7).status == 202
    kube.clear()
    before = cluster.get(path)
    for _ in range(2):
        report = api.reconcile()
        assert codes(report["refused"]) == {"namespace_not_ours"}
        assert api.get("/api/friends/bob").json["phase"] == "degraded"
        assert cluster.get(path) == before
    cluster.delete(path)
    assert api.reconcile()["refused"] == []
    assert api.get("/api/friends/bob").json["phase"] == "ready"


def test_foreign_routes_and_records_are_reported_and_left_alone(
    api: Api, cluster: ClusterClient, cloudflare: CloudflareDouble
) -> None:
    route = cluster.get(ROUTE)
    cluster.delete(ROUTE)
    stranger = {**route, "metadata": {"name": "expose-app", "namespace": "friend-alice"}}
    cluster.create(stranger)
    cloudflare.reset()
    cloudflare.seed(ZONE_ID, type="A", name="app-alice.friends.example", content="198.51.100.7")
    before = (cluster.get(ROUTE), cloudflare.records(ZONE_ID))
    report = api.reconcile()
    assert codes(report["refused"]) == {"route_not_ours", "record_not_ours"}
    assert (cluster.get(ROUTE), cloudflare.records(ZONE_ID)) == before


def test_what_belongs_to_nobody_goes(
    api: Api, seam: Seam, cluster: ClusterClient, cloudflare: CloudflareDouble
) -> None:
    claim = find_row(f"HOST#{HOST}", "CLAIM")
    remove_exposure()
    table().put_item(Item=claim)
    report = api.reconcile()
    assert set(repairs(report)) == {
        "IngressRoute expose-app deleted",
        "DNS record app-alice.friends.example deleted",
        "claim of host app-alice.friends.example given up",
    }
    bury()
    table().delete_item(Key={"pk": "FRIEND#alice", "sk": "PROFILE"})
    report = api.reconcile()
    assert set(repairs(report)) == {
        "Namespace friend-alice deleted",
        "profile.json deleted",
        f"claim of identity discord#{DISCORD_ID} given up",
    }
    assert cluster.find(INSIDE) is None
    assert cloudflare.records(ZONE_ID) == []
    require_quiet(api, seam)


def test_l11_mass_deletion_is_refused(
    api: Api, cluster: ClusterClient, kube: ClusterDouble, cloudflare: CloudflareDouble
) -> None:
    friends = [f"f{number}" for number in range(6)]
    for friend_id in friends:
        api.register_friend(friend_id)
        orphan(friend_id)
    kube.requests.clear()
    report = api.reconcile()
    assert codes(report["refused"]) == {"mass_deletion"}
    assert all("5 %" in each["what"] for each in report["refused"])
    assert all("docs/operations.md" in each["what"] for each in report["refused"])
    assert {each["what"].split(" of ")[0] for each in report["refused"]} == {"6"}
    assert not [each for each in kube.requests if each.method == "DELETE"]
    assert cluster.find("/api/v1/namespaces/friend-f0") is not None
    assert read_profile("f0")["id"] == "f0"
    cluster.delete("/api/v1/namespaces/friend-f0")
    boto3.client("s3").delete_object(Bucket=BUCKET, Key="friends/f0/profile.json")
    assert api.reconcile()["refused"] == []
    assert cluster.find("/api/v1/namespaces/friend-f1") is None


def test_l11_an_index_that_lacks_rows_deletes_nothing(
    api: Api, cluster: ClusterClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Evidence too: the other look alone finds that alice is recorded.
    bury()
    remove = find_row("FRIEND#alice", "EXPOSURE#app")
    remove_exposure()
    table().put_item(Item=remove)
    for name in ("friends", "exposures"):
        monkeypatch.setattr(DynamoInventory, name, lambda *_: [])
    report = api.reconcile()
    assert report["repaired"] == []
    assert cluster.find(INSIDE) is not None
    assert read_profile("alice")["id"] == "alice"


def test_l11_a_read_that_failed_deletes_nothing_and_stops_only_its_own_part(
    api: Api, cluster: ClusterClient, kube: ClusterDouble
) -> None:
    orphan()
    api.register_friend("bob")
    boto3.client("s3").delete_object(Bucket=BUCKET, Key="friends/bob/profile.json")
    kube.fail_next(status=500, times=99, match="GET .*/networkpolicies$")
    report = api.reconcile()
    assert codes(report["failed"]) == {"cluster_failed"}
    assert cluster.find(INSIDE) is not None
    assert "profile.json written" in repairs(report)


def test_l11_a_pass_that_cannot_read_what_is_recorded_does_nothing(api: Api, seam: Seam) -> None:
    boto3.client("dynamodb").delete_table(TableName=TABLE)
    seam.writes.clear()
    report = api.reconcile()
    assert (report["ok"], report["code"]) == (False, "dynamodb_failed")
    assert set(+seam.writes) <= {"dynamodb"}


def test_one_friends_failure_never_stops_the_rest(
    api: Api, kube: ClusterDouble, cluster: ClusterClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for friend_id in ("bob", "carol"):
        api.register_friend(friend_id)
        cluster.delete(f"/api/v1/namespaces/friend-{friend_id}/limitranges/friend-limits")
    load = DynamoFriendStore.load

    def load_badly(store: DynamoFriendStore, friend_id: str) -> Any:
        if friend_id == "bob":
            raise ZeroDivisionError
        return load(store, friend_id)

    monkeypatch.setattr(DynamoFriendStore, "load", load_badly)
    report = api.reconcile()
    assert [(each["friend_id"], each["code"]) for each in report["failed"]] == [
        ("bob", "internal_error")
    ]
    assert cluster.find("/api/v1/namespaces/friend-carol/limitranges/friend-limits") is not None


def test_passes_do_not_overlap_and_a_dead_ones_lease_runs_out(
    api: Api, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DynamoInventory, "end_pass", lambda *_: None)
    assert "checked" in api.reconcile()
    assert api.reconcile() == {
        "ok": True,
        "skipped": "Another pass is under way: it does all that is to be done.",
    }
    assert "checked" in api.reconcile({"dry_run": True})
    assert "checked" in api.reconcile({"friend_id": "alice"})
    clock.pass_seconds(310)
    assert "checked" in api.reconcile()


def test_k06_a_lost_event_is_made_up_for_within_one_pass(
    api: Api, seam: Seam, cluster: ClusterClient, invocations: list[Any]
) -> None:
    manifest = create_config_map_manifest("settings")
    answer = api.post(
        f"{FRIEND}/namespace/apply", manifest, headers={"Prefer": "respond-async"}
    ).json
    invocations.clear()
    report = api.reconcile()
    assert repairs(report) == [f"operation {answer['operation']['id']} started again"]
    api.deliver(invocations)
    assert cluster.find(f"{INSIDE}/configmaps/settings") is not None
    assert api.get(answer["operation"]["url"]).json["status"] == "succeeded"
    require_quiet(api, seam)


def test_a_rollout_without_reads_is_checked_by_the_next_pass(
    api: Api, seam: Seam, clock: Clock, invocations: list[Any]
) -> None:
    url = f"{FRIEND}/namespace/apply?wait=ready"
    api.post(url, create_config_map_manifest("settings"))
    (report,) = api.deliver(invocations)
    assert report["operation"]["status"] == "running"
    clock.pass_seconds(120)
    report = api.reconcile()
    assert report["oldest_unfinished_operation_seconds"] == 120
    assert (repairs(report), invocations) == ([], [])
    assert api.get(f"{FRIEND}/operations").json[0]["status"] == "succeeded"
    require_quiet(api, seam)


def test_an_operation_that_somebody_runs_is_left_to_them(
    api: Api, clock: Clock, invocations: list[Any]
) -> None:
    api.post(
        f"{FRIEND}/namespace/apply",
        create_config_map_manifest(),
        headers={"Prefer": "respond-async"},
    )
    invocations.clear()
    table().update_item(
        Key={"pk": "FRIEND#alice", "sk": "PROFILE"},
        UpdateExpression="SET lease_owner = :owner, lease_until = :until",
        ExpressionAttributeValues={
            ":owner": "runner",
            ":until": int((clock.now() + timedelta(seconds=30)).timestamp()),
        },
    )
    assert (api.reconcile()["repaired"], invocations) == ([], [])
    clock.pass_seconds(31)
    assert len(api.reconcile()["repaired"]) == len(invocations) == 1


def test_a_deletion_whose_event_was_lost_comes_to_its_end(
    api: Api, seam: Seam, cluster: ClusterClient, invocations: list[Any]
) -> None:
    api.delete(f"{FRIEND}?confirm=alice")
    invocations.clear()
    report = api.reconcile()
    assert codes(report["repaired"]) == {"dispatched"}
    api.deliver(invocations)
    assert api.get(FRIEND).status == 404
    assert cluster.find(INSIDE) is None
    require_quiet(api, seam)


def test_what_is_more_than_one_invocation_takes_is_handed_on(
    api: Api,
    seam: Seam,
    cluster: ClusterClient,
    invocations: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconciling, "_MOST_HERE", 1)
    monkeypatch.setattr(reconciling, "_CHUNK", 2)
    for friend_id in ("bob", "carol", "dave"):
        api.register_friend(friend_id)
    for friend_id in ("alice", "bob", "carol", "dave"):
        cluster.delete(f"/api/v1/namespaces/friend-{friend_id}/limitranges/friend-limits")
    report = api.reconcile()
    assert (report["changed"], report["handed_on"]) == (1, 3)
    assert [sorted(each["friends"]) for each in invocations] == [["bob", "carol"], ["dave"]]
    assert invocations[0]["friends"]["bob"] == ["namespace"]
    api.deliver(invocations)
    require_quiet(api, seam)


def test_a_pass_resumes_across_its_own_timeout(
    api: Api, seam: Seam, outside: Outside, invocations: list[Any]
) -> None:
    delete_quota(outside)
    report = api.reconcile(remaining_seconds=20)
    assert (report["changed"], report["handed_on"]) == (0, 1)
    (report,) = api.deliver(invocations)
    assert report["changed"] == 1
    require_quiet(api, seam)


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ([], ""),
        ("alice", ""),
        ({"friend": "alice"}, "/friend"),
        ({"dryrun": True}, "/dryrun"),
        ({"dry_run": "true"}, "/dry_run"),
        ({"friend_id": None}, "/friend_id"),
        ({"friend_id": "../alice"}, "/friend_id"),
        ({"friend_id": "kube-x"}, "/friend_id"),
        ({"friend_id": "alice", "friends": {"alice": ["profile"]}}, "/friends"),
        ({"friends": {}}, "/friends"),
        ({"friends": ["alice"]}, "/friends"),
        ({"friends": {"alice": []}}, "/friends/alice"),
        ({"friends": {"alice": "profile"}}, "/friends/alice"),
        ({"friends": {"alice": ["everything"]}}, "/friends/alice"),
        ({"friends": {"A" * 99: ["profile"]}}, f"/friends/{'A' * 64}"),
        ({**SCHEDULED, "source": "somebody"}, "/version"),
    ],
)
def test_k05_a_bad_event_is_a_clear_error_and_nothing_happens(
    api: Api, seam: Seam, event: Any, path: str
) -> None:
    seam.calls.clear()
    answer = api.reconcile(event)
    assert (answer["ok"], answer["code"]) == (False, "invalid_event")
    assert answer["details"][0]["path"] == path
    assert +seam.calls == {}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("dryrun", "'dryrun'"), ("x" * 99, f"'{'x' * 64}'"), ("dry\u202erun", "A field")],
)
def test_k05_a_misspelt_field_is_named(api: Api, name: str, shown: str) -> None:
    answer = api.reconcile({name: True})
    known = "known fields: friend_id, dry_run. Nothing was done."
    assert answer["error"] == f"{shown} is not known here; {known}"
    assert "\u202e" not in str(answer)


def test_what_a_pass_did_is_a_metric(
    api: Api, outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    delete_profile(outside)
    with caplog.at_level("INFO", logger="chalicelib.metrics"):
        api.reconcile()
    (line,) = (each for each in caplog.records if each.name == "chalicelib.metrics")
    values = vars(line)
    assert (values["Passes"], values["Repairs"], values["Failures"]) == (1, 1, 0)
    (described,) = values["_aws"]["CloudWatchMetrics"]
    assert described["Namespace"] == "FriendsApi"
    for metric in described["Metrics"]:
        assert isinstance(values[metric["Name"]], int)


def test_a_damaged_row_stops_nobody_and_loses_nothing(
    api: Api, outside: Outside, seam: Seam
) -> None:
    api.register_friend("bob")
    table().update_item(
        Key={"pk": "FRIEND#bob", "sk": "PROFILE"},
        UpdateExpression="SET phase = :phase",
        ExpressionAttributeValues={":phase": "unheard-of"},
    )
    delete_quota(outside)
    report = api.reconcile()
    assert "ResourceQuota friend-quota created" in repairs(report)
    assert outside.cluster.find("/api/v1/namespaces/friend-bob") is not None
    assert read_profile("bob")["id"] == "bob"


def test_waiting_operations_of_a_deleted_friend_are_no_finding(
    api: Api, seam: Seam, clock: Clock, invocations: list[Any]
) -> None:
    api.post(f"{FRIEND}/namespace/apply?wait=ready", create_config_map_manifest("settings"))
    api.deliver(invocations)
    api.delete(f"{FRIEND}?confirm=alice")
    api.deliver(invocations)
    clock.pass_seconds(1)
    api.register_friend()
    report = api.reconcile()
    assert (report["oldest_unfinished_operation_seconds"], invocations) == (0, [])
    require_quiet(api, seam)


def test_l12_a_request_that_was_faster_than_a_repair_is_not_undone(
    api: Api, outside: Outside
) -> None:
    other = create_service_manifest("other")
    assert api.post(f"{FRIEND}/namespace/apply", other).status == 200
    bend_route(outside)
    lock = DynamoExposureStore.lock

    def lock_late(*arguments: Any) -> None:
        patch.undo()
        body = {"name": "app", "service": "other"}
        assert api.post(f"{FRIEND}/namespace/expose", body).status == 200
        lock(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DynamoExposureStore, "lock", lock_late)
        api.reconcile()
    (rule,) = outside.cluster.get(ROUTE)["spec"]["routes"]
    assert rule["services"][0]["name"] == "other"
