"""Threats K and L: applies at once and in the background, in order, whatever dies on the way."""

import contextlib
import itertools
import json
import traceback
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import boto3
import pytest

from chalicelib.domain.errors import UpstreamUnreachable
from chalicelib.gateways.cluster import _OpenCluster
from chalicelib.gateways.dispatcher import LambdaDispatcher
from chalicelib.gateways.operations import DynamoOperationStore
from chalicelib.services.execution import Turn
from chalicelib.services.worker import Interrupted
from infra.local.cluster import ClusterDouble
from tests.cluster_client import ClusterClient
from tests.factories import AGENT_TOKEN
from tests.harness import TABLE, Api, Clock
from tests.manifests import (
    create_config_map_manifest,
    create_container,
    create_deployment_manifest,
    spell_out_defaults,
)

APPLY = "/api/friends/alice/namespace/apply"
OPERATIONS = "/api/friends/alice/operations"
ASYNC = {"Prefer": "respond-async"}
CONFIG_MAPS = "/api/v1/namespaces/friend-alice/configmaps"


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


def config_map(value: str = "1", name: str = "settings") -> Any:
    return create_config_map_manifest(name=name, data={"value": value})


def apply_async(api: Api, value: str = "1") -> Any:
    answer = api.post(APPLY, config_map(value), headers=ASYNC)
    assert answer.status == 202, answer.text
    return answer.json["operation"]


def value_of(cluster: ClusterClient, name: str = "settings") -> Any:
    found = cluster.find(f"{CONFIG_MAPS}/{name}")
    return found and found["data"]["value"]


def create_broken_deployment() -> Any:
    container = create_container(image="registry.example/web:does-not-exist")
    return create_deployment_manifest("web", pod={"containers": [container]})


def read(api: Api, operation: Any) -> Any:
    return api.get(operation["url"]).json


def follow(api: Api, clock: Clock, operation: Any) -> Any:
    """Read an operation every two seconds until it is over, as a client does."""
    found = read(api, operation)
    while found["status"] in {"pending", "running"}:
        clock.pass_seconds(2)
        found = read(api, operation)
    return found


