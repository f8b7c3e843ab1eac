"""What `make doctor` says of a real cluster, by the rights of the account that it comes as."""

import uuid
from collections.abc import Iterator

import pytest

from chalicelib.gateways.cluster import KubernetesClusters
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
    ]


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
    answers, permissions = examine(kubeconfig)
    assert answers == "ok    cluster main: answers"
    assert permissions.startswith("FAIL  cluster main: permissions: The account may not ")
    for right in ("list resourcequotas", "list ingressroutes"):
        assert right in permissions
    assert "create namespaces" not in permissions
    assert "kubectl apply -k infra/cluster" in permissions
