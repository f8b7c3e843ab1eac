"""Fixtures that every tier of in-process tests shares."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.loaders import create_loader
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from infra.local import cloudflare as cloudflare_double
from infra.local import cluster
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests import policies
from tests.harness import Api, create_backend


@pytest.fixture(autouse=True)
def _no_real_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


@pytest.fixture(autouse=True, scope="session")
def _one_loader() -> Iterator[None]:
    # botocore reads its descriptions of services once for each session: tests make many.
    loader = create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", lambda *_: loader)
        yield


@pytest.fixture
def invocations() -> list[Any]:
    """The events of asynchronous invocations, as Lambda has accepted them; none is delivered."""
    return []


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, invocations: list[Any]) -> Iterator[None]:
    """AWS, in process. A conditional write is atomic on AWS; in moto's threads it is not.

    moto runs no function without docker, so Lambda is a list of events here.
    """
    lock, answer = threading.RLock(), BotocoreStubber.__call__

    def answer_one_by_one(
        stubber: BotocoreStubber, event_name: str, request: Any, **options: Any
    ) -> Any:
        policies.watch(event_name, request)
        with lock:
            if event_name.endswith("lambda.Invoke"):
                assert request.headers["X-Amz-Invocation-Type"] == b"Event"
                invocations.append(json.loads(request.body))
                return AWSResponse(request.url, 202, HTTPHeaders(), MockRawResponse(b""))
            return answer(stubber, event_name, request, **options)

    monkeypatch.setattr(BotocoreStubber, "__call__", answer_one_by_one)
    with mock_aws():
        boto3.DEFAULT_SESSION = None
        policies.refused.clear()
        yield
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
