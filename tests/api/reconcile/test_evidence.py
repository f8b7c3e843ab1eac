"""Garbage collection deletes what this table proves to be deleted, and nothing else."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from chalicelib.gateways.dynamodb import DynamoFriendStore
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
    find_row,
    lose_rows,
    orphan,
    repairs,
    require_quiet,
    table,
)
from tests.harness import BUCKET, DOMAIN, TABLE, ZONE_ID, Api, Clock, create_table, read_profile
from tests.manifests import create_service_manifest

CODE = "orphan_without_evidence"
SECOND = "second"


def expose(api: Api, friend_id: str, name: str) -> Any:
    """Expose a friend's web service under a name; return the answer."""
    url = f"/api/friends/{friend_id}/namespace"
    assert api.post(f"{url}/apply", create_service_manifest()).status == 200
    return api.post(f"{url}/expose", {"name": name, "service": "web"})


def settle(api: Api, *friend_ids: str) -> None:
    """Register friends, each with a service on the web."""
    for friend_id in friend_ids:
        api.register_friend(friend_id)
        assert expose(api, friend_id, "app").status == 200


def start_stage(cloudflare: CloudflareDouble, clock: Clock, **environment: str) -> Api:
    """Start another deployment on the same cluster and the same zone."""
    domain = {"name": DOMAIN, "zone_id": ZONE_ID, "target": "t.cfargotunnel.com"}
    settings = {"DOMAINS": json.dumps([domain]), "CLOUDFLARE_URL": cloudflare.url}
    return Api({**settings, **environment}, now=clock.now)


@pytest.fixture
def second(api: Api, cloudflare: CloudflareDouble, clock: Clock) -> Api:
    """A second stage, with a table and a bucket of its own."""
    create_table(SECOND)
    boto3.client("s3").create_bucket(Bucket=SECOND)
    return start_stage(cloudflare, clock, TABLE_NAME=SECOND, WORKSPACE_BUCKET=SECOND)


@dataclass(frozen=True)
class Remains:
    """Everything outside the table, of everybody."""

    namespaces: frozenset[str]
    routes: frozenset[str]
    records: frozenset[str]
    profiles: frozenset[str]

    @classmethod
    def of(cls, outside: Outside) -> "Remains":
        """Look at everything."""
        label = "?labelSelector=app.kubernetes.io/managed-by=friends-api"
        listed = boto3.client("s3").list_objects_v2(Bucket=BUCKET)
        routes = outside.cluster.get(f"/apis/traefik.io/v1alpha1/ingressroutes{label}")["items"]
        return cls(
            frozenset(
                each["metadata"]["name"]
                for each in outside.cluster.get(f"/api/v1/namespaces{label}")["items"]
                if each["metadata"]["name"].startswith("friend-")
            ),
            frozenset(each["metadata"]["namespace"] for each in routes),
            frozenset(each["name"] for each in outside.cloudflare.records(ZONE_ID)),
            frozenset(each["Key"] for each in listed.get("Contents", [])),
        )


def empty_table(_: Api) -> None:
    """Delete every item."""
    for item in table().scan()["Items"]:
        table().delete_item(Key={"pk": item["pk"], "sk": item["sk"]})


def lose_friends_by_hand(_: Api) -> None:
    """Delete everybody's own row, and nothing else."""
    for item in table().scan()["Items"]:
        if item["sk"] == "PROFILE":
            table().delete_item(Key={"pk": item["pk"], "sk": item["sk"]})


def rows_left() -> list[Any]:
    """Return what is recorded, but for how many requests Cloudflare has had."""
    items: list[Any] = table().scan()["Items"]
    return [each for each in items if each["pk"] != "COUNTER#cloudflare"]


def replace_table(_: Api) -> None:
    """Put an empty table in the place of the one that was there."""
    boto3.client("dynamodb").delete_table(TableName=TABLE)
    create_table(TABLE)


