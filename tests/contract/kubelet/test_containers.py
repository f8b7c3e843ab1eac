"""What only a kubelet can show: containers that crash, and images that cannot be pulled.

Runs on the double, and on a real cluster with a real node when CONTRACT_KUBELET is set beside
CONTRACT_KUBECONFIG. The control plane of `make test-cluster` has no kubelet: its pods are kwok's.
"""

from typing import Any

import pytest

from tests.contract.cluster.builders import build_container, build_job, build_pod
from tests.contract.cluster.target import Place, eventually, refusal, succeed
from tests.contract.cluster.test_logs import WRITER, read_log
from tests.contract.cluster.test_workloads import conditions, wait_condition


def test_a_container_that_never_ended_has_no_previous_log(place: Place, kubelet: str) -> None:
    succeed(place.create(build_pod("web", WRITER, nodeName=kubelet)))
    eventually(lambda: read_log(place).text.count("\n") >= 600, seconds=60)
    answer = read_log(place, previous="true")
    message = 'previous terminated container "writer" in pod "web" not found'
    assert refusal(answer) == (400, "BadRequest", message)


def test_a_crashed_container_has_a_previous_log(place: Place, kubelet: str) -> None:
    command = ["sh", "-c", "echo line 1; exit 1 # crash"]
    container = build_container(image="busybox:1.36", command=command)
    succeed(place.create(build_pod("web", container, nodeName=kubelet)))
    eventually(lambda: read_log(place, previous="true").ok, seconds=60)
    assert "line 1" in read_log(place, previous="true").text


@pytest.mark.case("K11")
def test_of_the_last_long_lines_the_newest_are_cut(place: Place, kubelet: str) -> None:
    padding = "$(yes é | head -n 1000 | tr -d '\\n')"
    script = f'p={padding}; for i in $(seq 600); do echo "$p line $i"; done; sleep 3600 # wide 1000'
    container = build_container(image="busybox:1.36", command=["sh", "-c", script])
    succeed(place.create(build_pod("web", container, nodeName=kubelet)))
    eventually(lambda: read_log(place).text.count("\n") >= 600, seconds=60)
    cut = read_log(place, tailLines=100, limitBytes=100_000)
    assert len(cut.content) == 100_000
    assert "line 501" in cut.text.splitlines()[0]
    assert "line 600" not in cut.text


def test_a_container_that_waits_for_its_image_has_no_log(place: Place, kubelet: str) -> None:
    image = build_container(image="bad/registry.invalid/nothing:1")
    succeed(place.create(build_pod("web", image, nodeName=kubelet)))
    text = 'container "web" in pod "web" is waiting to start: trying and failing to pull image'
    wanted = (400, "BadRequest", text)
    eventually(lambda: not read_log(place).ok and refusal(read_log(place)) == wanted, seconds=60)


def test_an_image_that_cannot_be_pulled_is_told(place: Place, kubelet: str) -> None:
    image = "bad/registry.invalid/nothing:1"
    succeed(place.create(build_pod("web", build_container(image=image), nodeName=kubelet)))

    def look() -> Any:
        pod = place.read(build_pod("web"))
        statuses = pod["status"].get("containerStatuses", [])
        waiting = [one["state"].get("waiting", {}).get("reason") for one in statuses]
        return pod if waiting == ["ImagePullBackOff"] else None

    pod = eventually(look, seconds=60)
    assert pod["status"]["phase"] == "Pending"
    selector = "involvedObject.name=web,reason=Failed"
    assert eventually(lambda: place.list("events", fieldSelector=selector))


def test_a_crashing_container_is_told(place: Place, kubelet: str) -> None:
    container = build_container(image="busybox:1.36", command=["sh", "-c", "exit 1 # crash"])
    succeed(place.create(build_pod("web", container, nodeName=kubelet)))

    def look() -> Any:
        pod = place.read(build_pod("web"))
        (status,) = pod["status"].get("containerStatuses", [{"state": {}}])
        reason = status["state"].get("waiting", {}).get("reason")
        return status if reason == "CrashLoopBackOff" else None

    status = eventually(look, seconds=120)
    assert status["restartCount"] > 0
    assert status["ready"] is False
    assert status["lastState"]["terminated"]["exitCode"] == 1


