"""Case K8: an object that the cluster does not take, and a cluster that takes nothing at all."""

from typing import Any

import pytest

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import UpstreamUnreachable
from chalicelib.gateways.cluster import KubernetesClusters, _OpenCluster
from infra.local.cluster import ClusterDouble
from tests.cluster_client import ClusterClient
from tests.harness import Api, Clock
from tests.manifests import create_config_map_manifest, create_deployment_manifest

APPLY = "/api/friends/alice/namespace/apply"
OPERATIONS = "/api/friends/alice/operations"
CONFIG_MAPS = "/api/v1/namespaces/friend-alice/configmaps"
ASYNC = {"Prefer": "respond-async"}
BAD = "PATCH .*/configmaps/bad"


@pytest.fixture
def clock() -> Clock:
    """The time."""
    return Clock()


@pytest.fixture
def api(backend: None, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The app, with alice in it, where standing back takes no time."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    api = Api(now=clock.now)
    api.register_friend()
    return api


@pytest.fixture
def cluster(kube: ClusterDouble) -> ClusterClient:
    """The cluster, as its admin sees it."""
    return ClusterClient(kube.kubeconfig())


def three() -> list[Any]:
    """Return one that the cluster does not take, between two that it takes."""
    return [
        create_config_map_manifest("first"),
        create_config_map_manifest("bad"),
        create_deployment_manifest(),
    ]


def accept(api: Api, manifests: Any) -> Any:
    answer = api.post(APPLY, manifests, headers=ASYNC)
    assert answer.status == 202, answer.text
    return answer.json["operation"]


def read(api: Api, operation: Any) -> Any:
    return api.get(operation["url"]).json


def attempts_on(kube: ClusterDouble, name: str) -> int:
    return len([each for each in kube.requests if each.path.endswith(f"/{name}")])


FAULTS: list[Any] = [
    ({"status": 500}, "cluster_failed"),
    ({"status": 503}, "cluster_unavailable"),
    ({"status": 504}, "cluster_unavailable"),
    ({"status": 429, "headers": {"Retry-After": "1"}}, "cluster_unavailable"),
    ({"drop": True}, "cluster_unreachable"),
    ({"status": 403, "body": {"message": "canary"}}, "cluster_forbidden"),
]


@pytest.mark.case("K8")
@pytest.mark.parametrize(("fault", "code"), FAULTS)
def test_an_object_that_the_cluster_does_not_take_names_itself(
    api: Api, kube: ClusterDouble, invocations: list[Any], fault: Any, code: str
) -> None:
    operation = accept(api, three())
    kube.requests.clear()
    kube.fail_next(match=BAD, times=99, **fault)
    api.deliver(invocations)
    found = read(api, operation)
    assert (found["status"], found["code"]) == ("failed", "objects_refused")
    assert found["progress"] == {"done": 3, "total": 3}
    first, bad, web = found["results"]
    assert (bad["kind"], bad["name"], bad["status"]) == ("ConfigMap", "bad", "failed")
    assert (bad["code"], "canary" in bad["error"]) == (code, False)
    assert [first["status"], web["status"]] == ["applied", "applied"]
    assert attempts_on(kube, "bad") == (1 if code == "cluster_forbidden" else 3)
    assert invocations == []


@pytest.mark.case("K8")
def test_good_applies_do_not_wait_for_bad_ones(
    api: Api, kube: ClusterDouble, clock: Clock, invocations: list[Any]
) -> None:
    """The example: three of them held up fourteen good applies for five minutes."""
    bad = [accept(api, create_config_map_manifest("bad")) for _ in range(3)]
    good = [accept(api, create_config_map_manifest(f"good-{each}")) for each in range(14)]
    kube.fail_next(match=BAD, status=500, times=99)
    started, event = clock.now(), invocations[0]
    invocations.clear()
    assert api.run_operation(event)["operation"]["status"] == "failed"
    assert clock.now() == started
    assert {read(api, each)["status"] for each in bad} == {"failed"}
    assert {read(api, each)["status"] for each in good} == {"succeeded"}


@pytest.mark.case("K8")
def test_a_request_names_it_too(api: Api, kube: ClusterDouble, invocations: list[Any]) -> None:
    kube.fail_next(match=BAD, status=500, times=99)
    answer = api.post(APPLY, three())
    assert (answer.status, answer.json["code"]) == (422, "objects_refused")
    assert [each["status"] for each in answer.json["results"]] == ["applied", "failed", "applied"]
    assert answer.json["details"][0]["path"] == "ConfigMap/bad"
    assert invocations == []
    assert api.post(APPLY, create_config_map_manifest("good")).status == 200


@pytest.mark.case("K8")
def test_an_object_that_the_cluster_takes_the_third_time_is_applied(
    api: Api, kube: ClusterDouble, invocations: list[Any]
) -> None:
    operation = accept(api, three())
    kube.fail_next(match=BAD, status=500, times=2)
    api.deliver(invocations)
    assert read(api, operation)["status"] == "succeeded"


@pytest.mark.case("K8")
def test_an_object_has_ten_seconds_in_all(
    api: Api, invocations: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[float, int]] = []
    open_for_real = KubernetesClusters.open

    def note(clusters: Any, name: str, deadline: Deadline, *, attempts: int = 5) -> Any:
        opened.append((deadline.remaining_seconds, attempts))
        return open_for_real(clusters, name, deadline, attempts=attempts)

    monkeypatch.setattr(KubernetesClusters, "open", note)
    accept(api, three())
    api.deliver(invocations)
    assert opened
    assert all(seconds <= 10 and attempts == 3 for seconds, attempts in opened)


@pytest.mark.case("K8")
@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 500}, {"drop": True}])
def test_a_line_waits_while_the_cluster_is_away(
    api: Api, kube: ClusterDouble, clock: Clock, invocations: list[Any], fault: Any
) -> None:
    """However long: nothing fails for that, nothing is a dead letter, and the order is kept."""
    first = accept(api, create_config_map_manifest("c", data={"value": "1"}))
    second = accept(api, create_config_map_manifest("c", data={"value": "2"}))
    kube.fail_next(times=9999, **fault)
    for _ in range(6):
        for event in list(invocations):
            invocations.remove(event)
            report = api.run_operation(event)
            assert report["operation"]["status"] in {"pending", "running"}
        clock.pass_seconds(60)
        assert read(api, first)["status"] in {"pending", "running"}
        assert len(invocations) == 1
    kube.clear()
    api.deliver(invocations)
    assert [read(api, each)["status"] for each in (first, second)] == ["succeeded"] * 2
    assert ClusterClient(kube.kubeconfig()).get(f"{CONFIG_MAPS}/c")["data"] == {"value": "2"}


@pytest.mark.case("K8")
def test_what_a_cluster_has_taken_before_it_went_away_is_not_sent_again(
    api: Api,
    kube: ClusterDouble,
    clock: Clock,
    invocations: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operation = accept(api, three())
    kube.fail_next(match=BAD, status=503, times=99)
    looks: list[Any] = []
    get = _OpenCluster.get

    def be_gone_later(cluster: Any, ref: Any) -> Any:
        looks.append(ref)
        if len(looks) > 1:
            raise UpstreamUnreachable("The cluster cannot be reached.")
        return get(cluster, ref)

    with monkeypatch.context() as patch:
        patch.setattr(_OpenCluster, "get", be_gone_later)
        (report,) = api.deliver(invocations)
    assert report["operation"]["status"] == "running"
    assert [each["name"] for each in report["operation"]["results"]] == ["first"]
    kube.clear()
    kube.requests.clear()
    clock.pass_seconds(60)
    read(api, operation)
    api.deliver(invocations)
    assert read(api, operation)["status"] == "succeeded"
    assert attempts_on(kube, "first") == 0