def die(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_short_apply_is_answered_with_its_results(api: Api, invocations: list[Any]) -> None:
    manifests = [create_deployment_manifest(name="web"), config_map()]
    answer = api.post(APPLY, manifests)
    assert answer.status == 200, answer.text
    assert answer.json["ok"] is True
    assert answer.json["results"] == [
        {
            "kind": "Deployment",
            "name": "web",
            "status": "applied",
            "change": "created",
            "generation": 1,
        },
        {"kind": "ConfigMap", "name": "settings", "status": "applied", "change": "created"},
    ]
    operation = answer.json["operation"]
    assert (operation["status"], operation["type"]) == ("succeeded", "apply")
    assert operation["progress"] == {"done": 2, "total": 2}
    assert operation["requested_by"] == "admin"
    assert read(api, operation) == operation
    assert invocations == []


@pytest.mark.parametrize(
    "shape", [lambda each: each, lambda each: [each], lambda each: {"manifests": [each]}]
)
def test_a_body_is_a_manifest_an_array_or_manifests(api: Api, shape: Callable[[Any], Any]) -> None:
    assert api.post(APPLY, shape(config_map())).status == 200


@pytest.mark.parametrize(
    "body", ['"x"', "1", "null", "true", "[]", '{"manifests": []}', "{", "--- {}"]
)
def test_d06_another_body_is_400(api: Api, kube: ClusterDouble, body: str) -> None:
    kube.requests.clear()
    answer = api.call(
        "POST", APPLY, raw_body=body.encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.status == 400
    assert kube.requests == []


def test_changes_are_told_by_the_servers_own_answer(api: Api) -> None:
    changes = [api.post(APPLY, config_map(value)).json["results"][0]["change"] for value in "1121"]
    assert changes == ["created", "unchanged", "configured", "configured"]


SPELLED_OUT = spell_out_defaults()


def change_later(api: Api, clock: Clock, manifest: Any) -> str:
    """Apply a manifest when the last apply is long over, and return what it says of its object."""
    clock.pass_seconds(7)
    rehearsed = api.post(f"{APPLY}?dry_run=true", manifest).json["results"][0]["change"]
    change = api.post(APPLY, manifest).json["results"][0]["change"]
    assert change == rehearsed
    return str(change)


@pytest.mark.case("K10")
@pytest.mark.parametrize("kind", SPELLED_OUT)
def test_an_object_with_its_defaults_spelled_out_is_unchanged(api: Api, kind: str) -> None:
    clock = Clock()
    api = Api(now=clock.now)
    plain, spelled_out = SPELLED_OUT[kind]
    told = [change_later(api, clock, each) for each in (plain, spelled_out, plain, spelled_out)]
    assert told == ["created", "unchanged", "unchanged", "unchanged"]


@pytest.mark.case("K10")
@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_what_another_has_said_of_an_object_already_is_unchanged(
    api: Api, cluster: ClusterClient, field: str
) -> None:
    clock = Clock()
    api = Api(now=clock.now)
    assert change_later(api, clock, config_map()) == "created"
    path = "/api/v1/namespaces/friend-alice/configmaps/settings"
    cluster.merge(path, {"metadata": {field: {"team": "blue"}}})
    same = config_map()
    same["metadata"][field] = {"team": "blue"}
    assert change_later(api, clock, same) == "unchanged"
    same["metadata"][field]["size"] = "1"
    assert change_later(api, clock, same) == "configured"


def test_a_change_beside_a_spelled_out_default_is_told(api: Api) -> None:
    clock = Clock()
    api = Api(now=clock.now)
    plain, spelled_out = spell_out_defaults()["Service"]
    spelled_out["spec"]["selector"] = {"app": "other"}
    assert [change_later(api, clock, each) for each in (plain, spelled_out)] == [
        "created",
        "configured",
    ]


@pytest.mark.parametrize("status", [400, 403, 410])
def test_where_the_server_forgets_an_object_that_seems_changed_is_configured(
    api: Api, kube: ClusterDouble, status: int
) -> None:
    clock = Clock()
    api = Api(now=clock.now)
    plain, spelled_out = SPELLED_OUT["Service"]
    assert change_later(api, clock, plain) == "created"
    clock.pass_seconds(7)
    kube.fail_next(status=status, times=99, match="GET .*/services$")
    answer = api.post(APPLY, spelled_out)
    assert (answer.status, answer.json["results"][0]["change"]) == (200, "configured")


def test_config_maps_and_services_go_before_what_uses_them(api: Api, kube: ClusterDouble) -> None:
    kube.requests.clear()
    api.post(APPLY, [create_deployment_manifest(name="web"), config_map()])
    written = [path for method, path in sent(kube) if method == "PATCH"]
    assert ["configmaps" in path for path in written] == [True, False]


def sent(kube: ClusterDouble) -> list[tuple[str, str]]:
    return [(each.method, each.path) for each in kube.requests]


def test_a_dry_run_answers_alike_and_changes_nothing(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    answer = api.post(f"{APPLY}?dry_run=true", config_map())
    assert answer.status == 200, answer.text
    assert answer.json["results"][0]["change"] == "created"
    assert answer.json["operation"]["id"] is None
    assert value_of(cluster) is None
    assert api.get(OPERATIONS).json == []
    assert invocations == []
    assert api.post(f"{APPLY}?dry_run=true&wait=ready", config_map()).status == 400


def test_a13_a_fields_other_manager_is_reported_and_not_forced(
    api: Api, cluster: ClusterClient
) -> None:
    theirs = config_map("theirs")
    theirs["metadata"]["namespace"] = "friend-alice"
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", **theirs})
    both = [config_map("ours"), config_map("2", name="other")]
    rehearsed = api.post(f"{APPLY}?dry_run=true", both)
    assert (rehearsed.status, rehearsed.json["code"]) == (422, "objects_refused")
    assert rehearsed.json["error"].endswith("nothing was applied.")
    answer = api.post(APPLY, both)
    assert (answer.status, answer.json["code"]) == (422, "objects_refused")
    assert answer.json["error"].endswith("whatever did not fail stands.")
    failed, applied = answer.json["results"]
    assert (failed["status"], failed["code"]) == ("failed", "field_conflict")
    assert ".data.value" in failed["error"]
    assert "tests" in failed["error"]
    assert applied["status"] == "applied"
    assert value_of(cluster) == "theirs"
    assert value_of(cluster, "other") == "2"
    assert answer.json["operation"]["status"] == "failed"


@pytest.mark.case("K1")
@pytest.mark.parametrize("before", [{}, {"strategy": {"type": "RollingUpdate"}}])
def test_a_strategy_that_a_live_deployment_cannot_take_is_told_with_one_that_it_can(
    api: Api, before: dict[str, Any]
) -> None:
    api.post(APPLY, create_deployment_manifest(name="web", **before))
    recreated = create_deployment_manifest(name="web", strategy={"type": "Recreate"})
    answer = api.post(APPLY, recreated)
    assert (answer.status, answer.json["results"][0]["code"]) == (422, "cluster_refused")
    advised = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert f"Use spec.strategy {json.dumps(advised)}: it" in answer.json["results"][0]["error"]
    assert api.post(APPLY, create_deployment_manifest(name="web", strategy=advised)).status == 200
    assert api.post(APPLY, recreated).status == 200


def test_a14_a_changed_selector_is_422(api: Api) -> None:
    api.post(APPLY, create_deployment_manifest(name="web"))
    changed = create_deployment_manifest(name="web")
    changed["spec"]["selector"]["matchLabels"] = {"app": "other"}
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    answer = api.post(APPLY, changed)
    assert answer.status == 422
    assert "spec.selector" in answer.json["results"][0]["error"]


def test_more_than_the_quota_admits_is_422(api: Api) -> None:
    for number in range(19):
        assert api.post(APPLY, config_map(name=f"c{number}")).status == 200
    answer = api.post(APPLY, config_map(name="one-more"))
    assert (answer.status, answer.json["results"][0]["code"]) == (422, "quota_exceeded")
    assert "count/configmaps=1" in answer.json["results"][0]["error"]


def test_h03_nothing_is_applied_in_a_namespace_that_is_not_the_friends(
    api: Api, cluster: ClusterClient, kube: ClusterDouble
) -> None:
    cluster.delete_namespace("friend-alice")
    answer = api.post(APPLY, config_map())
    assert (answer.status, answer.json["code"]) == (409, "namespace_missing")
    cluster.create_namespace("friend-alice")
    kube.requests.clear()
    answer = api.post(APPLY, config_map())
    assert (answer.status, answer.json["code"]) == (409, "namespace_not_ours")
    assert {method for method, _ in sent(kube)} == {"GET"}
    assert [each["status"] for each in api.get(OPERATIONS).json] == ["failed", "failed"]


def test_respond_async_is_202_and_runs_by_invocation(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    answer = api.post(APPLY, config_map(), headers=ASYNC, token=AGENT_TOKEN)
    assert answer.status == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    operation = answer.json["operation"]
    assert operation["status"] == "pending"
    assert answer.headers["Location"] == f"/test{operation['url']}"
    assert invocations == [{"friend_id": "alice", "operation_id": operation["id"]}]
    assert value_of(cluster) is None
    (report,) = api.deliver(invocations)
    assert report["operation"] == read(api, operation)
    assert read(api, operation)["status"] == "succeeded"
    assert read(api, operation)["requested_by"] == "agent:mochi"
    assert value_of(cluster) == "1"


@pytest.mark.parametrize(
    ("prefer", "status"),
    [
        ("respond-async", 202),
        ("Respond-Async; wait=10", 202),
        ('return=minimal, respond-async=""', 202),
        (["wait=5", "respond-async"], 202),
        ('foo="a, respond-async, b"', 200),
        ('foo="a, respond-async', 200),
        ('foo="a\\", respond-async', 200),
        ('foo="\\"", respond-async', 202),
        ("respond-asynchronously", 200),
        ("", 200),
    ],
)
def test_a_preference_is_read_as_rfc_7240_spells_it(
    api: Api, prefer: str | list[str], status: int
) -> None:
    assert api.post(APPLY, config_map(), headers={"Prefer": prefer}).status == status


def test_wait_ready_follows_the_rollout_to_its_end(api: Api, invocations: list[Any]) -> None:
    answer = api.post(f"{APPLY}?wait=ready", [create_deployment_manifest(name="web"), config_map()])
    assert answer.status == 202
    api.deliver(invocations)
    operation = read(api, answer.json["operation"])
    assert operation["status"] == "succeeded", operation
    assert [each["ready"] for each in operation["results"]] == [True, True]


def test_wait_ready_says_why_it_does_not_run(
    api: Api, invocations: list[Any], clock: Clock
) -> None:
    broken = create_broken_deployment()
    answer = api.post(f"{APPLY}?wait=ready", broken)
    api.deliver(invocations)
    started = clock.now()
    operation = follow(api, clock, answer.json["operation"])
    assert operation["status"] == "failed"
    assert (operation["code"], operation["results"][0]["ready"]) == ("image_pull", False)
    assert clock.now() - started < timedelta(seconds=60)


def test_a_wait_that_a_later_apply_overtakes_says_so(api: Api, invocations: list[Any]) -> None:
    first = api.post(f"{APPLY}?wait=ready", create_broken_deployment()).json["operation"]
    api.deliver(invocations)
    assert api.post(APPLY, create_deployment_manifest("web")).status == 200
    assert (read(api, first)["status"], read(api, first)["code"]) == ("failed", "superseded")


def test_waiting_blocks_no_later_apply(api: Api, clock: Clock, invocations: list[Any]) -> None:
    first = api.post(f"{APPLY}?wait=ready", create_broken_deployment()).json["operation"]
    (report,) = api.deliver(invocations)
    assert report["operation"]["status"] == "running"
    assert api.post(APPLY, config_map()).status == 200
    assert follow(api, clock, first)["status"] == "failed"


def test_an_invocation_hands_on_before_its_own_timeout(
    api: Api, cluster: ClusterClient, invocations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch takes so long that there is no time for the second."""
    api.post(APPLY, [create_deployment_manifest("web"), config_map()], headers=ASYNC)
    event = invocations.pop()
    with monkeypatch.context() as patch:
        has_time = iter([True, True, False])
        patch.setattr(Turn, "has_time", property(lambda _: next(has_time)))
        report = api.run_operation(event)["operation"]
    assert (report["status"], report["progress"]) == ("running", {"done": 1, "total": 2})
    assert invocations == [event]
    assert value_of(cluster) == "1"
    api.deliver(invocations)
    assert api.get(report["url"]).json["status"] == "succeeded"


def test_an_apply_behind_a_running_one_is_202_and_runs_after_it(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    first = apply_async(api, "1")
    answer = api.post(APPLY, config_map("2"))
    assert answer.status == 202
    api.deliver(invocations)
    assert value_of(cluster) == "2"
    statuses = [read(api, each)["status"] for each in (first, answer.json["operation"])]
    assert statuses == ["succeeded", "succeeded"]


# Every event comes at least once, up to two come again.
ORDERS = sorted(
    {
        order
        for length in range(3, 6)
        for order in itertools.product((0, 1, 2), repeat=length)
        if set(order) == {0, 1, 2}
    }
)


@pytest.mark.parametrize("part", range(4))
def test_k02_every_order_of_three_applies_with_duplicates_ends_at_the_newest(
    api: Api, cluster: ClusterClient, invocations: list[Any], part: int
) -> None:
    """All 192 orders of up to five deliveries, each event at least once."""
    for order in ORDERS[part::4]:
        for value in "123":
            apply_async(api, value)
        events = [invocations[number] for number in order]
        invocations.clear()
        reports = [api.run_operation(event) for event in events]
        assert value_of(cluster) == "3", order
        assert {each["operation"]["status"] for each in reports} == {"succeeded"}, order


@pytest.mark.parametrize("deliveries", range(2, 6))
def test_k01_an_event_that_comes_again_does_nothing_more(
    backend: None, kube: ClusterDouble, invocations: list[Any], deliveries: int
) -> None:
    api = Api()
    api.register_friend()
    apply_async(api)
    event = invocations.pop()
    kube.requests.clear()
    with ThreadPoolExecutor(deliveries) as pool:
        reports = list(pool.map(api.run_operation, [event] * deliveries))
    # One that meets the lease of another ends at once, and tells how it stands then.
    assert {each["operation"]["status"] for each in reports} <= {"pending", "running", "succeeded"}
    assert api.get(OPERATIONS).json[0]["status"] == "succeeded"
    assert api.run_operation(event)["operation"]["status"] == "succeeded"
    assert writes_of(kube) == 1


def writes_of(kube: ClusterDouble) -> int:
    return len([None for method, _ in sent(kube) if method == "PATCH"])


def test_k03_a_poison_operation_fails_permanently_and_blocks_no_other(
    api: Api, invocations: list[Any], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = apply_async(api, "poison")
    fine = api.post(APPLY, config_map("fine", name="other"), headers=ASYNC).json["operation"]
    event = invocations[0]
    tried = poison_settings(monkeypatch)
    started = clock.now()
    with pytest.raises(Interrupted, match=r"^internal_error$"):
        api.run_operation(event)
    assert (len(tried), clock.now()) == (3, started)
    assert (read(api, poison)["status"], read(api, poison)["code"]) == ("failed", "internal_error")
    assert read(api, fine)["status"] == "succeeded"
    assert read(api, fine)["results"][0]["name"] == "other"
    for _ in range(2):  # Lambda repeats it, and hands it to the on-failure destination then.
        clock.pass_seconds(60)
        with pytest.raises(Interrupted, match=r"^internal_error$"):
            api.run_operation(event)
    assert len(tried) == 3


def test_k03_manifests_that_no_request_recorded_are_such_a_poison(
    api: Api, invocations: list[Any]
) -> None:
    poison = apply_async(api)
    fine = api.post(APPLY, config_map("fine", name="other"), headers=ASYNC).json["operation"]
    boto3.resource("dynamodb").Table(TABLE).update_item(
        Key={"pk": "MANIFESTS#alice", "sk": poison["id"]},
        UpdateExpression="SET manifests = :poison",
        ExpressionAttributeValues={":poison": zlib.compress(b"[1]")},
    )
    with pytest.raises(Interrupted, match=r"^internal_error$"):
        api.run_operation(invocations[0])
    assert (read(api, poison)["status"], read(api, fine)["status"]) == ("failed", "succeeded")


def test_k03_an_event_of_what_has_failed_for_good_fails_whenever_it_is_delivered(
    api: Api, invocations: list[Any], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = apply_async(api, "poison")
    event = invocations[0]
    poison_settings(monkeypatch)
    with pytest.raises(Interrupted, match=r"^internal_error$"):
        api.run_operation(event)
    failed = read(api, poison)
    assert failed["status"] == "failed"
    clock.pass_seconds(3600)
    with pytest.raises(Interrupted, match=r"^internal_error$"):
        api.run_operation(event)
    assert read(api, poison) == failed


def queue_behind_poison(api: Api, invocations: list[Any]) -> tuple[Any, Any, Any]:
    """Return a poison operation, a fine one behind it, and the only event left: the fine one's."""
    poison = apply_async(api, "poison")
    fine = api.post(APPLY, config_map("fine", name="other"), headers=ASYNC).json["operation"]
    event = invocations.pop()
    invocations.clear()
    return poison, fine, event


def test_k03_what_fails_for_good_on_the_way_to_another_gets_an_event_that_fails(
    api: Api, invocations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, fine, event = queue_behind_poison(api, invocations)
    poison_settings(monkeypatch)
    assert api.run_operation(event)["operation"]["id"] == fine["id"]
    assert read(api, fine)["status"] == "succeeded"
    assert read(api, poison)["status"] == "failed"
    assert [each["operation_id"] for each in invocations] == [poison["id"]]
    with pytest.raises(Interrupted, match=r"^internal_error$"):
        api.run_operation(invocations.pop())


def test_k03_nothing_fails_for_good_until_its_event_is_sent(
    api: Api, invocations: list[Any], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, fine, event = queue_behind_poison(api, invocations)

    def fail(*_: Any) -> None:
        raise UpstreamUnreachable("Lambda is busy.", code="lambda_busy")

    poison_settings(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(LambdaDispatcher, "dispatch", fail)
        for _ in range(3):
            with pytest.raises(Interrupted):
                api.run_operation(event)
            clock.pass_seconds(60)
        assert read(api, poison)["status"] == "running"
    assert api.run_operation(event)["operation"]["id"] == fine["id"]
    assert read(api, poison)["status"] == "failed"
    assert [each["operation_id"] for each in invocations] == [poison["id"]]


def test_k03_a_letter_is_not_lost_with_the_lease(
    api: Api, invocations: list[Any], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event goes on to the next operation, and is overtaken there by that one's own."""
    poison = apply_async(api, "poison")
    api.post(APPLY, config_map("fine", name="other"), headers=ASYNC)
    own, next_ones = list(invocations)
    is_frozen = False

    def freeze(cluster: Any, manifest: Any, **options: Any) -> Any:
        nonlocal is_frozen
        if manifest["metadata"]["name"] == "other" and not is_frozen:
            is_frozen = True
            clock.pass_seconds(60)
            assert api.run_operation(next_ones)["operation"]["status"] == "succeeded"
        return fail_on_settings(cluster, manifest, **options)

    monkeypatch.setattr(_OpenCluster, "apply", freeze)
    with pytest.raises(Interrupted, match=r"^internal_error$"):
        api.run_operation(own)
    assert is_frozen
    assert read(api, poison)["status"] == "failed"


@pytest.mark.parametrize("value", ["yes", 1, [1], False])
def test_l06_a_mark_that_is_none_gives_nothing_up(
    api: Api, invocations: list[Any], value: Any
) -> None:
    operation = apply_async(api)
    boto3.resource("dynamodb").Table(TABLE).update_item(
        Key={"pk": "OPERATIONS#alice", "sk": operation["id"]},
        UpdateExpression="SET given_up = :value",
        ExpressionAttributeValues={":value": value},
    )
    assert api.run_operation(invocations.pop())["operation"]["status"] == "succeeded"


APPLY_FOR_REAL = _OpenCluster.apply


def fail_on_settings(cluster: Any, manifest: Any, **options: Any) -> Any:
    """Apply, with a bug that one object meets."""
    if manifest["metadata"]["name"] == "settings":
        raise ZeroDivisionError
    return APPLY_FOR_REAL(cluster, manifest, **options)


def poison_settings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have a bug met by one object; return the names of those that have met it so far."""
    tried: list[str] = []

    def apply(cluster: Any, manifest: Any, **options: Any) -> Any:
        tried.extend({manifest["metadata"]["name"]} & {"settings"})
        return fail_on_settings(cluster, manifest, **options)

    monkeypatch.setattr(_OpenCluster, "apply", apply)
    return tried


@pytest.mark.parametrize("failure", [KeyboardInterrupt, TypeError])
def test_k03_an_operation_that_kills_its_runner_blocks_nobody(
    api: Api,
    invocations: list[Any],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    failure: type[BaseException],
) -> None:
    deadly = apply_async(api, "deadly")
    fine = api.post(APPLY, config_map("fine", name="other"), headers=ASYNC).json["operation"]

    def kill(cluster: Any, manifest: Any, **options: Any) -> Any:
        if manifest["metadata"]["name"] == "settings":
            raise failure
        return APPLY_FOR_REAL(cluster, manifest, **options)

    monkeypatch.setattr(_OpenCluster, "apply", kill)
    for event in itertools.islice(itertools.cycle(list(invocations)), 8):
        with contextlib.suppress(Interrupted, KeyboardInterrupt):
            api.run_operation(event)
        clock.pass_seconds(60)
    assert read(api, deadly)["status"] == "failed"
    assert read(api, deadly)["code"] in {"gave_up", "internal_error"}
    assert read(api, fine)["status"] == "succeeded"


def test_a_friend_has_so_many_operations_waiting_at_most(api: Api) -> None:
    for _ in range(20):
        apply_async(api)
    answer = api.post(APPLY, config_map(), headers=ASYNC)
    assert (answer.status, answer.json["code"]) == (429, "too_many_requests")
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("step", ["accept", "finish"])
@pytest.mark.parametrize("commits", [False, True])
def test_l06_whatever_dynamodb_does_the_operation_is_driven(
    api: Api, invocations: list[Any], monkeypatch: pytest.MonkeyPatch, step: str, *, commits: bool
) -> None:
    """A write fails, before or after it was made: what is recorded has an invocation."""
    method = getattr(DynamoOperationStore, step)

    def fail(*arguments: Any, **options: Any) -> None:
        if commits:
            method(*arguments, **options)
        raise UpstreamUnreachable("DynamoDB is busy.", code="dynamodb_busy")

    with monkeypatch.context() as patch:
        patch.setattr(DynamoOperationStore, step, fail)
        answer = api.post(APPLY, config_map())
    assert answer.status == (503 if step == "accept" else 202)
    api.deliver(invocations)
    recorded = api.get(OPERATIONS).json
    expected = [] if (step, commits) == ("accept", False) else ["succeeded"]
    assert [each["status"] for each in recorded] == expected


def test_a_wait_whose_event_is_lost_is_run_by_the_next(api: Api, invocations: list[Any]) -> None:
    first = api.post(f"{APPLY}?wait=ready", create_deployment_manifest()).json["operation"]
    invocations.clear()
    apply_async(api)
    api.deliver(invocations)
    assert read(api, first)["status"] == "succeeded"


def test_a_wait_outlives_a_cluster_that_is_away_and_ends(
    api: Api, invocations: list[Any], monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    def be_away(*_: Any) -> Any:
        raise UpstreamUnreachable("The cluster cannot be reached.")

    first = api.post(f"{APPLY}?wait=ready", create_deployment_manifest()).json["operation"]
    api.deliver(invocations)
    recorded = api.get(OPERATIONS).json[0]
    monkeypatch.setattr(_OpenCluster, "list_all", be_away)
    clock.pass_seconds(890)
    assert read(api, first) == recorded
    clock.pass_seconds(20)
    assert (read(api, first)["status"], read(api, first)["code"]) == ("failed", "not_ready_in_time")


def test_k04_the_event_carries_ids_whatever_the_size_of_the_manifests(
    api: Api, invocations: list[Any]
) -> None:
    data = {"value": "x" * 60_000}
    big = [create_config_map_manifest(name=f"big-{number}", data=data) for number in range(3)]
    answer = api.post(APPLY, big, headers=ASYNC)
    assert answer.status == 202
    assert set(invocations[0]) == {"friend_id", "operation_id"}
    api.deliver(invocations)
    assert read(api, answer.json["operation"])["status"] == "succeeded"
    assert api.post(APPLY, [*big, *big]).status == 413


EVENT = {"friend_id": "alice", "operation_id": "19ab0000000-00000001"}


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "alice",
        {},
        {"friend_id": "alice"},
        EVENT | {"friend_id": "../alice"},
        EVENT | {"friend_id": 1},
        EVENT | {"friend_id": "kube-system"},
        EVENT | {"operation_id": ""},
        EVENT | {"operation_id": "19ab0000000-1"},
        EVENT | {"operation_id": None},
        EVENT | {"manifests": [{"kind": "Pod"}]},
        EVENT | {"version": 2},
        EVENT | {"x" * 500: 1},
    ],
)
def test_k05_a_hand_made_event_is_validated_like_a_request(
    api: Api, kube: ClusterDouble, event: Any
) -> None:
    kube.requests.clear()
    report = api.run_operation(event)
    assert (report["ok"], report["code"]) == (False, "invalid_event")
    assert report["error"]
    assert report["details"]
    assert kube.requests == []


def test_k05_a_misspelt_field_is_named(api: Api) -> None:
    report = api.run_operation(EVENT | {"dry_run": True})
    assert report["error"] == (
        "'dry_run' is not known here; known fields: friend_id, operation_id. Nothing was done."
    )


@pytest.mark.parametrize("event", [EVENT, EVENT | {"friend_id": "bob"}])
def test_k05_an_event_about_nothing_says_so(api: Api, event: Any) -> None:
    report = api.run_operation(event)
    assert report["ok"] is False
    assert report["code"] in {"operation_not_found", "friend_not_found"}


def test_k06_what_the_queue_loses_is_taken_along_by_the_next(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    lost = apply_async(api, "1")
    invocations.clear()
    apply_async(api, "2")
    api.deliver(invocations)
    assert read(api, lost)["status"] == "succeeded"
    assert value_of(cluster) == "2"


def test_k06_an_operation_that_could_not_be_dispatched_is_recorded(
    api: Api, invocations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise UpstreamUnreachable("Lambda is busy.")

    with monkeypatch.context() as patch:
        patch.setattr("chalicelib.gateways.dispatcher.LambdaDispatcher.dispatch", fail)
        operation = apply_async(api)
    assert invocations == []
    event = {"friend_id": "alice", "operation_id": operation["id"]}
    assert api.run_operation(event)["operation"]["status"] == "succeeded"


def test_k07_a_worker_that_dies_midway_is_taken_over_without_doing_things_twice(
    api: Api,
    kube: ClusterDouble,
    invocations: list[Any],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifests = [config_map(), create_deployment_manifest(name="web")]
    operation = api.post(APPLY, manifests, headers=ASYNC).json["operation"]
    event = invocations.pop()
    with monkeypatch.context() as patch:
        patch.setattr(DynamoOperationStore, "finish", die)
        with pytest.raises(KeyboardInterrupt):
            api.run_operation(event)
    assert read(api, operation)["progress"] == {"done": 2, "total": 2}
    kube.requests.clear()
    clock.pass_seconds(60)
    assert api.run_operation(event)["operation"]["status"] == "succeeded"
    assert writes_of(kube) == 0


def test_k07_a_request_that_dies_is_finished_by_the_worker_behind_it(
    api: Api,
    cluster: ClusterClient,
    invocations: list[Any],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("chalicelib.gateways.cluster._OpenCluster.apply", die)
        with pytest.raises(KeyboardInterrupt):
            api.post(APPLY, config_map("1"))
    second = api.post(APPLY, config_map("2"))
    assert second.status == 202
    api.deliver(invocations)  # it meets the lease of the dead, and ends
    assert value_of(cluster) is None
    assert read(api, second.json["operation"])["status"] == "pending"
    clock.pass_seconds(60)
    read(api, second.json["operation"])
    assert len(invocations) == 1
    api.deliver(invocations)
    assert value_of(cluster) == "2"
    assert [each["status"] for each in api.get(OPERATIONS).json] == ["succeeded", "succeeded"]


def test_k07_an_invocation_with_too_little_time_does_nothing(
    api: Api, invocations: list[Any]
) -> None:
    operation = apply_async(api)
    with pytest.raises(Interrupted, match="timeout_too_short"):
        api.run_operation(invocations.pop(), remaining_seconds=30)
    assert read(api, operation)["status"] == "pending"


def test_k08_a_deleted_friend_is_not_resurrected(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    apply_async(api)
    forget("alice")
    cluster.delete_namespace("friend-alice")
    (report,) = api.deliver(list(invocations))
    assert (report["ok"], report["code"]) == (False, "friend_not_found")
    assert cluster.find("/api/v1/namespaces/friend-alice") is None
    api.register_friend()
    (report,) = api.deliver(invocations)
    assert (report["ok"], report["code"]) == (False, "operation_not_found")
    assert value_of(cluster) is None


def forget(friend_id: str) -> None:
    key = {"pk": {"S": f"FRIEND#{friend_id}"}, "sk": {"S": "PROFILE"}}
    boto3.client("dynamodb").delete_item(TableName=TABLE, Key=key)


def test_what_does_not_fit_the_requests_time_goes_to_the_worker(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    answer = api.post(APPLY, config_map(), remaining_seconds=10)
    assert answer.status == 202
    api.deliver(invocations)
    assert value_of(cluster) == "1"


def test_a_cluster_that_is_away_loses_nothing(
    api: Api,
    cluster: ClusterClient,
    kube: ClusterDouble,
    invocations: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    kube.fail_next(status=503, times=5, match="GET")
    answer = api.post(APPLY, config_map())
    assert answer.status == 202
    api.deliver(invocations)
    assert read(api, answer.json["operation"])["status"] == "succeeded"
    assert value_of(cluster) == "1"


def test_applies_at_once_are_all_run_and_none_twice(
    api: Api, kube: ClusterDouble, invocations: list[Any]
) -> None:
    kube.requests.clear()

    def apply(number: int) -> int:
        return api.post(APPLY, config_map(str(number), name=f"c{number}")).status

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(apply, range(4)))
    assert set(statuses) <= {200, 202}
    api.deliver(invocations)
    assert writes_of(kube) == 4
    assert {each["status"] for each in api.get(OPERATIONS).json} == {"succeeded"}


def test_the_same_key_gets_the_same_operation_also_while_it_runs(
    api: Api, invocations: list[Any]
) -> None:
    headers = ASYNC | {"Idempotency-Key": "k"}
    first = api.post(APPLY, config_map(), headers=headers)
    again = api.post(APPLY, config_map(), headers=headers)
    assert (first.status, again.status) == (202, 202)
    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(invocations) == 1
    assert api.post(APPLY, config_map("2"), headers=headers).status == 422
    assert len(api.get(OPERATIONS).json) == 1


def test_a_repeat_after_a_death_finds_the_operation_of_the_first_try(
    api: Api, invocations: list[Any], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Idempotency-Key": "k"}
    with monkeypatch.context() as patch:
        patch.setattr(DynamoOperationStore, "finish", die)
        with pytest.raises(KeyboardInterrupt):
            api.post(APPLY, config_map(), headers=headers)
    table: Any = boto3.resource("dynamodb").Table(TABLE)
    (claim,) = [each for each in table.scan()["Items"] if each["pk"].startswith("IDEMPOTENCY#")]
    table.update_item(
        Key={"pk": claim["pk"], "sk": claim["sk"]},
        UpdateExpression="SET lease_until = :past",
        ExpressionAttributeValues={":past": 0},
    )
    clock.pass_seconds(60)
    answer = api.post(APPLY, config_map(), headers=headers)
    assert answer.status == 202
    assert len(api.get(OPERATIONS).json) == 1
    api.deliver(invocations)
    assert [each["status"] for each in api.get(OPERATIONS).json] == ["succeeded"]


def test_operations_are_listed_newest_first_page_by_page(api: Api) -> None:
    for value in "123":
        api.post(APPLY, config_map(value))
    first = api.get(f"{OPERATIONS}?limit=2")
    assert [each["id"][-1] for each in first.json] == ["3", "2"]
    rest = api.get(first.next_url)
    assert [each["id"][-1] for each in rest.json] == ["1"]
    assert "Link" not in rest.headers


@pytest.mark.parametrize("query", ["limit=0", "limit=51", "cursor=x", "cursor=", "page=2"])
def test_e04_a_bad_page_is_400(api: Api, query: str) -> None:
    assert api.get(f"{OPERATIONS}?{query}").status == 400


def test_e04_a_cursor_of_another_friends_shows_nothing_of_theirs(api: Api) -> None:
    api.register_friend("bob")
    for friend_id in ("alice", "bob", "bob"):
        api.post(f"/api/friends/{friend_id}/namespace/apply", config_map())
    newest, _ = api.get("/api/friends/bob/operations").json
    answer = api.get(f"{OPERATIONS}?cursor={newest['id']}")
    assert [each["url"].split("/")[3] for each in answer.json] == ["alice"]
    assert api.get(f"{OPERATIONS}/{newest['id']}").status == 404


@pytest.mark.parametrize("identifier", ["x", "..", "19ab0000000-0000000١", "a" * 80])
def test_e01_a_bad_operation_id_is_400(api: Api, identifier: str) -> None:
    assert api.get(f"{OPERATIONS}/{identifier}").status == 400


def test_an_unknown_operation_is_404(api: Api) -> None:
    answer = api.get(f"{OPERATIONS}/19ab0000000-00000001")
    assert (answer.status, answer.json["code"]) == (404, "operation_not_found")


def test_l08_an_object_that_others_changed_at_the_same_moment_is_sent_again(
    api: Api, cluster: ClusterClient, kube: ClusterDouble, invocations: list[Any]
) -> None:
    operation = apply_async(api)
    kube.fail_next(status=409, match="PATCH")
    api.deliver(invocations)
    assert read(api, operation)["status"] == "succeeded"
    assert value_of(cluster) == "1"


def test_f07_what_a_bug_says_does_not_leave_the_worker(
    api: Api, invocations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        message = "canary-in-a-message"
        raise RuntimeError(message)

    api.post(APPLY, create_config_map_manifest(), headers=ASYNC)
    monkeypatch.setattr(DynamoOperationStore, "claim", fail)
    with pytest.raises(Interrupted, match=r"^internal_error$") as raised:
        api.run_operation(invocations[0])
    assert "canary" not in "".join(traceback.format_exception(raised.value))
