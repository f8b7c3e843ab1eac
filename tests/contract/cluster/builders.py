"""Manifests for the contract suite: the smallest valid ones; arguments are what a test varies."""

import secrets
from collections.abc import Mapping
from typing import Any

Manifest = dict[str, Any]

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
IMAGE = "registry.k8s.io/pause:3.10"


def build_name(prefix: str) -> str:
    """Return a name that no other test uses."""
    return f"{prefix}-{secrets.token_hex(4)}"


def build_namespace(name: str, *, enforce: str = "", warn: str = "") -> Manifest:
    """Return a namespace with Pod Security levels."""
    levels = {"enforce": enforce, "warn": warn}
    labels = {
        f"pod-security.kubernetes.io/{mode}": level for mode, level in levels.items() if level
    }
    metadata = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def build_config_map(
    name: str = "settings",
    data: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Manifest:
    """Return a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **({"labels": dict(labels)} if labels else {})},
        "data": {"colour": "blue"} if data is None else dict(data),
    }


def build_container(name: str = "web", image: str = IMAGE, **fields: Any) -> Manifest:
    """Return a container."""
    return {"name": name, "image": image, **fields}


def build_pod(name: str = "web", *containers: Manifest, **spec: Any) -> Manifest:
    """Return a pod, of one container when none is given."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": list(containers) or [build_container()], **spec},
    }


def build_sized_pod(name: str, **amounts: str) -> Manifest:
    """Return a pod of one container whose requests and limits are both these amounts."""
    return build_pod(name, build_container(resources={"requests": amounts, "limits": amounts}))


def build_deployment(
    name: str = "web",
    *,
    replicas: int = 1,
    container: Manifest | None = None,
    pod: Manifest | None = None,
    **spec: Any,
) -> Manifest:
    """Return a Deployment; pod and spec add to the pod's spec and to its own."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container or build_container()], **(pod or {})},
            },
            **spec,
        },
    }


def build_service(name: str = "web", **spec: Any) -> Manifest:
    """Return a Service on port 80."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}], **spec},
    }


def build_job(name: str = "once", pod: Manifest | None = None, **spec: Any) -> Manifest:
    """Return a Job of one pod."""
    template = {"restartPolicy": "Never", "containers": [build_container()], **(pod or {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"spec": template}, **spec},
    }


def build_cron_job(name: str = "often", schedule: str = "0 0 1 1 *") -> Manifest:
    """Return a CronJob that hardly ever runs."""
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {"schedule": schedule, "jobTemplate": {"spec": build_job()["spec"]}},
    }


def build_quota(name: str = "quota", **hard: str) -> Manifest:
    """Return a ResourceQuota; a dot in a resource is written as two underscores."""
    amounts = {key.replace("__", "."): amount for key, amount in hard.items()}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": name},
        "spec": {"hard": amounts},
    }


def build_limit_range(name: str = "limits") -> Manifest:
    """Return a LimitRange with defaults and a maximum."""
    limit = {
        "type": "Container",
        "default": {"cpu": "100m", "memory": "64Mi"},
        "defaultRequest": {"cpu": "50m", "memory": "32Mi"},
        "max": {"cpu": "500m", "memory": "256Mi"},
    }
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": name},
        "spec": {"limits": [limit]},
    }


def build_role_binding(name: str = "manager", role: str = "view") -> Manifest:
    """Return a RoleBinding to a ClusterRole."""
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    }


def build_network_policy(name: str = "isolation") -> Manifest:
    """Return a NetworkPolicy that lets in what is in the namespace."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]},
    }


def build_ingress_route(name: str = "expose-web", host: str = "web.example.net") -> Manifest:
    """Return a route of Traefik's custom resource."""
    route = {
        "kind": "Rule",
        "match": f"Host(`{host}`)",
        "services": [{"name": "web", "port": 80}],
    }
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": name},
        "spec": {"entryPoints": ["websecure"], "routes": [route]},
    }


def build_ingress_route_definition() -> Manifest:
    """Return the definition of that custom resource, with a schema that keeps everything."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "ingressroutes.traefik.io"},
        "spec": {
            "group": "traefik.io",
            "scope": "Namespaced",
            "names": {
                "kind": "IngressRoute",
                "listKind": "IngressRouteList",
                "plural": "ingressroutes",
                "singular": "ingressroute",
            },
            "versions": [
                {
                    "name": "v1alpha1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }
