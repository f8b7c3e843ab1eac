"""Fixtures that every tier of in-process tests shares."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from infra.local import cloudflare as cloudflare_double
from infra.local import cluster
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests import aws_double, policies
from tests.aws_double import AwsDouble
from tests.canaries import CANARIES, Canaries, watching
from tests.harness import Api, create_backend

pytest_plugins = ["tests.threats.plugin", "tests.field_cases"]

# No property is timed: a slow machine is no fault.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def _watched() -> Iterator[Canaries]:
    with watching() as canaries:
        yield canaries


@pytest.fixture(autouse=True)
def _no_canary_leaves(_watched: Canaries, _count: Callable[..., None]) -> Iterator[None]:
    yield
    found, (names, texts) = CANARIES.take_found(), CANARIES.take_figures()
    # Not `count`: a test may have a parameter of that name.
    _count("canaries", planted=names, texts_searched=texts, found=len(found))
    assert found == [], "a canary was found"


@pytest.fixture(autouse=True)
def _no_real_aws() -> Iterator[None]:
    with aws_double.no_real_aws():
        yield


@pytest.fixture(autouse=True, scope="session")
def _one_loader() -> Iterator[None]:
    with aws_double.one_loader():
        yield


@pytest.fixture
def invocations() -> list[Any]:
    """The events of asynchronous invocations, as Lambda has accepted them; none is delivered."""
    return []


@pytest.fixture
def aws(invocations: list[Any]) -> Iterator[AwsDouble]:
    """AWS, in process; each call is held against the policy of the function that makes it."""
    with aws_double.serve(invocations, watch=policies.watch) as double:
        policies.refused.clear()
        yield double
        assert policies.refused == [], "a function's policy lacks what it needs"


@pytest.fixture(scope="session")
def cluster_server() -> Iterator[ClusterDouble]:
    """One API server for all tests; `kube` gives each test an empty one."""
    with cluster.serve() as double:
        yield double


@pytest.fixture
def kube(cluster_server: ClusterDouble) -> ClusterDouble:
    """An empty cluster."""
    cluster_server.reset()
    return cluster_server


@pytest.fixture(scope="session")
def cloudflare_server() -> Iterator[CloudflareDouble]:
    """One DNS API for all tests; `cloudflare` gives each test empty zones."""
    zones = {"0123456789abcdef0123456789abcdef": "friends.example", "f" * 32: "second.example"}
    with cloudflare_double.serve(zones=zones) as double:
        yield double


@pytest.fixture
def cloudflare(cloudflare_server: CloudflareDouble) -> CloudflareDouble:
    """Empty zones."""
    cloudflare_server.reset()
    return cloudflare_server


@pytest.fixture
def backend(aws: None, kube: ClusterDouble) -> None:
    """The table, the bucket, the secrets and the cluster, all empty of friends."""
    create_backend(kube.kubeconfig())


@pytest.fixture
def api(backend: None) -> Api:
    """The app, as a cold start leaves it."""
    return Api()
