"""What the product's service account must not be able to do: one denial for each absence."""

import json
from typing import Any

import pytest

from infra import route_domains
from tests.cluster_client import ClusterClient, create_pod, wait_until
from tests.harness import Api

Refused = tuple[str, str, Any]
CORE = "/api/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
OURS = f"{CORE}/namespaces/{{ours}}"


def create(kind: str, name: str = "x", version: str = "v1", **body: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **body}


def create_namespace(
    name: str, *, uid: str | None = "u", enforce: str = "restricted", version: str = "latest"
) -> Any:
    labels = {
        "pod-security.kubernetes.io/enforce": enforce,
        "pod-security.kubernetes.io/enforce-version": version,
    }
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


# In a body, this stands for the friend's id.
FRIEND = "FRIEND"


def of_friend(body: Any, friend_id: str) -> Any:
    return json.loads(json.dumps(body).replace(FRIEND, friend_id))


def create_route(match: str = "Host(`app-FRIEND.friends.example`)", **spec: Any) -> Any:
    service = {"kind": "Service", "name": "web", "port": 80}
    rule = {"kind": "Rule", "match": match, "services": [service]}
    spec = {"entryPoints": ["web", "websecure"], "routes": [rule], **spec}
    return create("IngressRoute", version="traefik.io/v1alpha1", spec=spec)


def create_route_to(**service: Any) -> Any:
    route = create_route()
    route["spec"]["routes"][0]["services"] = [{"kind": "Service", "name": "web", **service}]
    return route


def create_route_with(**rule: Any) -> Any:
    route = create_route()
    route["spec"]["routes"][0] |= rule
    return route


def create_service(**spec: Any) -> Any:
    return create("Service", spec={"ports": [{"port": 80}], "selector": {"app": "x"}, **spec})


CONFIG_MAP = create("ConfigMap")
DOMAINS = f"{CORE}/namespaces/friends-system/configmaps/friend-api-domains"
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


