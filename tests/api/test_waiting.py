"""Waiting holds no function: for a rollout, a held lease, or a namespace on its way out."""

import json
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import boto3
import pytest

from chalicelib.domain.errors import UpstreamUnreachable
from chalicelib.gateways.cluster import _OpenCluster
from chalicelib.gateways.operations import DynamoOperationStore
from infra.local.cluster import ClusterDouble
from tests.cluster_client import ClusterClient, wait_until
from tests.harness import TABLE, Api, Clock
from tests.interleaving import run
from tests.manifests import (
    create_config_map_manifest,
    create_container,
    create_deployment_manifest,
)

FRIEND = "/api/friends/alice"
APPLY = f"{FRIEND}/namespace/apply"
WAITING = f"{APPLY}?wait=ready"
OPERATIONS = f"{FRIEND}/operations"
DELETE = f"{FRIEND}?confirm=alice"
DEPLOYMENT = "/apis/apps/v1/namespaces/friend-alice/deployments/web"
ASYNC = {"Prefer": "respond-async"}
MOST = 20
APPLY_FOR_REAL = _OpenCluster.apply


@pytest.fixture
def clock() -> Clock:
    """The time."""
    return Clock()


@pytest.fixture
def api(backend: None, clock: Clock) -> Api:
    """The app, with alice in it."""
    api = Api(now=clock.now)
    api.register_friend()
    return api


@pytest.fixture
def cluster(kube: ClusterDouble) -> ClusterClient:
    """The cluster, as its admin sees it."""
    return ClusterClient(kube.kubeconfig())


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the product has slept, each time. The doubles sleep in threads of their own."""
    slept: list[float] = []
    ours, sleep = threading.get_ident(), time.sleep

    def note(seconds: float) -> None:
        if threading.get_ident() == ours:
            slept.append(seconds)
        else:
            sleep(seconds)

    monkeypatch.setattr(time, "sleep", note)
    return slept


def create_stuck() -> Any:
    """Return a Deployment that is never ready."""
    container = create_container(image="registry.example/web:does-not-exist")
    return create_deployment_manifest("web", pod={"containers": [container]})


def supersede(cluster: ClusterClient) -> None:
    """Change the Deployment behind the API: the next check of its rollout finds that."""
    cluster.merge(DEPLOYMENT, {"spec": {"replicas": 0}})


def wait_for(api: Api, invocations: list[Any], manifest: Any) -> Any:
    """Have an operation applied, so that it waits for its rollout."""
    operation = api.post(WAITING, manifest).json["operation"]
    api.deliver(invocations)
    return operation


def accept(api: Api, name: str = "settings") -> Any:
    answer = api.post(APPLY, create_config_map_manifest(name), headers=ASYNC)
    assert answer.status == 202, answer.text
    return answer.json["operation"]


def read(api: Api, operation: Any) -> Any:
    return api.get(operation["url"]).json


def status_of(api: Api, operation: Any) -> Any:
    return read(api, operation)["status"]


def row(pk: str, sk: str) -> Any:
    return boto3.resource("dynamodb").Table(TABLE).get_item(Key={"pk": pk, "sk": sk})["Item"]


def put(item: Any) -> None:
    boto3.resource("dynamodb").Table(TABLE).put_item(Item=item)


def unfinished(api: Api) -> int:
    """Return how many operations are unfinished, as alice's row counts them."""
    record = api.dependencies.services.access.friends.load("alice")
    assert record is not None
    return record.queue.unfinished_count


def hold_lease(clock: Clock, seconds: int) -> None:
    until = int((clock.now() + timedelta(seconds=seconds)).timestamp())
    put({**row("FRIEND#alice", "PROFILE"), "lease_owner": "runner", "lease_until": until})


def as_the_version_before(operation: Any, *, waiting: bool) -> None:
    """Have an operation recorded as the version before did: manifests inside, and no count."""
    friend, mine = row("FRIEND#alice", "PROFILE"), row("OPERATIONS#alice", operation["id"])
    apart = row("MANIFESTS#alice", operation["id"])
    put({name: each for name, each in friend.items() if not name.startswith("unfinished_")})
    listed = {"list_pk": "WATCHED", "list_sk": f"alice#{operation['id']}"} if waiting else {}
    put({**mine, "manifests": apart["manifests"], **listed})
    key = {"pk": "MANIFESTS#alice", "sk": operation["id"]}
    boto3.resource("dynamodb").Table(TABLE).delete_item(Key=key)


