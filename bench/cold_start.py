"""A cold start to its first answer: fresh processes, in turns, by the median.

Ours is the bundle of `make package`. The straightforward build is the default package of Chalice,
with the cluster's typed client and all clients made at import; the floor is Chalice with one
DynamoDB client, compiled. AWS (MiniStack) and the cluster (its double) are other processes, so that
only what the function itself does is counted.
"""

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from bench.builds import build_ours, build_runtime, build_with_chalice, interpreter, unpack
from bench.clusters import run_double
from bench.measure import Figure
from infra.local.services import run_ministack
from infra.packaging.archive import LARGEST_BYTES
from infra.packaging.bytecode import compile_tree
from tests.factories import ADMIN_TOKEN
from tests.harness import ENVIRONMENT, Api, build_event, create_backend

_ROUNDS = 7
_PROBE = Path(__file__).parent / "probe.py"
_FRIENDS = "/api/friends"
_PODS = "/api/friends/alice/namespace/pods"
_HEADERS = {"Authorization": [f"Bearer {ADMIN_TOKEN}"], "Accept": ["application/json"]}


@dataclass(frozen=True)
class _Cost:
    cpu_ms: float
    peak_mb: float


def measure_cold_start() -> list[Figure]:
    """Measure GET /api/friends and GET .../pods, and the bundle's size."""
    ours = build_ours()
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        with _upstreams(directory) as environment:
            builds = {"ours": unpack(ours.bundle, directory / "task-ours")}
            for name in ("straightforward", "floor"):
                bundle = build_with_chalice(name, directory, environment)
                builds[name] = unpack(bundle, directory / f"task-{name}")
            compile_tree(builds["floor"], interpreter())
            costs = _measure(builds, build_runtime(directory), environment)
    return [*_compare(costs), _size_figure(ours.bundle)]


def _compare(costs: Mapping[tuple[str, str], _Cost]) -> Iterator[Figure]:
    for path, title, target in (
        (_FRIENDS, "GET /api/friends", 0.15),
        (_PODS, "GET .../pods", 0.25),
    ):
        ours, other = costs["ours", path], costs["straightforward", path]
        cpu = f"cold start to {title}, CPU, against the straightforward build"
        yield Figure(cpu, target, ours.cpu_ms, other.cpu_ms)
        memory = f"cold start to {title}, peak memory, against the straightforward build"
        yield Figure(memory, 0.6, ours.peak_mb, other.peak_mb, unit="MB")
    ours, floor = costs["ours", _FRIENDS], costs["floor", _FRIENDS]
    name = "cold start to GET /api/friends, CPU, against Chalice and a DynamoDB client"
    yield Figure(name, 1.2, ours.cpu_ms, floor.cpu_ms)


def _size_figure(bundle: Path) -> Figure:
    name = "the bundle, zipped, against the most it may be"
    return Figure(name, 1.0, bundle.stat().st_size / 1e6, LARGEST_BYTES / 1e6, unit="MB")


def _measure(
    builds: Mapping[str, Path], runtime: Path, environment: Mapping[str, str]
) -> dict[tuple[str, str], _Cost]:
    pairs = [(name, path) for path in (_FRIENDS, _PODS) for name in builds]
    pairs.remove(("floor", _PODS))
    taken: dict[tuple[str, str], list[_Cost]] = {pair: [] for pair in pairs}
    for _ in range(_ROUNDS):
        for name, path in pairs:
            taken[name, path].append(_start_cold(builds[name], runtime, path, environment))
    return {pair: _median(costs) for pair, costs in taken.items()}


def _median(costs: list[_Cost]) -> _Cost:
    return _Cost(
        statistics.median(each.cpu_ms for each in costs),
        statistics.median(each.peak_mb for each in costs),
    )


def _start_cold(task: Path, runtime: Path, path: str, environment: Mapping[str, str]) -> _Cost:
    event = json.dumps(build_event("GET", path, "", _HEADERS, None))
    # Lambda's directory is read-only: what is compiled at a cold start is not kept.
    command = [interpreter(), "-I", "-S", "-B", str(_PROBE), str(task), str(runtime), event]
    output = subprocess.run(  # noqa: S603 - our own interpreter and script
        command, env=dict(environment), capture_output=True, text=True, check=True
    ).stdout
    answer: dict[str, Any] = json.loads(output.splitlines()[-1])
    assert answer.pop("status") == 200, output  # noqa: PLR2004, S101 - a benchmark of a failure is none
    return _Cost(**answer)


@contextmanager
def _upstreams(directory: Path) -> Iterator[dict[str, str]]:
    """Run AWS and a cluster with one friend in them; give what a function's environment holds."""
    with run_ministack(directory) as aws, run_double(latency_seconds=0) as kubeconfig:
        with mock.patch.dict(os.environ, aws):
            create_backend(kubeconfig)
            Api().register_friend("alice")
        yield {**aws, **ENVIRONMENT}
