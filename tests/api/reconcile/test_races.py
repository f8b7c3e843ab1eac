"""A pass beside requests, and beside an earlier try of its own: whoever was faster keeps theirs."""

from collections.abc import Callable
from typing import Any

import pytest
from urllib3.exceptions import ReadTimeoutError

from chalicelib.domain.model import Lease
from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.gateways.cluster import _OpenCluster
from chalicelib.gateways.inventory import DynamoInventory
from chalicelib.gateways.seam import Outgoing, Seam
from chalicelib.gateways.table import Table
from chalicelib.gateways.workspace import S3Workspace
from chalicelib.services.zones import Zones
from infra.local.cloudflare import CloudflareDouble
from tests.api.reconcile.outside import (
    FRIEND,
    HOST,
    INSIDE,
    SCHEDULED,
    Outside,
    delete_profile,
    delete_quota,
    find_row,
    forget_record_id,
    orphan,
    remove_exposure,
    table,
)
from tests.cluster_client import ClusterClient
from tests.factories import AGENT_TOKEN
from tests.harness import ZONE_ID, Api, Clock, read_profile
from tests.manifests import create_config_map_manifest

PRECIOUS = f"{INSIDE}/configmaps/precious"


def move_in(api: Api) -> None:
    """Register alice anew, with something in the namespace that is hers alone."""
    api.register_friend()
    manifest = create_config_map_manifest("precious")
    assert api.post(f"{FRIEND}/namespace/apply", manifest).status == 200


def expose(api: Api) -> None:
    """Expose the Service again, under the same name."""
    answer = api.post(f"{FRIEND}/namespace/expose", {"name": "app", "service": "web"})
    assert answer.status == 200


def once(step: Callable[[], None]) -> Callable[[], None]:
    """Return a function that takes the step when it is called for the first time."""
    steps = [step]
    return lambda: steps.pop()() if steps else None


