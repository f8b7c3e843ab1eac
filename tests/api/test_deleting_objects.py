"""Deleting an object of a friend's namespace: an operation in the friend's line, like an apply."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain import kinds
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.kinds import Kind
from chalicelib.domain.model import Principal, Role
from chalicelib.gateways.cluster import _OpenCluster
from chalicelib.gateways.operations import DynamoOperationStore
from chalicelib.services.operations import DeletionRequest
from infra.local.cluster import ClusterDouble
from tests import interleaving
from tests.cluster_client import ClusterClient
from tests.factories import AGENT_TOKEN
from tests.harness import Api, Clock
from tests.manifests import (
    create_config_map_manifest,
    create_cron_job_manifest,
    create_deployment_manifest,
    create_job_manifest,
    create_service_manifest,
)

FRIEND = "/api/friends/alice"
APPLY = f"{FRIEND}/namespace/apply"
WEB = f"{FRIEND}/namespace/deployments/web"
OPERATIONS = f"{FRIEND}/operations"
ASYNC = {"Prefer": "respond-async"}
IN_CLUSTER = "/apis/apps/v1/namespaces/friend-alice/deployments/web"
ADMIN = Principal(Role.ADMIN, "admin")
SEEDS = range(24)


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


def web(replicas: int = 1) -> Any:
    return create_deployment_manifest("web", replicas=replicas)


def read(api: Api, operation: Any) -> Any:
    return api.get(operation["url"]).json


def newest(api: Api) -> Any:
    return api.get(OPERATIONS).json[0]


def test_a_deletion_with_nothing_before_it_runs_at_once(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    api.post(APPLY, web())
    answer = api.delete(WEB, token=AGENT_TOKEN)
    assert answer.status == 200, answer.text
    operation = answer.json["operation"]
    assert answer.json == {"ok": True, "operation": operation}
    assert (operation["type"], operation["status"]) == ("delete_object", "succeeded")
    assert operation["results"] == [{"kind": "Deployment", "name": "web", "status": "deleted"}]
    assert operation["progress"] == {"done": 1, "total": 1}
    assert operation["requested_by"] == "agent:mochi"
    assert read(api, operation) == operation
    assert cluster.find(IN_CLUSTER) is None
    assert invocations == []


def test_what_is_not_there_is_404_and_nothing_is_recorded(api: Api) -> None:
    answer = api.delete(WEB)
    assert (answer.status, answer.json["code"]) == (404, "deployment_not_found")
    assert api.delete(WEB, headers=ASYNC).status == 404
    assert api.delete(f"{WEB}?dry_run=true").status == 404
    assert api.get(OPERATIONS).json == []


def test_respond_async_is_202_and_runs_by_invocation(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    api.post(APPLY, web())
    answer = api.delete(WEB, headers=ASYNC)
    assert answer.status == 202
    operation = answer.json["operation"]
    assert answer.json == {"ok": True, "operation": operation}
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert answer.headers["Location"].endswith(operation["url"].lstrip("/"))
    assert (operation["status"], operation["results"]) == ("pending", [])
    assert cluster.find(IN_CLUSTER)
    api.deliver(invocations)
    assert read(api, operation)["status"] == "succeeded"
    assert cluster.find(IN_CLUSTER) is None


def test_a_dry_run_answers_alike_and_deletes_nothing(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    api.post(APPLY, web())
    answer = api.delete(f"{WEB}?dry_run=true")
    assert answer.status == 200, answer.text
    operation = answer.json["operation"]
    assert (answer.json["dry_run"], operation["id"]) == (True, None)
    assert operation["results"] == [{"kind": "Deployment", "name": "web", "status": "deleted"}]
    assert cluster.find(IN_CLUSTER)
    assert len(api.get(OPERATIONS).json) == 1
    assert invocations == []


def test_a_dry_run_behind_other_operations_is_202(api: Api) -> None:
    api.post(APPLY, web(), headers=ASYNC)
    answer = api.delete(f"{WEB}?dry_run=true")
    assert answer.status == 202, answer.text
    assert (answer.json["dry_run"], answer.json["operation"]["status"]) == (True, "pending")
    assert len(api.get(OPERATIONS).json) == 1


@pytest.mark.case("H3")
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (1,), (0, 0, 1), (1, 1)])
def test_a_deletion_behind_a_pending_apply_has_the_last_word(
    api: Api, cluster: ClusterClient, invocations: list[Any], order: tuple[int, ...]
) -> None:
    """Whatever becomes of the events: in whichever order they come, twice or never."""
    applied = api.post(APPLY, web(), headers=ASYNC).json["operation"]
    answer = api.delete(WEB)
    assert (answer.status, answer.json["operation"]["status"]) == (202, "pending")
    events = list(invocations)
    invocations.clear()
    for each in order:
        api.run_operation(events[each])
    assert read(api, applied)["status"] == "succeeded"
    assert read(api, answer.json["operation"])["status"] == "succeeded"
    assert cluster.find(IN_CLUSTER) is None


@pytest.mark.case("H3")
@pytest.mark.parametrize("was_there", [False, True])
def test_what_is_deleted_while_the_cluster_is_away_is_gone_a_minute_later(  # noqa: PLR0913, PLR0917 - fixtures
    api: Api,
    kube: ClusterDouble,
    cluster: ClusterClient,
    clock: Clock,
    invocations: list[Any],
    was_there: bool,
) -> None:
    if was_there:
        api.post(APPLY, web())
    kube.fail_next(status=503, times=99)
    assert api.post(APPLY, web(2)).status == 202
    answer = api.delete(WEB)
    assert answer.status == 202, answer.text
    kube.clear()
    for _ in range(2):
        clock.pass_seconds(60)
        api.deliver(invocations)
        api.reconcile()
    api.deliver(invocations)
    assert read(api, answer.json["operation"])["status"] == "succeeded"
    assert cluster.find(IN_CLUSTER) is None


@pytest.mark.case("H3")
def test_a_deletion_that_the_cluster_was_away_for_is_kept(
    api: Api, kube: ClusterDouble, cluster: ClusterClient, clock: Clock, invocations: list[Any]
) -> None:
    api.post(APPLY, web())
    kube.fail_next(status=503, times=99)
    answer = api.delete(WEB)
    assert answer.status == 202, answer.text
    kube.clear()
    clock.pass_seconds(60)
    api.deliver(invocations)
    assert read(api, answer.json["operation"])["status"] == "succeeded"
    assert cluster.find(IN_CLUSTER) is None


@pytest.mark.case("H3")
def test_what_is_applied_behind_a_deletion_stays(
    api: Api, cluster: ClusterClient, invocations: list[Any]
) -> None:
    api.post(APPLY, web())
    first = cluster.find(IN_CLUSTER)
    api.delete(WEB, headers=ASYNC)
    event = invocations[0]
    assert api.post(APPLY, web(2)).status == 202
    api.deliver(invocations)
    second = cluster.find(IN_CLUSTER)
    assert first
    assert second
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    api.run_operation(event)
    assert cluster.find(IN_CLUSTER) == second


@pytest.mark.case("H3")
@pytest.mark.parametrize("seed", SEEDS)
def test_deletions_and_applies_in_any_order_end_as_they_were_accepted(
    api: Api, cluster: ClusterClient, invocations: list[Any], seed: int
) -> None:
    """Three clients at once, and a worker: the last one in the line decides, and nothing else."""
    api.post(APPLY, web())
    api.post(APPLY, web(), headers=ASYNC)
    event = invocations.pop()
    interleaving.run(
        seed,
        [
            lambda: api.delete(WEB),
            lambda: api.post(APPLY, web(2)),
            lambda: api.delete(WEB),
            lambda: api.run_operation(event),
        ],
    )
    api.deliver(invocations)
    operations = sorted(api.get(OPERATIONS).json, key=lambda each: each["id"])
    assert {each["status"] for each in operations} <= {"succeeded", "failed"}
    there = False
    for each in operations:
        is_deletion = each["type"] == "delete_object"
        # Only a deletion of what is not there fails.
        assert each["status"] == ("failed" if is_deletion and not there else "succeeded"), each
        there = not is_deletion
    assert (cluster.find(IN_CLUSTER) is not None) is there


def test_a_queued_deletion_of_a_missing_object_fails_when_it_runs(
    api: Api, invocations: list[Any]
) -> None:
    api.post(APPLY, create_config_map_manifest(), headers=ASYNC)
    answer = api.delete(WEB)
    assert answer.status == 202
    api.deliver(invocations)
    operation = read(api, answer.json["operation"])
    assert (operation["status"], operation["code"]) == ("failed", "deployment_not_found")
    assert operation["progress"] == {"done": 0, "total": 1}


def test_a_deletion_of_nothing_fails_after_the_line_has_waited_too(
    api: Api, kube: ClusterDouble, clock: Clock, invocations: list[Any]
) -> None:
    kube.fail_next(status=503, times=99)
    answer = api.delete(WEB)
    assert answer.status == 202
    api.deliver(invocations)
    kube.clear()
    clock.pass_seconds(60)
    api.reconcile()
    api.deliver(invocations)
    operation = read(api, answer.json["operation"])
    assert (operation["status"], operation.get("code")) == ("failed", "deployment_not_found")


Death = tuple[type[Any], str, bool]
DEATHS: list[Death] = [
    (DynamoOperationStore, "accept", True),
    (_OpenCluster, "delete", False),
    (_OpenCluster, "delete", True),
    (DynamoOperationStore, "finish", False),
    (DynamoOperationStore, "finish", True),
]


def dying(owner: type[Any], name: str, *, after: bool) -> Callable[..., None]:
    method = getattr(owner, name)

    def call(*arguments: Any, **options: Any) -> None:
        if after:
            method(*arguments, **options)
        raise KeyboardInterrupt

    return call


@pytest.mark.parametrize("death", DEATHS, ids=str)
def test_a_deletion_whose_request_died_succeeds_all_the_same(
    api: Api, cluster: ClusterClient, clock: Clock, invocations: list[Any], death: Death
) -> None:
    api.post(APPLY, web())
    owner, name, after = death
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, dying(owner, name, after=after))
        with pytest.raises(KeyboardInterrupt):
            api.delete(WEB)
    require_deleted(api, cluster, clock, invocations)


@pytest.mark.parametrize("death", DEATHS[1:], ids=str)
def test_a_deletion_whose_worker_died_succeeds_all_the_same(
    api: Api, cluster: ClusterClient, clock: Clock, invocations: list[Any], death: Death
) -> None:
    """It was queued behind another operation, so the object was not looked up when accepted."""
    api.post(APPLY, web())
    api.post(APPLY, create_config_map_manifest(), headers=ASYNC)
    first, wanted = invocations.pop(), api.delete(WEB).json["operation"]
    with pytest.MonkeyPatch.context() as patch:
        start = DynamoOperationStore.start

        def start_it(*arguments: Any) -> Any:
            """Die only in the deletion."""
            started = start(*arguments)
            if started is not None and started.id == wanted["id"]:
                patch.setattr(owner, name, dying(owner, name, after=after))
            return started

        owner, name, after = death
        patch.setattr(DynamoOperationStore, "start", start_it)
        with pytest.raises(KeyboardInterrupt):
            api.run_operation(first)
    require_deleted(api, cluster, clock, invocations)


def require_deleted(api: Api, cluster: ClusterClient, clock: Clock, invocations: list[Any]) -> None:
    for _ in range(3):
        clock.pass_seconds(60)
        api.reconcile()
        api.deliver(invocations)
    operation = newest(api)
    assert (operation["type"], operation["status"]) == ("delete_object", "succeeded"), operation
    assert cluster.find(IN_CLUSTER) is None


def test_a_repeat_never_deletes_a_namesake(
    api: Api, cluster: ClusterClient, clock: Clock, invocations: list[Any]
) -> None:
    api.post(APPLY, web())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_OpenCluster, "delete", dying(_OpenCluster, "delete", after=True))
        with pytest.raises(KeyboardInterrupt):
            api.delete(WEB)
    namesake = {**web(), "metadata": {"name": "web", "namespace": "friend-alice"}}
    cluster.apply({"apiVersion": "apps/v1", "kind": "Deployment", **namesake})
    clock.pass_seconds(60)
    api.reconcile()
    api.deliver(invocations)
    assert newest(api)["status"] == "succeeded"
    assert cluster.find(IN_CLUSTER)


def test_a_rollout_in_between_does_not_save_it(
    api: Api, cluster: ClusterClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its status changes all the time: only its identity counts."""
    api.post(APPLY, web())
    accept = DynamoOperationStore.accept

    def change_it(*arguments: Any) -> None:
        cluster.merge(IN_CLUSTER, {"metadata": {"annotations": {"seen": "yes"}}})
        accept(*arguments)

    monkeypatch.setattr(DynamoOperationStore, "accept", change_it)
    assert api.delete(WEB).status == 200
    assert cluster.find(IN_CLUSTER) is None


