"""What only the double can do: fail on purpose, hold time still, and say what it was asked."""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from infra.local.cluster import ClusterDouble, serve
from infra.local.kube_quantities import canonical_quantity
from tests.contract.cluster.builders import (
    build_config_map,
    build_container,
    build_deployment,
    build_namespace,
    build_pod,
    build_quota,
)
from tests.contract.cluster.target import Place, Server, connect, eventually, refusal, succeed

NAMESPACES = "/api/v1/namespaces"


@pytest.fixture(scope="module")
def double() -> Iterator[ClusterDouble]:
    """One double for all tests here."""
    with serve() as running:
        yield running


@pytest.fixture
def server(double: ClusterDouble, tmp_path: Path) -> Iterator[Server]:
    """An empty double, reached over HTTPS."""
    double.reset()
    server = connect(double.kubeconfig(), tmp_path)
    with server.session:
        yield server


@pytest.fixture
def place(server: Server) -> Place:
    """A namespace of the empty double."""
    succeed(server.call("POST", NAMESPACES, build_namespace("home")))
    return Place(server, "home")


def test_requests_are_logged_with_their_query(double: ClusterDouble, server: Server) -> None:
    server.call("GET", NAMESPACES, limit=5)
    (request,) = double.requests
    assert (request.method, request.path, dict(request.query)) == (
        "GET",
        NAMESPACES,
        {"limit": "5"},
    )
    double.requests.clear()
    assert double.requests == []


def test_an_injected_failure_is_a_status_and_then_over(
    double: ClusterDouble, server: Server
) -> None:
    double.fail_next(status=429, headers={"Retry-After": "3"})
    answer = server.call("GET", NAMESPACES)
    assert refusal(answer)[:2] == (429, "TooManyRequests")
    assert answer.headers["retry-after"] == "3"
    assert server.call("GET", NAMESPACES).ok


def test_an_injected_failure_may_wait_for_its_path(double: ClusterDouble, server: Server) -> None:
    double.fail_next(times=2, match=r"^DELETE .*/namespaces/home$")
    assert server.call("GET", NAMESPACES).ok
    codes = [server.call("DELETE", f"{NAMESPACES}/home").status_code for _ in range(3)]
    assert codes == [503, 503, 404]


def test_a_dropped_answer_may_have_taken_effect(double: ClusterDouble, server: Server) -> None:
    double.fail_next(drop=True, match="^POST ")
    double.fail_next(drop=True, match="^POST ", after=True)
    for created in (False, True):
        with pytest.raises(requests.ConnectionError):
            server.call("POST", NAMESPACES, build_namespace("home"))
        assert server.call("GET", f"{NAMESPACES}/home").ok is created


def test_latency_is_set_while_it_runs(double: ClusterDouble, server: Server) -> None:
    double.latency_seconds = 0.05
    started = time.monotonic()
    server.call("GET", NAMESPACES)
    assert time.monotonic() - started >= 0.05
    double.reset()
    assert double.latency_seconds == 0.0


def test_a_namespace_is_held_terminating(double: ClusterDouble, place: Place) -> None:
    double.timing.termination_seconds = math.inf
    path = f"{NAMESPACES}/{place.name}"
    succeed(place.server.call("DELETE", path))
    body = succeed(place.server.call("GET", path))
    assert body["status"]["phase"] == "Terminating"
    double.reset()
    assert place.server.call("GET", path).status_code == 404
    assert double.timing.termination_seconds == 0.0


def test_a_namespaces_account_may_be_late(double: ClusterDouble, server: Server) -> None:
    double.timing.service_account_seconds = math.inf
    succeed(server.call("POST", NAMESPACES, build_namespace("home")))
    place = Place(server, "home")
    assert place.list("serviceaccounts") == []
    assert refusal(place.create(build_pod()))[0] == 403


def test_pods_may_start_slowly(double: ClusterDouble, place: Place) -> None:
    double.timing.pod_start_seconds = math.inf
    succeed(place.apply(build_deployment()))
    (pod,) = place.list("pods")
    waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
    assert (pod["status"]["phase"], waiting) == ("Pending", "ContainerCreating")
    assert "readyReplicas" not in place.read(build_deployment())["status"]