ROUTES = "/apis/traefik.io/v1alpha1/namespaces/{ours}/ingressroutes"
DENIED_ROUTES: dict[str, Any] = {
    "a host of nobody's": create_route("Host(`bank.example`)"),
    "a host that only ends alike": create_route("Host(`appfriends.example`)"),
    "a host two levels below": create_route("Host(`a.app-FRIEND.friends.example`)"),
    "another friend's host": create_route("Host(`app-bob.friends.example`)"),
    "a host of the platform's": create_route("Host(`grafana.friends.example`)"),
    "a host that is the friend's id alone": create_route("Host(`FRIEND.friends.example`)"),
    "the domain itself": create_route("Host(`friends.example`)"),
    "every host": create_route("PathPrefix(`/`)"),
    "every host like it": create_route("HostRegexp(`.*.friends.example`)"),
    "one of two hosts": create_route("Host(`bank.example`) || Host(`app-FRIEND.friends.example`)"),
    "two hosts in one rule": create_route("Host(`bank.example`, `app-FRIEND.friends.example`)"),
    "no host but the one": create_route("!Host(`app-FRIEND.friends.example`)"),
    "a host and a path": create_route("Host(`app-FRIEND.friends.example`) && PathPrefix(`/`)"),
    "a host with a line after it": create_route("Host(`app-FRIEND.friends.example`)\n"),
    "a Service of another namespace": create_route_to(namespace="kube-system"),
    "a TraefikService": create_route_to(kind="TraefikService"),
    "Traefik's own console": create_route_to(name="api@internal"),
    "a transport": create_route_to(serversTransport="insecure"),
    "a nameless kind": create_route_with(services=[{"name": "web", "port": 80}]),
    "no Service": create_route_with(services=[]),
    "a middleware": create_route_with(middlewares=[{"name": "auth", "namespace": "other"}]),
    "a priority over others": create_route_with(priority=9999),
    "a certificate": create_route(tls={"secretName": "x"}),
    "a parent": create_route(parentRefs=[{"name": "x"}]),
}
PERMITTED_ROUTES: dict[str, Any] = {
    "a host below the first domain": create_route(),
    "a host below another domain": create_route("Host(`app-FRIEND.apps.example.org`)"),
}
# Denied by the policies alone: the roles permit it.
DENIED_BY_POLICY: dict[str, Refused] = {
    **{f"route {name}": ("POST", ROUTES, body) for name, body in DENIED_ROUTES.items()},
    "open a load balancer": ("POST", f"{OURS}/services", create_service(type="LoadBalancer")),
    "open a node's port": ("POST", f"{OURS}/services", create_service(type="NodePort")),
    "lead elsewhere by a name": (
        "POST",
        f"{OURS}/services",
        create("Service", spec={"type": "ExternalName", "externalName": "bank.example"}),
    ),
    "take an address over": (
        "POST",
        f"{OURS}/services",
        create_service(externalIPs=["192.0.2.1"]),
    ),
    "create a namespace of an older restriction": (
        "POST",
        f"{CORE}/namespaces",
        create_namespace("friend-x", version="v1.24"),
    ),
    "set an older restriction": (
        "PATCH",
        OURS,
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce-version": "v1.24"}}},
    ),
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


@pytest.mark.case("L6")
@pytest.mark.parametrize("what", DENIED_BY_POLICY)
def test_the_policies_deny_what_the_roles_permit(
    api: Api, controller: ClusterClient, friend_id: str, what: str
) -> None:
    api.register_friend(friend_id)
    method, path, body = DENIED_BY_POLICY[what]
    url = path.format(ours=f"friend-{friend_id}")
    content_type = "application/merge-patch+json" if method == "PATCH" else ""
    status, answer = controller.call(
        method, f"{url}?dryRun=All", of_friend(body, friend_id), content_type
    )
    assert (status, "ValidatingAdmissionPolicy 'friend-api-" in answer["message"]) == (422, True), (
        answer
    )


@pytest.mark.case("L6")
@pytest.mark.parametrize("what", PERMITTED_ROUTES)
def test_a_route_of_an_exposure_is_permitted(
    api: Api, controller: ClusterClient, friend_id: str, what: str
) -> None:
    api.register_friend(friend_id)
    url = ROUTES.format(ours=f"friend-{friend_id}")
    status, answer = controller.call("POST", url, of_friend(PERMITTED_ROUTES[what], friend_id))
    assert status == 201, answer
    change = {"spec": {"routes": DENIED_ROUTES["a host of nobody's"]["spec"]["routes"]}}
    status, answer = controller.call("PATCH", f"{url}/x", change, "application/merge-patch+json")
    assert status == 422, answer
    assert controller.call("DELETE", f"{url}/x")[0] == 200


@pytest.mark.case("L6")
def test_no_route_is_written_where_the_domains_are_not_told(
    api: Api, admin: ClusterClient, controller: ClusterClient, friend_id: str
) -> None:
    api.register_friend(friend_id)
    url = ROUTES.format(ours=f"friend-{friend_id}")
    route = of_friend(create_route(), friend_id)
    told = admin.get(DOMAINS)["data"]["domains"].split(",")
    admin.delete(DOMAINS)
    try:
        wait_until(lambda: controller.call("POST", f"{url}?dryRun=All", route)[0] != 201)
    finally:
        admin.apply(route_domains.build_config_map(told))
    wait_until(lambda: controller.call("POST", f"{url}?dryRun=All", route)[0] == 201)


def test_the_controller_reads_which_domains_are_told_and_no_other_configmap(
    controller: ClusterClient,
) -> None:
    assert controller.call("GET", DOMAINS)[0] == 200
    assert controller.call("GET", f"{CORE}/namespaces/friends-system/configmaps")[0] == 403
    assert (
        controller.call("GET", DOMAINS.replace("friend-api-domains", "kube-root-ca.crt"))[0] == 403
    )


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