def test_at_most_twenty_operations_wait_deletions_included(api: Api) -> None:
    for _ in range(10):
        assert api.post(APPLY, web(), headers=ASYNC).status == 202
        assert api.delete(WEB).status == 202
    answer = api.delete(WEB)
    assert (answer.status, answer.json["code"]) == (429, "too_many_requests")


def test_a_deletion_that_a_policy_refuses_is_422(api: Api, kube: ClusterDouble) -> None:
    api.post(APPLY, web())
    refusal = {"message": 'admission webhook "guard" denied the request'}
    kube.fail_next(status=403, body=refusal, match="DELETE", times=2)
    for url in (f"{WEB}?dry_run=true", WEB):
        answer = api.delete(url)
        assert (answer.status, answer.json["code"]) == (422, "cluster_policy")
    assert newest(api)["status"] == "failed"
    assert api.delete(WEB).status == 200


@pytest.mark.case("K8")
def test_a_deletion_that_the_cluster_answers_with_500_fails_and_holds_up_nothing(
    api: Api, kube: ClusterDouble, invocations: list[Any]
) -> None:
    api.post(APPLY, web())
    kube.fail_next(status=500, match="DELETE", times=99)
    deletion = api.delete(WEB, headers=ASYNC).json["operation"]
    behind = api.post(APPLY, create_config_map_manifest(), headers=ASYNC).json["operation"]
    api.deliver(invocations)
    (result,) = read(api, deletion)["results"]
    assert (result["name"], result["status"]) == ("web", "failed")
    assert (read(api, deletion)["status"], read(api, behind)["status"]) == ("failed", "succeeded")


