"""schemathesis reads the description and tries what it can think of, right and wrong.

Every check of its is on. `make test` gives it a few examples of each operation, always the same;
`make conformance` gives it SCHEMATHESIS_SECONDS, and then it tries every field of a manifest at its
limits, and goes on with others than last time until the time is over.
"""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import engine
from schemathesis.engine import events

from chalicelib.domain.display_names import DISPLAY_NAME
from chalicelib.routes.table import ROUTES
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests.cluster_client import ClusterClient, create_pod, wait_until
from tests.factories import ADMIN_TOKEN
from tests.gateway import Gateway, serve
from tests.harness import Api, Clock, configure_domain
from tests.manifests import create_deployment_manifest, create_service_manifest

SECONDS = int(os.environ.get("SCHEMATHESIS_SECONDS", "0"))
FEW, MANY = 5, 50

# What a schema cannot say, so that a request may be right by it and refused all the same.
KNOWS_MORE = {
    "list_friends": ["400"],  # an identity comes alone
    # An id on the preferred channel, the names of the clusters; a key that was another request's.
    "create_friend": ["400", "422"],
    "update_friend": ["400", "412"],  # as above; no If-Match of its own is ever the right one
    "delete_friend": ["400"],  # confirm repeats the id
    "apply": ["400", "422"],  # a dry run does not wait; admission's rules
    "expose": ["400", "422"],  # the names of the domains; reserved and too long host names
    "provision": ["422"],  # a key that was another request's
}
# A friend, what is theirs, and the name of the pod in the fixture's cluster.
THERE = {"id": "alice", "agent_id": "mochi", "name": "web", "pod": "talker"}
ACCEPTED = ["2xx", "304", "401", "403", "404", "409", "429"]


@pytest.fixture
def gateway(
    backend: None, kube: ClusterDouble, cloudflare: CloudflareDouble, invocations: list[Any]
) -> Gateway:
    """The app with a domain and a friend who has something on the web."""
    kube.timing.termination_seconds = 0.0
    clock = Clock()
    api = Api(configure_domain(cloudflare), now=clock.now)
    api.register_friend()
    manifests = [create_service_manifest(), create_deployment_manifest("web")]
    assert api.post("/api/friends/alice/namespace/apply", manifests).status == 200
    cluster = ClusterClient(kube.kubeconfig())
    cluster.create(create_pod(THERE["pod"]))
    wait_until(
        lambda: all(pod["ready"] for pod in api.get("/api/friends/alice/namespace/pods").json)
    )
    invocations.clear()
    return Gateway(api, invocations)


def configuration(url: str) -> schemathesis.Config:
    return schemathesis.Config.from_dict(
        {
            **({"max-time": SECONDS} if SECONDS else {"seed": 1}),
            # Of a relative server, schemathesis takes the path as it is.
            "base-url": url,
            "auth": {"openapi": {"bearer": {"bearer": ADMIN_TOKEN}}},
            "generation": {
                "max-examples": MANY if SECONDS else FEW,
                "database": "none",
                "no-shrink": True,
            },
            # More often than not, what is there.
            "dictionaries": {name: {"values": [value]} for name, value in THERE.items()},
            "parameters": {
                f"path.{name}": {"dictionary": name, "probability": 0.75} for name in THERE
            },
            "phases": {"stateful": {"max-steps": 6}},
            "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
            "operations": [
                {
                    "include-operation-id": name,
                    "phases": {"coverage": {"enabled": name != "apply" or SECONDS > 0}},
                    "checks": {
                        "positive_data_acceptance": {"expected-statuses": [*ACCEPTED, *more]}
                    },
                }
                for name, more in KNOWS_MORE.items()
            ],
        }
    )


def register_formats() -> None:
    names = st.text(min_size=1, max_size=100).filter(lambda text: not DISPLAY_NAME.fault_of(text))
    schemathesis.openapi.format("display-name", names)
    schemathesis.openapi.format("cursor", st.just("YWxpY2U"))


def test_no_request_gets_an_answer_outside_of_the_description(gateway: Gateway) -> None:
    register_formats()
    with serve(gateway) as url:
        schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json", config=configuration(url))
        found = [*failures_of(schema)]
    # What a long run was worth.
    print(f"\n{gateway.answered.total()} requests: {statuses_of(gateway)}")  # noqa: T201 (its figures)
    assert gateway.undescribed == []
    assert found == []
    assert [each for each in gateway.answered if each[2] >= 500] == []
    # It is worth something only where it came to something. Whom to delete is said twice.
    succeeded = {(method, path) for method, path, status in gateway.answered if status < 300}
    failed = {(route.method, route.path) for route in ROUTES} - succeeded
    assert failed <= {("DELETE", "/api/friends/{id}")}


def statuses_of(gateway: Gateway) -> dict[int, int]:
    counts: Counter[int] = Counter()
    for (_, _, status), count in gateway.answered.items():
        counts[status] += count
    return dict(sorted(counts.items()))


def failures_of(schema: Any) -> Iterator[str]:
    for event in engine.from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            yield f"{event.label}: {event.value!r}"
        if isinstance(event, events.FatalError):
            yield repr(event.exception)
        if isinstance(event, events.ScenarioFinished):
            for check in (each for checks in event.recorder.checks.values() for each in checks):
                if check.failure_info is not None:
                    failure = check.failure_info
                    yield f"{event.phase}: {failure.failure}\n{failure.code_sample}"
