"""The target of the cluster contract: the double, or the cluster of CONTRACT_KUBECONFIG.

The real cluster needs a controller-manager and, for the tests that run pods, a node (kwok will do).
What only a kubelet can show is tried there when CONTRACT_KUBELET is set.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from infra.local.cluster import serve
from tests.contract.cluster.builders import (
    build_ingress_route_definition,
    build_name,
    build_namespace,
)
from tests.contract.cluster.target import Place, Server, connect, eventually, succeed

KUBECONFIG = os.environ.get("CONTRACT_KUBECONFIG", "")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The API server, as its admin reaches it."""
    with ExitStack() as stack:
        if KUBECONFIG:
            kubeconfig = Path(KUBECONFIG).read_text()
        else:
            double = stack.enter_context(
                serve(service_account_seconds=0.02, termination_seconds=0.2, pod_start_seconds=0.02)
            )
            kubeconfig = double.kubeconfig()
        server = connect(kubeconfig, tmp_path_factory.mktemp("certificates"))
        with server.session:
            yield server


@pytest.fixture
def make_place(server: Server) -> Iterator["MakePlace"]:
    """Makes namespaces, and deletes them after the test without waiting for their end."""
    made = MakePlace(server)
    yield made
    for name in made.names:
        server.call("DELETE", f"/api/v1/namespaces/{name}")


class MakePlace:
    """Creates namespaces and remembers them."""

    def __init__(self, server: Server) -> None:
        """Create none yet."""
        self._server = server
        self.names: list[str] = []

    def __call__(self, *, enforce: str = "", warn: str = "") -> Place:
        """Create a namespace that holds all that a cluster's controllers put into every one."""
        manifest = build_namespace(build_name("contract"), enforce=enforce, warn=warn)
        name = manifest["metadata"]["name"]
        succeed(self._server.call("POST", "/api/v1/namespaces", manifest))
        self.names.append(name)
        for furniture in ("serviceaccounts/default", "configmaps/kube-root-ca.crt"):
            path = f"/api/v1/namespaces/{name}/{furniture}"
            eventually(partial(self._is_there, path))
        return Place(self._server, name)

    def _is_there(self, path: str) -> bool:
        return self._server.call("GET", path).ok


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    """A namespace without rules of its own."""
    return make_place()


@pytest.fixture(scope="session")
def node(server: Server) -> str:
    """The name of a node that runs pods; without a scheduler, a pod must name it."""
    nodes = succeed(server.call("GET", "/api/v1/nodes"))["items"]
    if not nodes:
        pytest.skip("this cluster has no node")
    return str(nodes[0]["metadata"]["name"])


@pytest.fixture
def kubelet(node: str) -> str:
    """The name of a node that runs containers for real, or as the double pretends."""
    if KUBECONFIG and not os.environ.get("CONTRACT_KUBELET"):
        pytest.skip("this cluster has no kubelet")
    return node


@pytest.fixture(scope="session")
def _ingress_routes(server: Server) -> None:
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    if server.call("GET", definitions).ok:
        server.call("POST", definitions, build_ingress_route_definition())
    routes = "/apis/traefik.io/v1alpha1/ingressroutes"
    eventually(lambda: server.call("GET", routes).ok)


@pytest.fixture
def traefik_place(_ingress_routes: None, place: Place) -> Place:
    """A namespace in a cluster that knows IngressRoute."""
    return place