@pytest.mark.case("H3")
@pytest.mark.parametrize(("conflicts", "status"), [(1, 200), (2, 200), (3, 409), (99, 409)])
def test_a_conflict_of_the_clusters_own_is_not_taken_for_a_deletion(
    api: Api, kube: ClusterDouble, cluster: ClusterClient, conflicts: int, status: int
) -> None:
    api.post(APPLY, web())
    kube.fail_next(status=409, match="DELETE", times=conflicts)
    answer = api.delete(WEB)
    assert answer.status == status, answer.text
    assert (cluster.find(IN_CLUSTER) is None) is (status == 200)


def test_k08_nothing_is_deleted_for_a_friend_who_is_being_deleted(api: Api) -> None:
    api.post(APPLY, web())
    api.delete(f"{FRIEND}?confirm=alice")
    answer = api.delete(WEB)
    assert (answer.status, answer.json["code"]) == (409, "friend_deleting")


OF_EACH_KIND: list[tuple[Kind, Any]] = [
    (kinds.DEPLOYMENT, create_deployment_manifest("web")),
    (kinds.SERVICE, create_service_manifest("web")),
    (kinds.CONFIG_MAP, create_config_map_manifest("web")),
    (kinds.JOB, create_job_manifest("web")),
    (kinds.CRON_JOB, create_cron_job_manifest("web")),
]


@pytest.mark.parametrize(("kind", "manifest"), OF_EACH_KIND, ids=lambda each: str(each)[:20])
def test_each_kind_that_can_be_applied_can_be_deleted(
    api: Api, cluster: ClusterClient, kind: Kind, manifest: Any
) -> None:
    assert api.post(APPLY, manifest).status == 200
    group = f"apis/{kind.api_version}" if kind.group else "api/v1"
    path = f"/{group}/namespaces/friend-alice/{kind.plural}/web"
    assert cluster.find(path)
    wanted = DeletionRequest("alice", kind, "web")
    operations = api.dependencies.services.operations
    operation = operations.delete_object(ADMIN, wanted, Deadline.after(29))
    assert operation.results == ({"kind": kind.name, "name": "web", "status": "deleted"},)
    assert cluster.find(path) is None
