"""What `make doctor` says of a real cluster, by the rights of the account that it comes as."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chalicelib.gateways.cluster import KubernetesClusters
from infra.doctor.admin import KubectlReader, check_as_admin
from infra.doctor.clusters import check_clusters
from infra.stages import load_settings
from tests.cluster.conftest import SERVICE_ACCOUNTS, kubeconfig_of
from tests.cluster.test_least_privilege import RBAC, create_binding
from tests.cluster_client import ClusterClient, wait_until


def examine(kubeconfig: str | None) -> list[str]:
    clusters = KubernetesClusters(lambda _: kubeconfig, allow_loopback=True)
    return [str(each) for each in check_clusters(clusters, load_settings("local", {}))]


def test_the_shipped_account_is_well(controller_kubeconfig: str) -> None:
    assert examine(controller_kubeconfig) == [
        "ok    cluster main: answers",
        "ok    cluster main: permissions",
        "ok    cluster main: ingressroutes.traefik.io",
    ]


@pytest.fixture
def node(admin: ClusterClient) -> Iterator[str]:
    """A node with a public address, whose kubelet cannot be reached."""
    name = f"doctor-{uuid.uuid4().hex[:8]}"
    manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    assert admin.call("POST", "/api/v1/nodes", manifest)[0] == 201
    patch = {"status": {"addresses": [{"type": "ExternalIP", "address": "8.8.8.8"}]}}
    merge = "application/merge-patch+json"
    assert admin.call("PATCH", f"/api/v1/nodes/{name}/status", patch, merge)[0] == 200
    yield name
    admin.call("DELETE", f"/api/v1/nodes/{name}")


def examine_as_admin(ranges: str = "") -> list[str]:
    settings = load_settings("local", {})
    layout = replace(settings.layout, cluster_cidrs=tuple(ranges.split()))
    reader = KubectlReader(Path(os.environ["CONTRACT_KUBECONFIG"]))
    found = check_as_admin("main", reader, replace(settings, layout=layout), stage="local")
    return [str(each) for each in found]


@pytest.mark.case("M9")
def test_an_admins_kubeconfig_shows_which_node_has_a_public_address(node: str) -> None:
    (line,) = (each for each in examine_as_admin() if "addresses of" in each)
    assert line.startswith("FAIL")
    assert f"{node} (8.8.8.8)" in line
    (line,) = (each for each in examine_as_admin("8.8.8.0/24") if "addresses of" in each)
    assert line.startswith("ok")


@pytest.mark.case("M8")
def test_a_kubelet_that_cannot_be_asked_is_told_so(node: str) -> None:
    (line,) = (each for each in examine_as_admin() if f"kubelet of {node}" in each)
    assert line.startswith("skip")


@pytest.mark.case("W4")
def test_a_cluster_without_a_pod_of_traefiks_is_told_so(node: str) -> None:
    assert examine_as_admin()[-1].startswith("FAIL  cluster main: Traefik: There is no pod of ")


@pytest.fixture
def account(admin: ClusterClient) -> Iterator[str]:
    """A service account without rights, by its name."""
    name = f"doctor-{uuid.uuid4().hex[:8]}"
    manifest = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    assert admin.call("POST", SERVICE_ACCOUNTS, manifest)[0] == 201
    yield name
    admin.call("DELETE", f"{SERVICE_ACCOUNTS}/{name}")


def test_an_account_without_rights_is_told_from_a_cluster_that_is_away(
    account: str, admin: ClusterClient, admin_kubeconfig: str
) -> None:
    (finding,) = examine(kubeconfig_of(account, admin, admin_kubeconfig))
    assert finding.startswith("FAIL  cluster main: ")
    assert "(cluster_forbidden)" in finding
    assert "Fix: kubectl apply -k infra/cluster" in finding
    (finding,) = examine(None)
    assert "(cluster_misconfigured)" in finding
    assert "make store-kubeconfig CLUSTER=main" in finding


@pytest.fixture
def provisioner(account: str, admin: ClusterClient) -> Iterator[str]:
    """An account that may provision, and not observe."""
    binding = create_binding("friend-provisioner", account)
    binding |= {"kind": "ClusterRoleBinding", "metadata": {"name": account}}
    assert admin.call("POST", f"{RBAC}/clusterrolebindings", binding)[0] == 201
    yield account
    admin.call("DELETE", f"{RBAC}/clusterrolebindings/{account}")


def test_each_right_that_an_account_lacks_is_named(
    provisioner: str, admin: ClusterClient, admin_kubeconfig: str
) -> None:
    kubeconfig = kubeconfig_of(provisioner, admin, admin_kubeconfig)
    wait_until(lambda: "answers" in examine(kubeconfig)[0])
    answers, permissions, _ = examine(kubeconfig)
    assert answers == "ok    cluster main: answers"
    assert permissions.startswith("FAIL  cluster main: permissions: The account may not ")
    for right in ("list resourcequotas", "list ingressroutes"):
        assert right in permissions
    assert "create namespaces" not in permissions
    assert "kubectl apply -k infra/cluster" in permissions
