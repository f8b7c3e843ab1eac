"""What the product's service account must not be able to do: one denial for each absence."""

from typing import Any

import pytest

from tests.cluster_client import ClusterClient, create_pod
from tests.harness import Api

Refused = tuple[str, str, Any]
CORE = "/api/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
OURS = f"{CORE}/namespaces/{{ours}}"


def create(kind: str, name: str = "x", version: str = "v1", **body: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **body}


def create_namespace(name: str, *, uid: str | None = "u", enforce: str = "restricted") -> Any:
    labels = {"pod-security.kubernetes.io/enforce": enforce}
    if uid is not None:
        labels["friends-api/uid"] = uid
    manifest = create("Namespace", name)
    manifest["metadata"]["labels"] = labels
    return manifest


def create_binding(role: str = "friend-manager", subject: str = "friend-api") -> Any:
    api_group = "rbac.authorization.k8s.io"
    return create(
        "RoleBinding",
        version=f"{api_group}/v1",
        roleRef={"apiGroup": api_group, "kind": "ClusterRole", "name": role},
        subjects=[{"kind": "ServiceAccount", "name": subject, "namespace": "friends-system"}],
    )


def create_cluster_binding() -> Any:
    binding = create_binding("cluster-admin")
    return binding | {"kind": "ClusterRoleBinding"}


CONFIG_MAP = create("ConfigMap")
ROLE = create("ClusterRole", version="rbac.authorization.k8s.io/v1", rules=[])
RESERVED = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

DENIED: dict[str, Refused] = {
    "read a secret": ("GET", f"{OURS}/secrets/x", None),
    "list every secret": ("GET", f"{CORE}/secrets", None),
    "list every configmap": ("GET", f"{CORE}/configmaps", None),
    "list every pod": ("GET", f"{CORE}/pods", None),
    "create a secret": ("POST", f"{OURS}/secrets", create("Secret")),
    "delete a secret": ("DELETE", f"{OURS}/secrets/x", None),
    "create a pod": ("POST", f"{OURS}/pods", create_pod("x")),
    "delete a pod": ("DELETE", f"{OURS}/pods/x", None),
    "exec into a pod": ("POST", f"{OURS}/pods/x/exec?command=sh", None),
    "attach to a pod": ("POST", f"{OURS}/pods/x/attach", None),
    "forward a port": ("POST", f"{OURS}/pods/x/portforward", None),
    "proxy to a pod": ("GET", f"{OURS}/pods/x/proxy/", None),
    "add an ephemeral container": ("PATCH", f"{OURS}/pods/x/ephemeralcontainers", {}),
    "make a token": ("POST", f"{OURS}/serviceaccounts/default/token", {}),
    "make a service account": ("POST", f"{OURS}/serviceaccounts", create("ServiceAccount")),
    "change another service account": ("PATCH", f"{OURS}/serviceaccounts/other", {}),
    "delete a quota": ("DELETE", f"{OURS}/resourcequotas/friend-quota", None),
    "delete a limit range": ("DELETE", f"{OURS}/limitranges/friend-limits", None),
    "delete the network policy": (
        "DELETE",
        "/apis/networking.k8s.io/v1/namespaces/{ours}/networkpolicies/friend-netpol",
        None,
    ),
    "delete a collection": ("DELETE", f"{OURS}/configmaps", None),
    "replace a configmap": ("PUT", f"{OURS}/configmaps/kube-root-ca.crt", CONFIG_MAP),
    "finalize a namespace": ("PUT", f"{OURS}/finalize", create_namespace("{ours}")),
    "see nodes": ("GET", f"{CORE}/nodes", None),
    "proxy to a node": ("GET", f"{CORE}/nodes/x/proxy/", None),
    "see persistent volumes": ("GET", f"{CORE}/persistentvolumes", None),
    "write a cluster role": ("POST", f"{RBAC}/clusterroles", ROLE),
    "escalate a cluster role": ("PATCH", f"{RBAC}/clusterroles/friend-manager", {"rules": []}),
    "write a role": ("POST", f"{RBAC}/namespaces/{{ours}}/roles", ROLE | {"kind": "Role"}),
    "bind for the cluster": ("POST", f"{RBAC}/clusterrolebindings", create_cluster_binding()),
    "bind another role": (
        "POST",
        f"{RBAC}/namespaces/{{ours}}/rolebindings",
        create_binding("cluster-admin"),
    ),
    "bind somebody else": (
        "POST",
        f"{RBAC}/namespaces/{{ours}}/rolebindings",
        create_binding(subject="somebody-else"),
    ),
    "bind outside friend-*": (
        "POST",
        f"{RBAC}/namespaces/kube-system/rolebindings",
        create_binding(),
    ),
    "unbind": ("DELETE", f"{RBAC}/namespaces/{{ours}}/rolebindings/friend-manager", None),
    "write outside friend-*": ("POST", f"{CORE}/namespaces/default/configmaps", CONFIG_MAP),
    "create a namespace outside friend-*": (
        "POST",
        f"{CORE}/namespaces",
        create_namespace("not-a-friends"),
    ),
    "create a namespace without a uid": (
        "POST",
        f"{CORE}/namespaces",
        create_namespace("friend-x", uid=None),
    ),
    "create a namespace that is not restricted": (
        "POST",
        f"{CORE}/namespaces",
        create_namespace("friend-x", enforce="baseline"),
    ),
    "lower a namespace's pod security": (
        "PATCH",
        OURS,
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}},
    ),
    "change a namespace's uid": (
        "PATCH",
        OURS,
        {"metadata": {"labels": {"friends-api/uid": "another"}}},
    ),
    "adopt a namespace that is not a friend's": (
        "PATCH",
        f"{CORE}/namespaces/{{foreign}}",
        {"metadata": {"labels": {"friends-api/uid": "u"}}},
    ),
    "delete a namespace that is not a friend's": (
        "DELETE",
        f"{CORE}/namespaces/{{foreign}}",
        None,
    ),
    "delete kube-system": ("DELETE", f"{CORE}/namespaces/kube-system", None),
    "write a webhook": ("POST", WEBHOOKS, {}),
    "loosen the policy": ("DELETE", f"{POLICIES}/friend-api-leash", None),
    "define a resource": ("POST", CRDS, {}),
    "ask for a certificate": ("POST", RESERVED, {}),
}


@pytest.fixture(scope="module")
def foreign(admin: ClusterClient) -> str:
    """A namespace that looks like a friend's and is nobody's."""
    name = "friend-of-nobody"
    if admin.find(f"{CORE}/namespaces/{name}") is None:
        admin.create_namespace(name)
    return name


@pytest.mark.parametrize("what", DENIED)
def test_the_controller_cannot(
    api: Api, controller: ClusterClient, friend_id: str, foreign: str, what: str
) -> None:
    api.register_friend(friend_id)
    method, path, body = DENIED[what]
    url = path.format(ours=f"friend-{friend_id}", foreign=foreign)
    content_type = "application/merge-patch+json" if method == "PATCH" else ""
    status, answer = controller.call(method, url, body, content_type)
    assert status in {403, 422}, (status, answer)


@pytest.mark.parametrize("group", ["user", "group"])
def test_the_controller_cannot_impersonate(controller: ClusterClient, group: str) -> None:
    header = {
        "user": ("Impersonate-User", "admin"),
        "group": ("Impersonate-Group", "system:masters"),
    }
    name, value = header[group]
    headers = {name: value} | ({"Impersonate-User": "x"} if group == "group" else {})
    status, _ = controller.call("GET", f"{CORE}/namespaces", headers=headers)
    assert status == 403