@pytest.mark.case("H2")
@pytest.mark.parametrize("lose", [empty_table, replace_table, lose_friends_by_hand])
@pytest.mark.parametrize("more", [[], ["bob", "carol", "dave", "erin"]], ids=["one", "five"])
def test_a_run_on_an_emptied_table_deletes_nothing_and_says_so(
    api: Api, outside: Outside, more: list[str], lose: Callable[[Api], None]
) -> None:
    settle(api, *more)
    before, rows = Remains.of(outside), len(more) + 1
    lose(api)
    left = rows_left()
    for _ in range(2):
        report = api.reconcile()
        assert (report["ok"], report["repaired"], report["failed"]) == (False, [], [])
        assert codes(report["refused"]) == {CODE}
        assert report["orphans"] >= 3 * rows
        assert Remains.of(outside) == before
        assert rows_left() == left
    told = " ".join(each["what"] for each in report["refused"])
    assert all(f"{rows} {what}" in told for what in ("namespaces in main", "profiles"))
    assert "docs/operations.md, Orphans without evidence" in told


@pytest.mark.case("H2")
def test_a_run_on_another_table_deletes_nothing(
    api: Api, outside: Outside, cloudflare: CloudflareDouble, clock: Clock
) -> None:
    settle(api, "bob", "carol", "dave", "erin")
    before = Remains.of(outside)
    create_table(SECOND)
    other = start_stage(cloudflare, clock, TABLE_NAME=SECOND)
    report = other.reconcile()
    assert (report["repaired"], codes(report["refused"]), report["orphans"]) == ([], {CODE}, 15)
    assert Remains.of(outside) == before


@pytest.mark.case("H2")
def test_two_stages_on_one_cluster_and_zone_leave_each_other_alone_and_are_well(
    api: Api, second: Api, seam: Seam, outside: Outside
) -> None:
    for number in range(4):
        settle(api, f"p{number}")
        settle(second, f"s{number}")
        before = Remains.of(outside)
        for stage, theirs in ((api, number + 1), (second, number + 2)):
            report = stage.reconcile()
            assert (report["ok"], report["repaired"]) == (True, []), report
            assert report["orphans"] == 2 * theirs
            assert codes(report["unproved"]) == {CODE}
        assert Remains.of(outside) == before
    require_quiet(api, seam)


@pytest.mark.case("H2")
def test_a_stages_own_deletions_are_collected_beside_another_stage(
    api: Api, second: Api, outside: Outside
) -> None:
    settle(second, *(f"s{number}" for number in range(8)))
    settle(api, "bob")
    orphan("bob")
    before = Remains.of(outside)
    report = api.reconcile()
    assert "Namespace friend-bob deleted" in repairs(report)
    assert report["ok"]
    after = Remains.of(outside)
    assert before.namespaces - after.namespaces == {"friend-bob"}
    assert before.records - after.records == {"app-bob.friends.example"}


@pytest.mark.case("H2")
def test_an_older_table_brings_its_friends_back_and_deletes_nobody(
    api: Api, outside: Outside, invocations: list[Any]
) -> None:
    backup = table().scan()["Items"]
    uid = find_row("FRIEND#alice", "PROFILE")["uid"]
    api.delete(f"{FRIEND}?confirm=alice")
    api.deliver(invocations)
    settle(api, "bob")
    empty_table(api)
    for item in backup:
        table().put_item(Item=item)
    report = api.reconcile()
    assert "Namespace friend-alice created" in repairs(report)
    assert outside.cluster.find(ROUTE)
    assert {HOST, "app-bob.friends.example"} == Remains.of(outside).records
    assert find_row("FRIEND#alice", "PROFILE")["uid"] == uid
    assert outside.cluster.find("/api/v1/namespaces/friend-bob")
    assert read_profile("bob")["id"] == "bob"
    assert codes(report["refused"]) == {CODE}
    assert {each["friend_id"] for each in report["refused"]} == {"bob"}


@pytest.mark.case("H2")
def test_rows_put_back_beside_their_own_tombstone_are_converged(
    api: Api, seam: Seam, outside: Outside, invocations: list[Any]
) -> None:
    backup = [each for each in table().scan()["Items"] if "lease_owner" not in each]
    api.delete(f"{FRIEND}?confirm=alice")
    api.deliver(invocations)
    for item in backup:
        table().put_item(Item=item)
    for _ in range(2):
        report = api.reconcile()
        assert report["ok"], report
    assert outside.cluster.find(ROUTE)
    assert Remains.of(outside).records == {HOST}
    require_quiet(api, seam)


