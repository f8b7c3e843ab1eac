"""How long run_operation runs for an apply that waits for a rollout of a quarter of an hour.

AWS is moto and the cluster is the double, both in this process; the time of the rollout is
simulated. What counts is the function's own time: on the clock, and what it sleeps in between.
"""

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from bench.measure import Figure
from infra.local import cluster
from infra.local.cluster import ClusterDouble
from tests import aws_double
from tests.harness import Api, Clock, create_backend
from tests.manifests import create_deployment_manifest

_NAME = "run_operation for a rollout of 15 minutes, in all, against 5 s"
_MOST_SECONDS = 5.0
_READ_EVERY_SECONDS = 10
_ROLLOUT_SECONDS = 15 * 60 + _READ_EVERY_SECONDS


def measure_waiting() -> list[Figure]:
    """Measure all invocations of the function, from the apply until the operation is over."""
    with aws_double.no_real_aws(), aws_double.serve() as aws, _serve() as kube:
        create_backend(kube.kubeconfig())
        clock = Clock()
        api = Api(now=clock.now)
        api.register_friend()
        return [Figure(_NAME, 1.0, _measure(api, clock, aws.invocations), _MOST_SECONDS, unit="s")]


def _serve() -> AbstractContextManager[ClusterDouble]:
    """Serve a cluster in which no pod ever starts."""
    return cluster.serve(pod_start_seconds=math.inf)


def _measure(api: Api, clock: Clock, invocations: list[Any]) -> float:
    started = clock.now()
    url = "/api/friends/alice/namespace/apply?wait=ready"
    operation = api.post(url, create_deployment_manifest()).json["operation"]
    taken, found = 0.0, operation
    while found["status"] in {"pending", "running"}:
        with _counting_sleep(clock):
            before, moment = time.perf_counter(), clock.now()
            api.deliver(invocations)
            taken += time.perf_counter() - before + (clock.now() - moment).total_seconds()
        clock.pass_seconds(_READ_EVERY_SECONDS)
        if int((clock.now() - started).total_seconds()) % 300 < _READ_EVERY_SECONDS:
            api.reconcile()
        found = api.get(operation["url"]).json
    waited = (clock.now() - started).total_seconds()
    assert waited >= _ROLLOUT_SECONDS, found  # noqa: S101 - a benchmark of another wait is none
    return taken


@contextmanager
def _counting_sleep(clock: Clock) -> Iterator[None]:
    """Have what this thread sleeps pass on the simulated clock, at once."""
    with mock.patch.object(time, "sleep", clock.sleep):
        yield