def test_a_failing_job_gives_up(place: Place, kubelet: str) -> None:
    container = build_container(image="busybox:1.36", command=["sh", "-c", "exit 1 # crash"])
    manifest = build_job(pod={"nodeName": kubelet, "containers": [container]}, backoffLimit=0)
    succeed(place.apply(manifest))
    body = wait_condition(place, manifest, "Failed")
    assert conditions(body)["Failed"] == ("True", "BackoffLimitExceeded")


def wait_statuses(place: Place, group: str, wanted: list[str]) -> Any:
    """Return the pod once its containers of a group are in these states, by reason."""

    def reason(status: Any) -> str:
        ((state, told),) = status["state"].items()
        return str(told.get("reason", state))

    def look() -> Any:
        pod = place.read(build_pod("web"))
        return pod if [reason(one) for one in pod["status"].get(group, [])] == wanted else None

    return eventually(look, seconds=120)


FIRST = {
    "good": build_container("good", "busybox:1.36", command=["true"]),
    "bad": build_container("bad", "busybox:1.36", command=["sh", "-c", "exit 1 # crash"]),
    "last": build_container("last", "busybox:1.36", command=["true"]),
}
SLEEPER = build_container(image="busybox:1.36", command=["sleep", "3600"])


@pytest.mark.case("K16")
def test_containers_run_after_those_before_them(place: Place, kubelet: str) -> None:
    pod = build_pod("web", SLEEPER, initContainers=[FIRST["good"], FIRST["last"]])
    succeed(place.create(pod | {"spec": pod["spec"] | {"nodeName": kubelet}}))
    found = wait_statuses(place, "containerStatuses", ["running"])
    first = found["status"]["initContainerStatuses"]
    assert [one["state"]["terminated"]["reason"] for one in first] == ["Completed"] * 2
    assert [one["ready"] for one in first] == [True, True]


@pytest.mark.case("K16")
def test_a_failing_first_container_holds_up_the_others(place: Place, kubelet: str) -> None:
    pod = build_pod("web", SLEEPER, initContainers=[*FIRST.values()], nodeName=kubelet)
    succeed(place.create(pod))
    wanted = ["Completed", "CrashLoopBackOff", "PodInitializing"]
    found = wait_statuses(place, "initContainerStatuses", wanted)["status"]
    assert found["phase"] == "Pending"
    assert found["initContainerStatuses"][1]["lastState"]["terminated"]["exitCode"] == 1
    assert found["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    told = {one["type"]: one["status"] for one in found["conditions"]}
    assert (told["Initialized"], told["Ready"]) == ("False", "False")


@pytest.mark.case("K16")
def test_a_failing_first_container_of_a_pod_that_runs_once_fails_it(
    place: Place, kubelet: str
) -> None:
    first = [FIRST["bad"]]
    pod = build_pod("web", SLEEPER, initContainers=first, restartPolicy="Never", nodeName=kubelet)
    succeed(place.create(pod))
    found = wait_statuses(place, "initContainerStatuses", ["Error"])
    eventually(lambda: place.read(build_pod("web"))["status"]["phase"] == "Failed")
    assert found["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 1


@pytest.mark.case("K16")
def test_a_container_that_takes_too_much_memory_is_killed(place: Place, kubelet: str) -> None:
    script = "x=$(head -c 200000000 /dev/zero | tr '\\0' x) # out of memory"
    limits = {"limits": {"memory": "32Mi"}}
    container = build_container(
        image="busybox:1.36", command=["sh", "-c", script], resources=limits
    )
    succeed(place.create(build_pod("web", container, nodeName=kubelet, restartPolicy="Never")))
    found = wait_statuses(place, "containerStatuses", ["OOMKilled"])
    (status,) = found["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 137