class Late:
    """What a request that was frozen writes after all is gone: alice's world as it was."""

    def __init__(self, outside: Outside) -> None:
        """Take it down."""
        self._outside = outside
        self._namespace = outside.cluster.get(INSIDE)
        self._route = outside.cluster.get(ROUTE)
        (self._record,) = outside.cloudflare.records(ZONE_ID)
        self._profile = boto3.client("s3").get_object(
            Bucket=BUCKET, Key="friends/alice/profile.json"
        )
        self._body = self._profile["Body"].read()
        self._claims = [
            find_row(pk, "CLAIM") for pk in (f"HOST#{HOST}", f"IDENTITY#discord#{DISCORD_ID}")
        ]

    def namespace(self) -> None:
        """Make the namespace again."""
        labels = self._namespace["metadata"]["labels"]
        metadata = {"name": "friend-alice", "labels": labels}
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        self._outside.cluster.call("POST", "/api/v1/namespaces", manifest)

    def route(self) -> None:
        """Make the route again."""
        metadata = {name: self._route["metadata"][name] for name in ("name", "namespace", "labels")}
        self._outside.cluster.create({**self._route, "metadata": metadata})

    def record(self) -> None:
        """Make the record again."""
        names = ("name", "type", "content", "proxied", "comment")
        self._outside.cloudflare.seed(ZONE_ID, **{each: self._record[each] for each in names})

    def profile(self) -> None:
        """Write the profile again."""
        boto3.client("s3").put_object(
            Bucket=BUCKET,
            Key="friends/alice/profile.json",
            Body=self._body,
            Metadata=self._profile["Metadata"],
        )

    def claims(self) -> None:
        """Claim the host name and the platform id again."""
        for claim in self._claims:
            table().put_item(Item=claim)


@pytest.mark.case("H2")
@pytest.mark.parametrize("away", ["nothing", "cluster", "cloudflare"])
def test_what_a_deletion_left_behind_is_collected(  # noqa: PLR0913, PLR0917 - what may be away
    api: Api,
    seam: Seam,
    outside: Outside,
    kube: ClusterDouble,
    clock: Clock,
    invocations: list[Any],
    away: str,
) -> None:
    late = Late(outside)
    api.delete(f"{FRIEND}?confirm=alice")
    if away == "cluster":
        kube.fail_next(status=500, times=99, match="DELETE /api/v1/namespaces")
    if away == "cloudflare":
        outside.cloudflare.fail_next(status=500, times=99)
    if away != "nothing":
        with pytest.raises(Exception, match=r"cluster|dns"):
            api.deliver(invocations)
        kube.clear()
        outside.cloudflare.clear()
        clock.pass_seconds(120)
        api.reconcile()
    api.deliver(invocations)
    assert Remains.of(outside) == Remains(*[frozenset()] * 4)
    for plant in (late.namespace, late.record, late.profile, late.claims):
        plant()
    report = api.reconcile()
    assert set(repairs(report)) == {
        "Namespace friend-alice deleted",
        f"DNS record {HOST} deleted",
        "profile.json deleted",
        f"claim of host {HOST} given up",
        f"claim of identity discord#{DISCORD_ID} given up",
    }
    assert report["ok"], report
    assert Remains.of(outside) == Remains(*[frozenset()] * 4)
    require_quiet(api, seam)


@pytest.mark.case("H2")
def test_a_friend_with_a_deleted_id_is_not_deleted_by_the_old_tombstone(
    api: Api, seam: Seam, outside: Outside, clock: Clock, invocations: list[Any]
) -> None:
    former = find_row("FRIEND#alice", "PROFILE")["uid"]
    api.delete(f"{FRIEND}?confirm=alice")
    api.deliver(invocations)
    clock.pass_seconds(301)
    api.register_friend(discord_id=DISCORD_ID)
    assert expose(api, "alice", "app").status == 200
    before = Remains.of(outside)
    report = api.reconcile()
    assert (report["ok"], report["repaired"]) == (True, [])
    assert Remains.of(outside) == before
    assert find_row(f"TOMBSTONE#{former}", "FRIEND")["friend_id"] == "alice"
    assert "expires_at" not in find_row(f"TOMBSTONE#{former}", "FRIEND")
    require_quiet(api, seam)


