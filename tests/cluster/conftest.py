"""The tier on a real control plane: the product acts as the service account that it ships with.

`make test-cluster` starts the control plane, or uses the one that KUBECONFIG names, and sets
CONTRACT_KUBECONFIG to an admin's kubeconfig for it.
"""

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import route_domains
from tests.cluster_client import ClusterClient, wait_until
from tests.contract.cluster.builders import build_ingress_route_definition
from tests.harness import ROOT, Api, create_backend

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SERVICE_ACCOUNTS = "/api/v1/namespaces/friends-system/serviceaccounts"


@pytest.fixture(scope="session")
def admin_kubeconfig() -> str:
    """An admin's kubeconfig."""
    return Path(os.environ["CONTRACT_KUBECONFIG"]).read_text()


@pytest.fixture(scope="session")
def admin(admin_kubeconfig: str) -> ClusterClient:
    """The cluster, as its admin sees it, with what infra/cluster grants."""
    command = ["kubectl", "apply", "-k", str(ROOT / "infra" / "cluster")]
    environment = {**os.environ, "KUBECONFIG": os.environ["CONTRACT_KUBECONFIG"]}
    subprocess.run(command, check=True, capture_output=True, env=environment)  # noqa: S603 - kubectl
    client = ClusterClient(admin_kubeconfig)
    client.call("POST", DEFINITIONS, build_ingress_route_definition())
    wait_until(lambda: client.call("GET", "/apis/traefik.io/v1alpha1/ingressroutes")[0] == 200)
    client.apply(route_domains.build_config_map(["friends.example", "apps.example.org"]))
    return client


@pytest.fixture(scope="session")
def controller_kubeconfig(admin: ClusterClient, admin_kubeconfig: str) -> str:
    """The kubeconfig that the product works with: the shipped service account's."""
    kubeconfig = kubeconfig_of("friend-api", admin, admin_kubeconfig)
    wait_until(lambda: _policy_bites(ClusterClient(kubeconfig)), seconds=30)
    return kubeconfig


@pytest.fixture(scope="session")
def controller(controller_kubeconfig: str) -> ClusterClient:
    """The cluster, as the product's service account sees it."""
    return ClusterClient(controller_kubeconfig)


@pytest.fixture
def api(aws: None, controller_kubeconfig: str) -> Api:
    """The app, on the real cluster."""
    create_backend(controller_kubeconfig)
    return Api()


@pytest.fixture
def friend_id(admin: ClusterClient) -> Iterator[str]:
    """An id that no other test has; its namespace goes away afterwards."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    yield name
    admin.call("DELETE", f"/api/v1/namespaces/friend-{name}")


def kubeconfig_of(account: str, admin: ClusterClient, admin_kubeconfig: str) -> str:
    """Return a service account's kubeconfig, with a new token."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    status, answer = admin.call("POST", f"{SERVICE_ACCOUNTS}/{account}/token", request)
    assert status == 201, answer
    return as_user(admin_kubeconfig, {"token": answer["status"]["token"]})


def as_user(kubeconfig: str, user: dict[str, Any]) -> str:
    """Return the kubeconfig with another credential, and nothing that the product refuses."""
    config = yaml.safe_load(kubeconfig)
    cluster = config["clusters"][0]["cluster"]
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "main",
            "contexts": [{"name": "main", "context": {"cluster": "main", "user": "main"}}],
            "clusters": [{"name": "main", "cluster": cluster}],
            "users": [{"name": "main", "user": user}],
        }
    )


def _policy_bites(controller: ClusterClient) -> bool:
    """Tell whether the policy is in force: it takes a moment after it was applied."""
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "not-a-friends"}}
    status, _ = controller.call("POST", "/api/v1/namespaces?dryRun=All", manifest)
    return bool(status in {403, 422})