def test_everything_settles_before_the_next_request(place: Place) -> None:
    succeed(place.apply(build_deployment(replicas=3)))
    assert place.read(build_deployment())["status"]["readyReplicas"] == 3


def test_a_rollout_that_its_quota_leaves_no_room_for_is_stuck(place: Place) -> None:
    succeed(place.create(build_quota(pods="1")))
    succeed(place.apply(build_deployment()))
    assert place.read(build_deployment())["status"]["readyReplicas"] == 1
    succeed(place.apply(build_deployment(container=build_container(image="other:1"))))
    status = place.read(build_deployment())["status"]
    assert (status["readyReplicas"], status.get("updatedReplicas", 0)) == (1, 0)
    assert "ReplicaFailure" in {one["type"] for one in status["conditions"]}
    succeed(place.merge(build_quota(), {"spec": {"hard": {"pods": "2"}}}))
    status = eventually(lambda: place.read(build_deployment())["status"])
    assert (status["readyReplicas"], status["updatedReplicas"]) == (1, 1)


@pytest.mark.parametrize(
    ("image", "phase", "reason"),
    [
        ("bad/nothing:1", "Pending", "ImagePullBackOff"),
        ("web:does-not-exist", "Pending", "ImagePullBackOff"),
        ("crash:1", "Running", "CrashLoopBackOff"),
    ],
)
def test_an_image_says_what_becomes_of_its_pod(
    place: Place, image: str, phase: str, reason: str
) -> None:
    succeed(place.create(build_pod("web", build_container(image=image))))
    status = place.read(build_pod("web"))["status"]
    waiting = status["containerStatuses"][0]["state"]["waiting"]
    assert (status["phase"], waiting["reason"]) == (phase, reason)


def test_a_watch_tells_what_changed(place: Place) -> None:
    path = f"{NAMESPACES}/{place.name}/configmaps"
    since = succeed(place.server.call("GET", path))["metadata"]["resourceVersion"]
    with ThreadPoolExecutor() as pool:
        watch = pool.submit(
            place.server.call, "GET", path, watch="true", resourceVersion=since, timeoutSeconds=1
        )
        time.sleep(0.05)
        Server(place.server.url, place.server.session).call("POST", path, build_config_map())
        events: list[Any] = [json.loads(line) for line in watch.result().text.splitlines()]
    assert [(one["type"], one["object"]["metadata"]["name"]) for one in events] == [
        ("ADDED", "settings")
    ]


def test_writes_at_once_lose_nothing(place: Place) -> None:
    def apply(number: int) -> int:
        answer = place.apply(build_config_map(data={f"k{number}": "1"}), manager=f"m{number}")
        return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(apply, range(40)))
    assert sorted(codes) == [200] * 39 + [201]
    assert len(place.read(build_config_map())["data"]) == 40


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1.5Gi", "1536Mi"),
        ("1024Ki", "1Mi"),
        ("1e3", "1k"),
        ("100Mi", "100Mi"),
        ("0", "0"),
        ("1M", "1M"),
        ("1E", "1E"),
        ("0.0000000001", "1n"),
        (2, "2"),
    ],
)
def test_a_quantity_has_one_spelling(text: object, canonical: str) -> None:
    assert canonical_quantity(text) == canonical


@pytest.mark.parametrize("text", ["", "lots", "1 Gi", "NaN", "--1", "1GB", True, None])
def test_what_is_not_a_quantity_is_an_error(text: object) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        canonical_quantity(text)


def test_it_runs_as_a_process_until_it_is_told_to_stop(tmp_path: Path) -> None:
    file = tmp_path / "kube" / "config"
    command = [sys.executable, "-m", "infra.local.cluster", "--token", "secret"]
    process = subprocess.Popen(  # noqa: S603 - our own module
        [*command, "--kubeconfig-out", str(file)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert (ready["ready"], ready["token"]) == (True, "secret")
        assert ready["url"].startswith("https://127.0.0.1:")
        assert file.stat().st_mode & 0o077 == 0
        assert yaml.safe_load(file.read_text())["clusters"][0]["cluster"]["server"] == ready["url"]
        server = connect(file.read_text(), tmp_path)
        with server.session:
            assert server.call("GET", NAMESPACES).ok
    finally:
        process.send_signal(signal.SIGTERM)
        with process:
            assert process.wait(timeout=10) == 0
