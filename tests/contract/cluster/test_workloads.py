"""What becomes of Deployments, Jobs and Services: the controllers' side of the contract."""

from typing import Any

import pytest

from tests.contract.cluster.builders import (
    Manifest,
    build_container,
    build_deployment,
    build_job,
    build_pod,
    build_quota,
    build_service,
)
from tests.contract.cluster.target import Place, eventually, succeed
from tests.contract.conftest import MakePlace

APPS = "/apis/apps/v1"


def on(node: str, name: str = "web", **arguments: Any) -> Manifest:
    """Return a Deployment whose pods need no scheduler."""
    return build_deployment(name, pod={"nodeName": node}, **arguments)


def wait_ready(place: Place, manifest: Manifest, replicas: int) -> Any:
    """Return the Deployment once that many replicas of its newest template are ready."""

    def look() -> Any:
        body = place.read(manifest)
        status = body["status"]
        seen = status.get("observedGeneration") == body["metadata"]["generation"]
        names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        counts = [status.get(name, 0) for name in names]
        return body if seen and counts == [replicas] * 4 else None

    return eventually(look)


def conditions(body: Any) -> dict[str, tuple[str, str]]:
    """Return status and reason by type."""
    found = body["status"].get("conditions", ())
    return {one["type"]: (one["status"], one["reason"]) for one in found}


def wait_condition(place: Place, manifest: Manifest, name: str) -> Any:
    """Return the object once it has a condition of this type."""

    def look() -> Any:
        body = place.read(manifest)
        return body if name in conditions(body) else None

    return eventually(look, seconds=60)


def pods_of(place: Place, name: str = "web") -> list[Any]:
    """Return the pods of a Deployment that are not being deleted."""
    found = place.list("pods", labelSelector=f"app={name}")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def test_a_deployment_brings_up_its_pods(place: Place, node: str) -> None:
    manifest = on(node, replicas=2)
    succeed(place.apply(manifest))
    body = wait_ready(place, manifest, 2)
    assert conditions(body)["Available"] == ("True", "MinimumReplicasAvailable")
    (replica_set,) = place.list("replicasets", api=APPS)
    assert replica_set["metadata"]["ownerReferences"][0]["uid"] == body["metadata"]["uid"]
    pods = pods_of(place)
    assert len(pods) == 2
    for pod in pods:
        owner = pod["metadata"]["ownerReferences"][0]
        assert (owner["kind"], owner["uid"]) == ("ReplicaSet", replica_set["metadata"]["uid"])
        assert pod["metadata"]["name"].startswith(f"{replica_set['metadata']['name']}-")
        assert pod["status"]["phase"] == "Running"
        (status,) = pod["status"]["containerStatuses"]
        assert (status["name"], status["ready"], status["restartCount"]) == ("web", True, 0)
        assert "running" in status["state"]


def test_a_deployment_is_scaled(place: Place, node: str) -> None:
    succeed(place.apply(on(node)))
    wait_ready(place, on(node), 1)
    succeed(place.apply(on(node, replicas=3)))
    wait_ready(place, on(node), 3)
    succeed(place.apply(on(node, replicas=0)))
    eventually(lambda: pods_of(place) == [])


def test_another_image_makes_another_replica_set(place: Place, node: str) -> None:
    succeed(place.apply(on(node)))
    wait_ready(place, on(node), 1)
    changed = on(node, container=build_container(image="registry.k8s.io/pause:3.9"))
    succeed(place.apply(changed))
    wait_ready(place, changed, 1)
    sets = place.list("replicasets", api=APPS)
    assert sorted(one["spec"]["replicas"] for one in sets) == [0, 1]
    (pod,) = eventually(lambda: found if len(found := pods_of(place)) == 1 else [])
    assert pod["spec"]["containers"][0]["image"] == "registry.k8s.io/pause:3.9"


@pytest.mark.case("K1")
def test_an_update_whose_bounds_end_old_pods_first_needs_no_room(place: Place, node: str) -> None:
    succeed(place.create(build_quota(pods="2")))
    eventually(lambda: place.read(build_quota())["status"].get("used"))
    succeed(place.apply(on(node, replicas=2)))
    wait_ready(place, on(node), 2)
    container = build_container(image="registry.k8s.io/pause:3.9")
    strategy = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    changed = on(node, replicas=2, container=container, strategy=strategy)
    succeed(place.apply(changed))
    wait_ready(place, changed, 2)
    images = {pod["spec"]["containers"][0]["image"] for pod in pods_of(place)}
    assert images == {"registry.k8s.io/pause:3.9"}


def test_a_deleted_deployment_takes_its_pods_with_it(place: Place, node: str) -> None:
    succeed(place.apply(on(node)))
    wait_ready(place, on(node), 1)
    succeed(place.delete(on(node), propagationPolicy="Background"))
    eventually(lambda: not pods_of(place) and not place.list("replicasets", api=APPS))


