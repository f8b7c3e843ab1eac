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
