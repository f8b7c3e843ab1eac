"""Where the benchmarks' clusters come from, and a bare client's calls to compare with."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chalicelib.domain.kinds import ref_of
from chalicelib.domain.model import JsonObject
from chalicelib.gateways.cluster import KubernetesClusters
from infra.controlplane.build import are_at_hand
from infra.controlplane.run import control_plane
from tests.cluster_client import ClusterClient


@contextmanager
def run_double(*, latency_seconds: float) -> Iterator[str]:
    """Run the double in its own process and give its kubeconfig."""
    command = [sys.executable, "-m", "bench.double", str(latency_seconds)]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for, two lines up
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


@dataclass(frozen=True)
class RealCluster:
    """A real cluster, and the kubectl to compare with."""

    kubeconfig: str
    kubectl: str
    environment: Mapping[str, str]


@contextmanager
def run_real_cluster() -> Iterator[RealCluster | None]:
    """Run the control plane of `make test-cluster`, if its programs are built already."""
    if not are_at_hand(os.environ):
        yield None
        return
    with control_plane() as plane:
        environment = {**os.environ, **plane.environment()}
        kubectl = str(plane.programs["kubectl"])
        yield RealCluster(plane.kubeconfig.read_text(encoding="utf-8"), kubectl, environment)


def open_clusters(kubeconfig: str) -> KubernetesClusters:
    """Return the product's own cluster gateway on this kubeconfig."""
    return KubernetesClusters(lambda _: kubeconfig, allow_loopback=True)


def collection_of(manifest: JsonObject) -> str:
    """Return the path that a manifest of the API's is POSTed to."""
    ref = ref_of(manifest)
    prefix = f"/{'apis' if ref.kind.group else 'api'}/{ref.kind.api_version}"
    within = f"/namespaces/{ref.namespace}" if ref.namespace else ""
    return f"{prefix}{within}/{ref.kind.plural}"


def server_side_apply(client: ClusterClient, manifest: JsonObject) -> tuple[int, Any]:
    """Apply a manifest as the API does, and nothing else; return the status and the answer."""
    path = f"{collection_of(manifest)}/{manifest['metadata']['name']}"
    query = "fieldManager=friends-api&fieldValidation=Strict&force=true"
    return client.call("PATCH", f"{path}?{query}", manifest, "application/apply-patch+yaml")