@pytest.mark.case("H1")
def test_twenty_waits_of_one_friend_hold_no_function(
    api: Api, invocations: list[Any], clock: Clock, slept: list[float]
) -> None:
    """The example: one agent waits twenty times, and another friend's apply comes after that."""
    api.register_friend("bob")
    for _ in range(MOST):
        assert api.post(WAITING, create_stuck()).status == 202
    url = "/api/friends/bob/namespace/apply"
    answer = api.post(url, create_config_map_manifest(), headers=ASYNC)
    started = clock.now()
    api.deliver(invocations)
    assert status_of(api, answer.json["operation"]) == "succeeded"
    assert (slept, clock.now()) == ([], started)
    assert {each["status"] for each in api.get(f"{OPERATIONS}?limit=50").json} == {"running"}


@pytest.mark.case("H1")
def test_waiting_operations_count_towards_a_friends_twenty(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    waits = [wait_for(api, invocations, create_stuck()) for _ in range(MOST)]
    answer = api.post(APPLY, create_config_map_manifest())
    assert (answer.status, answer.json["code"]) == (429, "too_many_requests")
    assert answer.headers["Retry-After"]
    supersede(cluster)
    for _ in range(3):
        assert status_of(api, waits[0]) == "failed"
    assert unfinished(api) == MOST - 1
    accept(api)
    assert api.post(APPLY, create_config_map_manifest(), headers=ASYNC).status == 429
    for each in waits:
        assert status_of(api, each) == "failed"
    api.deliver(invocations)
    assert unfinished(api) == 0


@pytest.mark.case("H1")
@pytest.mark.parametrize("seed", range(12))
def test_the_count_is_exact_under_concurrent_requests(
    api: Api, cluster: ClusterClient, invocations: list[Any], seed: int
) -> None:
    """Two applies, two readers who both end a wait, and a worker, at nineteen unfinished ones."""
    waits = [wait_for(api, invocations, create_stuck()) for _ in range(MOST - 2)]
    accept(api)
    (event,) = invocations
    supersede(cluster)

    def apply(name: str) -> int:
        return api.post(APPLY, create_config_map_manifest(name), headers=ASYNC).status

    actors = [
        lambda: apply("a"),
        lambda: apply("b"),
        lambda: api.run_operation(event),
        lambda: read(api, waits[0]),
        lambda: read(api, waits[0]),
    ]
    accepted = run(seed, actors)[:2]
    assert set(accepted) <= {202, 429}
    assert unfinished(api) <= MOST
    for each in waits:
        read(api, each)
    api.deliver(invocations)
    assert unfinished(api) == 0


@pytest.mark.case("H1")
def test_an_operation_of_the_version_before_is_not_subtracted(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    """It waits already, and nothing has counted it."""
    first = wait_for(api, invocations, create_stuck())
    as_the_version_before(first, waiting=True)
    assert unfinished(api) == 0
    supersede(cluster)
    assert status_of(api, first) == "failed"
    assert unfinished(api) == 0
    assert "list_pk" not in row("OPERATIONS#alice", first["id"])
    for number in range(MOST):
        accept(api, f"c{number % 9}")
    assert api.post(APPLY, create_config_map_manifest(), headers=ASYNC).status == 429


@pytest.mark.case("H1")
def test_reconcile_ends_what_the_version_before_left_waiting(
    api: Api, cluster: ClusterClient, invocations: list[Any], clock: Clock
) -> None:
    first = wait_for(api, invocations, create_stuck())
    as_the_version_before(first, waiting=True)
    supersede(cluster)
    clock.pass_seconds(120)
    assert api.reconcile()["oldest_unfinished_operation_seconds"] == 120
    assert invocations == []
    assert api.get(OPERATIONS).json[0]["status"] == "failed"
    assert api.reconcile()["oldest_unfinished_operation_seconds"] == 0


@pytest.mark.case("H1")
def test_an_event_that_meets_a_held_lease_ends_at_once(
    api: Api, invocations: list[Any], clock: Clock, slept: list[float]
) -> None:
    operation = accept(api)
    hold_lease(clock, seconds=40)
    (report,) = api.deliver(invocations)
    assert (report["ok"], report["operation"]["status"]) == (True, "pending")
    assert (slept, invocations) == ([], [])
    assert status_of(api, operation) == "pending"


@pytest.mark.case("H1")
def test_a_request_has_what_was_accepted_meanwhile_run(
    api: Api, invocations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other operation's event meets the request's lease, and ends: no other event comes."""
    others: list[Any] = []

    def apply(cluster: Any, manifest: Any, **options: Any) -> Any:
        if not others:
            others.append(accept(api, "other"))
            api.deliver(invocations)
        return APPLY_FOR_REAL(cluster, manifest, **options)

    monkeypatch.setattr(_OpenCluster, "apply", apply)
    assert api.post(APPLY, create_config_map_manifest()).status == 200
    assert [each["operation_id"] for each in invocations] == [others[0]["id"]]
    api.deliver(invocations)
    assert status_of(api, others[0]) == "succeeded"


@pytest.mark.case("H1")
@pytest.mark.parametrize("part", range(3))
def test_nothing_that_is_accepted_is_left_lying(
    api: Api, invocations: list[Any], part: int
) -> None:
    """Requests and workers at once, in many orders: each event comes once, and all is run."""

    def apply(name: str) -> int:
        return api.post(APPLY, create_config_map_manifest(name)).status

    for seed in range(part, 18, 3):
        accept(api)
        work = partial(api.run_operation, invocations.pop())
        run(seed, [lambda: apply("a"), work, lambda: apply("b")])
        api.deliver(invocations)
        assert unfinished(api) == 0, seed
        assert {each["status"] for each in api.get(OPERATIONS).json} == {"succeeded"}, seed


@pytest.mark.case("H1")
def test_a_read_starts_a_queue_without_a_runner_again(
    api: Api, invocations: list[Any], clock: Clock
) -> None:
    operation = accept(api)
    (event,) = invocations
    invocations.clear()
    for _ in range(3):
        read(api, operation)
    assert invocations == [], "its event may be on its way"
    clock.pass_seconds(11)
    others = [Api(now=clock.now) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, [api, *others, api], [operation] * 4))
    assert invocations == [event]
    clock.pass_seconds(11)
    hold_lease(clock, seconds=40)
    read(api, operation)
    assert invocations == [event], "somebody is at work on it"
    clock.pass_seconds(60)
    read(api, operation)
    assert invocations == [event, event]
    api.deliver(invocations)
    assert status_of(api, operation) == "succeeded"


@pytest.mark.case("H1")
def test_a_rollout_is_checked_every_two_seconds_for_all_readers(
    api: Api, kube: ClusterDouble, invocations: list[Any], clock: Clock
) -> None:
    operation = wait_for(api, invocations, create_stuck())
    instances = [api, Api(now=clock.now), Api(now=clock.now)]
    for _ in range(3):
        kube.requests.clear()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(read, instances, [operation] * 3))
        assert looks(kube) == 1
        kube.requests.clear()
        read(api, operation)
        assert looks(kube) == 0
        clock.pass_seconds(2)


def looks(kube: ClusterDouble) -> int:
    return len([each for each in kube.requests if each.path.endswith("/deployments")])


@pytest.mark.case("H1")
def test_a_list_of_operations_reads_only_rows(
    api: Api, kube: ClusterDouble, invocations: list[Any]
) -> None:
    wait_for(api, invocations, create_stuck())
    kube.requests.clear()
    assert [each["status"] for each in api.get(OPERATIONS).json] == ["running"]
    assert kube.requests == []


def test_a_rollout_that_mends_itself_within_ten_seconds_has_not_failed(
    api: Api, cluster: ClusterClient, invocations: list[Any], clock: Clock
) -> None:
    """Since when it fails is in the row: each look may be another process's."""
    operation = wait_for(api, invocations, create_stuck())
    wait_until(lambda: is_failing(api, clock, operation))
    since = row("OPERATIONS#alice", operation["id"])["failing_since"]
    clock.pass_seconds(5)
    assert status_of(Api(now=clock.now), operation) == "running"
    assert row("OPERATIONS#alice", operation["id"])["failing_since"] == since
    clock.pass_seconds(6)
    found = read(Api(now=clock.now), operation)
    assert (found["status"], found["code"]) == ("failed", "image_pull")


def is_failing(api: Api, clock: Clock, operation: Any) -> bool:
    clock.pass_seconds(2)
    (result,) = read(api, operation)["results"]
    return bool(result.get("reason") == "image_pull")


@pytest.mark.case("H1")
def test_reconcile_checks_rollouts_and_dispatches_none(
    api: Api, kube: ClusterDouble, invocations: list[Any], clock: Clock
) -> None:
    waits = [wait_for(api, invocations, create_config_map_manifest()) for _ in range(3)]
    stuck = wait_for(api, invocations, create_stuck())
    clock.pass_seconds(120)
    kube.requests.clear()
    report = api.reconcile()
    assert (report["repaired"], invocations) == ([], [])
    assert report["oldest_unfinished_operation_seconds"] == 120
    assert looks(kube) == 1, "one look serves all of a friend's"
    recorded = {each["id"]: each["status"] for each in api.get(OPERATIONS).json}
    assert [recorded[each["id"]] for each in waits] == ["succeeded"] * 3
    assert recorded[stuck["id"]] == "running"
    assert unfinished(api) == 1


def test_a_dry_run_of_reconcile_checks_no_rollout(api: Api, invocations: list[Any]) -> None:
    operation = wait_for(api, invocations, create_config_map_manifest())
    assert api.reconcile({"dry_run": True})["repaired"] == []
    assert "judged_at" not in row("OPERATIONS#alice", operation["id"])


def test_a_count_that_came_back_with_a_backup_is_mended(api: Api, invocations: list[Any]) -> None:
    operation = wait_for(api, invocations, create_config_map_manifest())
    backup = row("FRIEND#alice", "PROFILE")
    assert status_of(api, operation) == "succeeded"
    put(backup)
    assert unfinished(api) == 1
    api.reconcile()
    assert unfinished(api) == 0


@pytest.mark.parametrize("damage", [{"results": "none"}, {"created_at": "yesterday"}])
def test_a_waiting_operation_whose_row_is_damaged_ends(
    api: Api, invocations: list[Any], damage: Any
) -> None:
    operation = wait_for(api, invocations, create_stuck())
    put({**row("OPERATIONS#alice", operation["id"]), **damage})
    assert read(api, operation)["code"] == "damaged_row"
    assert unfinished(api) == 0


def test_a_read_that_cannot_move_an_operation_on_answers_from_the_row(
    api: Api, invocations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = wait_for(api, invocations, create_config_map_manifest())

    def fail(*_: Any) -> None:
        raise UpstreamUnreachable("DynamoDB is busy.", code="dynamodb_busy")

    for name in ("claim_check", "record_check"):
        with monkeypatch.context() as patch:
            patch.setattr(DynamoOperationStore, name, fail)
            assert status_of(api, operation) == "running"


@pytest.mark.case("H1")
def test_a_repeated_deletion_holds_no_worker(
    api: Api, invocations: list[Any], clock: Clock, slept: list[float]
) -> None:
    """The example: 48 s at a held lease. It is asked for again and again while it runs."""
    first = api.delete(DELETE).json["operation"]
    hold_lease(clock, seconds=40)
    for _ in range(5):
        clock.pass_seconds(5)
        assert api.delete(DELETE).json["operation"]["id"] == first["id"]
    assert len(invocations) == 1
    started = clock.now()
    api.deliver(invocations)
    assert (slept, clock.now()) == ([], started)


@pytest.mark.case("H1")
def test_a_deletion_ends_while_its_namespace_terminates_and_is_taken_up_again(
    api: Api,
    kube: ClusterDouble,
    invocations: list[Any],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = clock.now()
    kube.timing.termination_seconds = 3600
    operation = api.delete(DELETE).json["operation"]
    (report,) = api.deliver(invocations)
    assert (report["ok"], report["operation"]["status"]) == (True, "running")
    assert (clock.now(), invocations) == (started, [])
    clock.pass_seconds(11)
    assert status_of(api, operation) == "running"
    assert len(invocations) == 1
    (report,) = api.deliver(invocations)
    assert report["operation"]["progress"] == {"done": 1, "total": 4}
    clock.pass_seconds(301)
    assert [each["code"] for each in api.reconcile()["repaired"]] == ["dispatched"]
    monkeypatch.setattr(_OpenCluster, "get", lambda *_: None)  # by now, it is gone
    api.deliver(invocations)
    assert api.get(FRIEND).status == 404


@pytest.mark.case("M5")
def test_an_index_holds_no_manifests(api: Api, invocations: list[Any]) -> None:
    big = create_config_map_manifest("big", data={"value": "x" * 50_000})
    waiting = wait_for(api, invocations, big)
    api.post(APPLY, big, headers=ASYNC)
    index = boto3.resource("dynamodb").Table(TABLE).scan(IndexName="friends")["Items"]
    assert not any("manifests" in each for each in index)
    assert len(json.dumps(index, default=str)) < 2000
    mine = row("OPERATIONS#alice", waiting["id"])
    apart = row("MANIFESTS#alice", waiting["id"])
    assert "manifests" not in mine
    assert apart["expires_at"] == mine["expires_at"]
    (kept,) = json.loads(zlib.decompress(apart["manifests"].value))
    assert kept["metadata"]["name"] == "big"


@pytest.mark.case("M5")
def test_an_operation_with_its_manifests_inside_is_run(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    operation = accept(api)
    as_the_version_before(operation, waiting=False)
    api.deliver(invocations)
    assert status_of(api, operation) == "succeeded"
    assert cluster.find("/api/v1/namespaces/friend-alice/configmaps/settings") is not None


@pytest.mark.case("M5")
@pytest.mark.parametrize("damage", ["gone", "text", "another number"])
def test_manifests_that_cannot_be_read_fail_their_operation_alone(
    api: Api, invocations: list[Any], damage: str
) -> None:
    operation, behind = accept(api), accept(api, "other")
    apart = row("MANIFESTS#alice", operation["id"])
    if damage == "gone":
        key = {"pk": apart["pk"], "sk": apart["sk"]}
        boto3.resource("dynamodb").Table(TABLE).delete_item(Key=key)
    else:
        none = zlib.compress(b"[]")
        put({**apart, "manifests": "damaged" if damage == "text" else none})
    api.deliver(invocations)
    assert read(api, operation)["code"] == "damaged_row"
    assert status_of(api, behind) == "succeeded"


@pytest.mark.case("M4")
def test_the_oldest_unfinished_operation_is_seen_behind_fifty_newer_ones(
    api: Api, clock: Clock
) -> None:
    """The example: zoe's is an hour old, and fifty-five friends before her have newer ones."""
    api.register_friend("zoe")
    url = "/api/friends/zoe/namespace/apply"
    assert api.post(url, create_config_map_manifest(), headers=ASYNC).status == 202
    clock.pass_seconds(3600)
    accept(api)
    alice = row("FRIEND#alice", "PROFILE")
    for number in range(55):
        name = f"b{number:02d}"
        another = {"pk": f"FRIEND#{name}", "list_sk": name, "id": name, "uid": f"u-{name}"}
        put({**alice, **another})
    report = api.reconcile({"dry_run": True})
    assert report["oldest_unfinished_operation_seconds"] == 3600


@pytest.mark.case("M4")
@pytest.mark.parametrize("kind", ["pending", "waiting", "of the version before"])
def test_an_unfinished_operation_is_as_old_as_its_acceptance(
    api: Api, invocations: list[Any], clock: Clock, kind: str
) -> None:
    if kind == "waiting":
        wait_for(api, invocations, create_stuck())
    else:
        operation = accept(api)
    if kind == "of the version before":
        as_the_version_before(operation, waiting=False)
    clock.pass_seconds(300)
    if kind != "of the version before":
        accept(api)
    report = api.reconcile({"dry_run": True})
    assert report["oldest_unfinished_operation_seconds"] == 300
