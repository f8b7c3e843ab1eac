"""Reading what a container has written."""

import time
from typing import Any

import pytest
import requests

from tests.contract.cluster.builders import build_container, build_pod
from tests.contract.cluster.target import Place, causes, eventually, refusal, succeed

WRITER = build_container(
    "writer",
    "busybox:1.36",
    command=["sh", "-c", "for i in $(seq 600); do echo line $i; done; sleep 3600"],
)


def read_log(place: Place, pod: str = "web", **query: Any) -> requests.Response:
    """Ask for a pod's log."""
    return place.server.call("GET", f"/api/v1/namespaces/{place.name}/pods/{pod}/log", **query)


@pytest.fixture
def two(place: Place, node: str) -> Place:
    """A namespace with a pod of two containers and one that runs before them."""
    start = [build_container("start")]
    pod = build_pod("web", build_container("a"), build_container("b"), initContainers=start)
    pod["spec"]["nodeName"] = node
    succeed(place.create(pod))
    return place


@pytest.fixture
def writing(place: Place, node: str) -> Place:
    """A namespace with a pod that has written 600 lines."""
    succeed(place.create(build_pod("web", WRITER, nodeName=node)))
    eventually(lambda: read_log(place).text.count("\n") >= 600, seconds=60)
    return place


def test_the_log_of_a_pod_that_is_not_there_is_404(place: Place) -> None:
    assert refusal(read_log(place, "ghost")) == (404, "NotFound", 'pods "ghost" not found')


def test_one_of_several_containers_must_be_named(two: Place) -> None:
    message = "a container name must be specified for pod web, choose one of: [start a b]"
    assert refusal(read_log(two)) == (400, "BadRequest", message)


def test_a_container_that_is_not_there_is_400(two: Place) -> None:
    message = "container nope is not valid for pod web"
    assert refusal(read_log(two, container="nope")) == (400, "BadRequest", message)


@pytest.mark.parametrize(
    ("option", "value"), [("tailLines", "-1"), ("sinceSeconds", "0"), ("limitBytes", "0")]
)
def test_an_option_out_of_range_is_422(two: Place, option: str, value: str) -> None:
    answer = read_log(two, container="a", **{option: value})
    assert refusal(answer)[:2] == (422, "Invalid")
    assert causes(answer) == [("FieldValueInvalid", option)]


def test_an_option_that_is_no_number_is_400(two: Place) -> None:
    assert refusal(read_log(two, container="a", tailLines="ten"))[:2] == (400, "BadRequest")


def test_a_log_is_plain_text(writing: Place) -> None:
    answer = read_log(writing)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.count("\n") == 600


@pytest.mark.parametrize("count", [0, 1, 100, 500])
def test_the_last_lines_are_given(writing: Place, count: int) -> None:
    lines = read_log(writing, container="writer", tailLines=count).text.splitlines()
    assert len(lines) == count
    assert not lines or "line 600" in lines[-1]


def test_a_log_is_cut_at_so_many_bytes(writing: Place) -> None:
    assert len(read_log(writing, limitBytes=100).content) == 100


@pytest.mark.case("K11")
def test_of_the_last_lines_the_newest_are_cut(writing: Place) -> None:
    cut = read_log(writing, tailLines=100, limitBytes=500)
    assert len(cut.content) == 500
    assert "line 501" in cut.text.splitlines()[0]
    assert "line 600" not in cut.text


def test_lines_carry_their_time_when_asked(writing: Place) -> None:
    line = read_log(writing, tailLines=1, timestamps="true").text
    stamp = line.partition(" ")[0]
    assert stamp.startswith(time.strftime("%Y-"))
    assert "line 600" in line.partition(" ")[2]


def test_only_what_was_written_since_is_given(writing: Place) -> None:
    assert 0 < read_log(writing, sinceSeconds=300).text.count("\n") <= 600