@pytest.mark.case("H2")
def test_a_former_friends_namespace_makes_way_and_the_new_ones_is_made(
    api: Api, outside: Outside, kube: ClusterDouble, invocations: list[Any]
) -> None:
    late = Late(outside)
    api.delete(f"{FRIEND}?confirm=alice")
    api.deliver(invocations)
    kube.fail_next(status=503, times=99)
    body = {"id": "alice", "display_name": "Alice"}
    assert api.post("/api/friends", body, remaining_seconds=7).status == 202
    kube.clear()
    late.namespace()
    api.reconcile()
    api.reconcile()
    uid = find_row("FRIEND#alice", "PROFILE")["uid"]
    assert outside.cluster.get(INSIDE)["metadata"]["labels"]["friends-api/uid"] == uid
    assert api.get(FRIEND).json["phase"] == "ready"


def removals() -> list[Any]:
    """Return what is recorded of exposures that were removed."""
    return [each for each in table().scan()["Items"] if each["sk"].startswith("REMOVED#")]


@pytest.mark.case("H2")
def test_a_removal_is_remembered_until_record_and_route_have_been_seen_gone(
    api: Api, seam: Seam, outside: Outside, clock: Clock
) -> None:
    late = Late(outside)
    assert api.delete(f"{FRIEND}/namespace/expose/app").status == 200
    require_quiet(api, seam)
    clock.pass_seconds(301)
    late.record()
    late.route()
    report = api.reconcile()
    assert set(repairs(report)) == {
        "IngressRoute expose-app deleted",
        f"DNS record {HOST} deleted",
    }
    (removed,) = removals()
    assert (removed["exposure"], "expires_at" in removed) == ("app", False)
    seam.writes.clear()
    api.reconcile()
    assert (removals(), +seam.writes) == ([], {"dynamodb": 4})
    require_quiet(api, seam)


@pytest.mark.parametrize("away", ["cluster", "cloudflare"])
def test_a_removal_is_remembered_while_its_remains_cannot_be_seen(
    api: Api, outside: Outside, kube: ClusterDouble, clock: Clock, away: str
) -> None:
    assert api.delete(f"{FRIEND}/namespace/expose/app").status == 200
    clock.pass_seconds(301)
    (kube if away == "cluster" else outside.cloudflare).fail_next(status=400, times=99)
    assert not api.reconcile()["ok"]
    assert len(removals()) == 1


@pytest.mark.case("H2")
def test_another_friend_takes_the_name_and_the_evidence_of_the_old_one_stays(
    api: Api, outside: Outside, clock: Clock
) -> None:
    # "x" of app-alice and "x-app" of alice spell the same host name.
    assert expose(api, "alice", "x-app").status == 200
    api.register_friend("app-alice")
    (record,) = (e for e in outside.cloudflare.records(ZONE_ID) if e["name"].startswith("x-"))
    assert api.delete(f"{FRIEND}/namespace/expose/x-app").status == 200
    names = ("name", "type", "content", "proxied", "comment")
    outside.cloudflare.seed(ZONE_ID, **{each: record[each] for each in names})
    assert expose(api, "app-alice", "x").json["code"] == "hostname_taken"
    clock.pass_seconds(301)
    assert expose(api, "app-alice", "x").json["code"] == "record_not_ours"
    assert f"DNS record {record['name']} deleted" in repairs(api.reconcile())
    clock.pass_seconds(301)
    assert expose(api, "app-alice", "x").status == 200


@pytest.mark.case("H2")
def test_an_exposure_that_is_put_up_again_is_no_removed_one(
    api: Api, seam: Seam, outside: Outside, clock: Clock
) -> None:
    assert api.delete(f"{FRIEND}/namespace/expose/app").status == 200
    assert len(removals()) == 1
    assert expose(api, "alice", "app").status == 200
    assert removals() == []
    clock.pass_seconds(301)
    before = Remains.of(outside)
    require_quiet(api, seam)
    assert Remains.of(outside) == before