def test_a_claim_that_is_in_use_again_stays(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = find_row(f"HOST#{HOST}", "CLAIM")
    remove_exposure()
    table().put_item(Item=claim)
    drop = DynamoInventory.drop

    def drop_late(self: Any, *about: Any) -> bool:
        expose(api)
        return drop(self, *about)

    monkeypatch.setattr(DynamoInventory, "drop", drop_late)
    api.reconcile()
    assert find_row(f"HOST#{HOST}", "CLAIM")


def test_a_claim_of_a_platform_id_that_is_in_use_again_stays(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = {"signal": "+49 170 1234567"}
    assert api.put(FRIEND, number).status == 200
    claim = find_row("IDENTITY#signal#+491701234567", "CLAIM")
    assert api.put(FRIEND, {"signal": None}).status == 200
    table().put_item(Item=claim)
    drop = DynamoInventory.drop

    def drop_late(self: Any, *about: Any) -> bool:
        assert api.put(FRIEND, number).status == 200
        return drop(self, *about)

    monkeypatch.setattr(DynamoInventory, "drop", drop_late)
    api.reconcile()
    assert find_row("IDENTITY#signal#+491701234567", "CLAIM")


def test_a_new_friends_profile_outlives_the_sweep_of_the_old_one(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan()
    drop = S3Workspace.drop_profile
    meanwhile = once(lambda: move_in(api))

    def drop_late(self: Any, *about: Any, **options: Any) -> Any:
        meanwhile()
        return drop(self, *about, **options)

    monkeypatch.setattr(S3Workspace, "drop_profile", drop_late)
    api.reconcile()
    assert read_profile("alice")["id"] == "alice"


def test_a_record_that_has_changed_hands_since_it_was_listed_stays(
    api: Api, cloudflare: CloudflareDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_exposure()
    list_all = CloudflareDns.list_all

    def list_early(self: Any, *about: Any) -> Any:
        found = list_all(self, *about)
        (record,) = cloudflare.records(ZONE_ID)
        theirs = {name: record[name] for name in ("name", "type", "content")}
        cloudflare.reset()
        cloudflare.seed(ZONE_ID, **theirs, comment="mine now")
        return found

    monkeypatch.setattr(CloudflareDns, "list_all", list_early)
    api.reconcile()
    assert [each["comment"] for each in cloudflare.records(ZONE_ID)] == ["mine now"]


def test_a_record_that_was_made_anew_after_the_listing_is_the_one_that_is_noted(
    api: Api, outside: Outside, cloudflare: CloudflareDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_record_id(outside)
    converge = Zones.converge

    def converge_late(self: Any, *about: Any) -> Any:
        assert api.delete(f"{FRIEND}/namespace/expose/app").status == 200
        expose(api)
        return converge(self, *about)

    monkeypatch.setattr(Zones, "converge", converge_late)
    api.reconcile()
    ids = [each["id"] for each in cloudflare.records(ZONE_ID)]
    assert [find_row("FRIEND#alice", "EXPOSURE#app")["record_id"]] == ids


def test_an_event_that_is_delivered_twice_makes_one_pass_at_a_time(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[Any] = []
    friends = DynamoInventory.friends

    def read_late(self: Any, *about: Any) -> Any:
        if not reports:
            reports.append(api.reconcile())
        return friends(self, *about)

    monkeypatch.setattr(DynamoInventory, "friends", read_late)
    assert "skipped" not in api.reconcile()
    assert "skipped" in reports[0]


def test_a_passs_lease_outlasts_its_invocation(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds: list[float] = []
    begin = DynamoInventory.begin_pass

    def note(self: Any, lease: Lease, now: float) -> bool:
        seconds.append(lease.until - now)
        return begin(self, lease, now)

    monkeypatch.setattr(DynamoInventory, "begin_pass", note)
    api.reconcile(remaining_seconds=300)
    assert seconds[0] >= 300


def test_a_new_friend_outlives_the_sweep_of_the_old_namespace(
    api: Api, cluster: ClusterClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan()
    get = _OpenCluster.get

    def replace_namespace() -> None:
        cluster.delete(INSIDE)
        move_in(api)

    meanwhile = once(replace_namespace)

    def get_late(self: Any, ref: Any) -> Any:
        found = get(self, ref)
        meanwhile()
        return found

    monkeypatch.setattr(_OpenCluster, "get", get_late)
    api.reconcile()
    assert cluster.find(PRECIOUS)


def test_a_new_friend_outlives_a_deletion_whose_answer_was_lost(
    api: Api, seam: Seam, cluster: ClusterClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan()
    send = seam.send

    def lose_the_answer() -> None:
        move_in(api)
        pool: Any = None
        raise ReadTimeoutError(pool, "", "lost")

    meanwhile = once(lose_the_answer)

    def send_lossily(outgoing: Outgoing, request: Callable[[], Any]) -> Any:
        answer = send(outgoing, request)
        if outgoing.name.startswith("DELETE"):
            meanwhile()
        return answer

    monkeypatch.setattr(seam, "send", send_lossily)
    api.reconcile()
    assert cluster.find(PRECIOUS)


def test_a_tombstone_outlives_an_index_that_lags_behind(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = api.dependencies.reconciler.inventory.claims()
    assert api.delete(f"{FRIEND}/namespace/expose/app").status == 200
    monkeypatch.setattr(DynamoInventory, "claims", lambda *_: listed)
    api.reconcile()
    assert "expires_at" in find_row(f"HOST#{HOST}", "CLAIM")


def test_a_deletion_that_was_frozen_leaves_the_new_friend_alone(
    api: Api, clock: Clock, invocations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert api.put(f"{FRIEND}/agents/mochi", {"status": "active"}).status < 300
    assert api.delete(f"{FRIEND}?confirm=alice").status == 202
    event = invocations.pop()
    transact = Table.transact

    def live_on() -> None:
        clock.pass_seconds(60)
        api.run_operation(event)
        assert api.get(FRIEND).status == 404
        clock.pass_seconds(400)
        api.register_friend(token=AGENT_TOKEN)

    meanwhile = once(live_on)

    def transact_late(self: Table, actions: Any) -> Any:
        if all("Delete" in each for each in actions) and "AGENT#" in str(actions):
            meanwhile()
        return transact(self, actions)

    monkeypatch.setattr(Table, "transact", transact_late)
    api.run_operation(event)
    assert find_row("FRIEND#alice", "AGENT#mochi")
    assert read_profile("alice")["id"] == "alice"


@pytest.mark.parametrize("event", [{"dry_run": True}, {"friend_id": "alice", "dry_run": True}])
def test_a_dry_run_without_time_hands_nothing_on(
    api: Api, outside: Outside, invocations: list[Any], event: Any
) -> None:
    delete_quota(outside)
    report = api.reconcile(event, remaining_seconds=20)
    assert invocations == []
    assert report["handed_on"] == 1


def test_a_dry_run_of_the_schedules_own_event_is_no_real_run(api: Api, outside: Outside) -> None:
    delete_profile(outside)
    report = api.reconcile({**SCHEDULED, "dry_run": True})
    assert (report["ok"], report["code"]) == (False, "invalid_event")