def test_a_deleted_pod_is_replaced(place: Place, node: str) -> None:
    succeed(place.apply(on(node)))
    wait_ready(place, on(node), 1)
    (old,) = pods_of(place)
    succeed(place.delete(build_pod(old["metadata"]["name"]), gracePeriodSeconds=0))
    eventually(
        lambda: [p for p in pods_of(place) if p["metadata"]["uid"] != old["metadata"]["uid"]]
    )


def test_pods_refused_by_quota_are_explained(place: Place) -> None:
    succeed(place.create(build_quota(pods="0")))
    eventually(lambda: place.read(build_quota())["status"].get("used"))
    _assert_explained(place, "exceeded quota: quota, requested: pods=1")


def test_pods_refused_by_pod_security_are_explained(make_place: MakePlace) -> None:
    place = make_place(enforce="restricted")
    _assert_explained(place, 'violates PodSecurity "restricted:latest": ')


def _assert_explained(place: Place, text: str) -> None:
    succeed(place.apply(build_deployment()))
    body = wait_condition(place, build_deployment(), "ReplicaFailure")
    assert conditions(body)["ReplicaFailure"] == ("True", "FailedCreate")
    (replica_set,) = place.list("replicasets", api=APPS)
    assert conditions(replica_set)["ReplicaFailure"] == ("True", "FailedCreate")
    selector = "involvedObject.kind=ReplicaSet,reason=FailedCreate,type=Warning"
    event = eventually(lambda: place.list("events", fieldSelector=selector))[0]
    assert event["involvedObject"]["name"] == replica_set["metadata"]["name"]
    assert event["involvedObject"]["uid"] == replica_set["metadata"]["uid"]
    assert event["message"].startswith('Error creating: pods "web-')
    assert text in event["message"]
    assert pods_of(place) == []


def test_a_job_runs_to_its_end(place: Place, node: str) -> None:
    manifest = build_job(pod={"nodeName": node})
    succeed(place.apply(manifest))
    body = wait_condition(place, manifest, "Complete")
    assert conditions(body)["Complete"] == ("True", "CompletionsReached")
    assert body["status"]["succeeded"] == 1
    assert "completionTime" in body["status"]
    (pod,) = place.list("pods", labelSelector="batch.kubernetes.io/job-name=once")
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "Job"


def test_a_job_deleted_in_the_background_takes_its_pods_with_it(place: Place, node: str) -> None:
    manifest = build_job(pod={"nodeName": node})
    succeed(place.apply(manifest))
    wait_condition(place, manifest, "Complete")
    succeed(place.delete(manifest, propagationPolicy="Background"))
    eventually(lambda: place.list("pods") == [])


def test_a_job_deleted_without_a_policy_leaves_its_pods(place: Place, node: str) -> None:
    manifest = build_job(pod={"nodeName": node})
    succeed(place.apply(manifest))
    wait_condition(place, manifest, "Complete")
    succeed(place.delete(manifest))
    eventually(lambda: place.get(manifest).status_code == 404)
    assert len(place.list("pods")) == 1


def test_a_suspended_job_makes_no_pod(place: Place) -> None:
    succeed(place.apply(build_job(suspend=True)))
    assert place.list("pods") == []


def test_a_finished_jobs_pods_do_not_count_against_a_quota(place: Place, node: str) -> None:
    succeed(place.create(build_quota(pods="1")))
    eventually(lambda: place.read(build_quota())["status"].get("used"))
    manifest = build_job(pod={"nodeName": node})
    succeed(place.apply(manifest))
    wait_condition(place, manifest, "Complete")
    eventually(lambda: place.read(build_quota())["status"]["used"] == {"pods": "0"})


def test_a_service_has_the_addresses_of_its_ready_pods(place: Place, node: str) -> None:
    container = build_container(ports=[{"containerPort": 8080, "name": "http"}])
    succeed(place.apply(build_service(ports=[{"port": 80, "targetPort": "http"}])))
    succeed(place.apply(on(node, container=container)))
    wait_ready(place, on(node), 1)
    (pod,) = pods_of(place)

    def look() -> Any:
        slices = place.list(
            "endpointslices",
            api="/apis/discovery.k8s.io/v1",
            labelSelector="kubernetes.io/service-name=web",
        )
        return slices[0] if slices and slices[0]["endpoints"] else None

    found: Any = eventually(look)
    assert found["endpoints"][0]["addresses"] == [pod["status"]["podIP"]]
    assert found["endpoints"][0]["targetRef"]["name"] == pod["metadata"]["name"]
    assert [port["port"] for port in found["ports"]] == [8080]