def test_a_claim_that_the_version_before_left_keeps_the_name_until_it_expires(
    api: Api, clock: Clock
) -> None:
    assert expose(api, "alice", "x-app").status == 200
    api.register_friend("app-alice")
    assert api.delete(f"{FRIEND}/namespace/expose/x-app").status == 200
    for each in removals():
        table().delete_item(Key={"pk": each["pk"], "sk": each["sk"]})
    answer = expose(api, "app-alice", "x")
    assert (answer.status, answer.json["code"]) == (409, "hostname_taken")
    assert 290 <= int(answer.headers["Retry-After"]) <= 300
    clock.pass_seconds(301)
    assert expose(api, "app-alice", "x").status == 200


@pytest.mark.case("H2")
def test_a_lost_row_of_an_exposure_deletes_neither_record_nor_route_nor_claim(
    api: Api, outside: Outside
) -> None:
    table().delete_item(Key={"pk": "FRIEND#alice", "sk": "EXPOSURE#app"})
    before = Remains.of(outside)
    report = api.reconcile()
    assert (report["ok"], report["repaired"], report["orphans"]) == (False, [], 3)
    assert {each["code"] for each in report["refused"]} == {CODE}
    assert Remains.of(outside) == before
    # What the runbook says: put it up again, and remove it.
    assert expose(api, "alice", "app").status == 200
    assert api.delete(f"{FRIEND}/namespace/expose/app").status == 200
    assert api.reconcile()["ok"]


def test_a_platform_id_that_the_friends_own_row_does_not_say_is_given_up(
    api: Api, seam: Seam
) -> None:
    claim = find_row(f"IDENTITY#discord#{DISCORD_ID}", "CLAIM")
    other = "IDENTITY#discord#999999999999999999"
    table().put_item(Item={**claim, "pk": other, "list_sk": f"alice#{other}"})
    report = api.reconcile()
    assert repairs(report) == ["claim of identity discord#999999999999999999 given up"]
    require_quiet(api, seam)


@pytest.mark.case("H2")
def test_ten_thousand_orphans_are_one_finding_for_each_kind_and_place(
    api: Api, kube: ClusterDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, loads = DynamoFriendStore.load, []

    def count(store: DynamoFriendStore, friend_id: str) -> Any:
        loads.append(friend_id)
        return load(store, friend_id)

    friends = [f"f{number}" for number in range(12)]
    for friend_id in friends:
        api.register_friend(friend_id)
        lose_rows(friend_id)
    monkeypatch.setattr(DynamoFriendStore, "load", count)
    report = api.reconcile()
    assert (len(report["refused"]), report["orphans"]) == (2, 24)
    assert all("and 7 more" in each["what"] for each in report["refused"])
    assert loads == []


def test_a_friend_who_registers_during_a_run_is_no_orphan(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = DynamoInventory.claims
    registered: list[str] = []

    def register_first(self: Any, *about: Any) -> Any:
        if not registered:
            registered.append("bob")
            settle(api, "bob")
        return claims(self, *about)

    monkeypatch.setattr(DynamoInventory, "claims", register_first)
    report = api.reconcile()
    assert (report["ok"], report["repaired"]) == (True, []), report


@pytest.mark.case("H2")
@pytest.mark.parametrize("what", ["claims", "tombstones"])
def test_where_the_evidence_cannot_be_read_nothing_is_deleted(
    api: Api, outside: Outside, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    settle(api, "bob")
    orphan("bob")
    before = Remains.of(outside)
    with monkeypatch.context() as patch:
        patch.setattr(DynamoInventory, what, lambda *_: 1 / 0)
        report = api.reconcile()
    assert (report["ok"], report["repaired"]) == (False, [])
    assert Remains.of(outside) == before
    assert "Namespace friend-bob deleted" in repairs(api.reconcile())


@pytest.mark.case("H2")
def test_a_tombstone_proves_nothing_of_another_ids_things(api: Api, outside: Outside) -> None:
    settle(api, "bob")
    uid = find_row("FRIEND#bob", "PROFILE")["uid"]
    orphan("bob")
    table().update_item(
        Key={"pk": f"TOMBSTONE#{uid}", "sk": "FRIEND"},
        UpdateExpression="SET friend_id = :other",
        ExpressionAttributeValues={":other": "carol"},
    )
    before = Remains.of(outside)
    assert api.reconcile()["repaired"] == []
    assert Remains.of(outside) == before
