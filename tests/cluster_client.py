"""A cluster as its own admin sees it: what tests arrange behind the product's back."""

import base64
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

import urllib3
import yaml

from tests.canaries import IN_CLUSTERS, SENDER

_PLURALS = {
    "ConfigMap": "configmaps",
    "CronJob": "cronjobs",
    "Deployment": "deployments",
    "Event": "events",
    "IngressRoute": "ingressroutes",
    "Job": "jobs",
    "Pod": "pods",
    "Secret": "secrets",
    "Service": "services",
}


class ClusterClient:
    """Plain HTTP to an API server, with the credential of a kubeconfig."""

    def __init__(self, kubeconfig: str) -> None:
        """Read the kubeconfig; nothing is called yet."""
        config = yaml.safe_load(kubeconfig)
        cluster = config["clusters"][0]["cluster"]
        context = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        # EKS's authorities, and the double's, have no key identifiers.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self._server = cluster["server"]
        self._token = config["users"][0]["user"]["token"]
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False, maxsize=16)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Return the answer's status and parsed body; text that is no JSON comes as it is."""
        answer = self._pool.request(
            method,
            f"{self._server}{path}",
            json=body,
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": content_type or "application/json",
                **SENDER,
                **(headers or {}),
            },
        )
        try:
            return answer.status, answer.json()
        except ValueError:
            return answer.status, answer.data.decode(errors="replace")

    def get(self, path: str) -> Any:
        """Return an object that is there."""
        return self._succeed("GET", path)

    def find(self, path: str) -> Any:
        """Return an object, or None."""
        status, body = self.call("GET", path)
        return body if status == 200 else None

    def create(self, manifest: Any) -> Any:
        """POST a namespaced manifest."""
        return self._succeed("POST", _collection(manifest), manifest)

    def apply(self, manifest: Any) -> Any:
        """Server-side apply a namespaced manifest."""
        path = f"{_collection(manifest)}/{manifest['metadata']['name']}?fieldManager=tests"
        return self._succeed("PATCH", path, manifest, "application/apply-patch+yaml")

    def merge(self, path: str, patch: Any) -> Any:
        """Merge-patch an object, as a meddling admin does."""
        return self._succeed("PATCH", path, patch, "application/merge-patch+json")

    def delete(self, path: str) -> None:
        """Delete an object."""
        self._succeed("DELETE", path)

    def create_namespace(self, name: str) -> Any:
        """Create a namespace that is nobody's."""
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        return self._succeed("POST", "/api/v1/namespaces", manifest)

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace and wait until it is gone."""
        self.delete(f"/api/v1/namespaces/{name}")
        wait_until(lambda: self.find(f"/api/v1/namespaces/{name}") is None)

    def _succeed(self, method: str, path: str, body: Any = None, content_type: str = "") -> Any:
        status, answer = self.call(method, path, body, content_type)
        assert status < 300, answer
        return answer


def create_pod(name: str, *, image: str = "registry.example/web:1") -> dict[str, Any]:
    """Return a pod that the restricted Pod Security Standard permits, with canaries in it."""
    spec, argument = _pod_spec(name, image), IN_CLUSTERS["a pod's args"]
    spec["containers"][0] |= {
        "env": [{"name": "TOKEN", "value": IN_CLUSTERS["a pod's env"]}],
        "args": [f"--token={argument}"],
        "command": [IN_CLUSTERS["a pod's command"]],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "friend-alice",
            "labels": {"app": name},
            "annotations": {"note": IN_CLUSTERS["a pod's annotation"]},
        },
        "spec": spec,
    }


def create_secret(name: str) -> dict[str, Any]:
    """Return a Secret with canaries in it, as kubectl applies one."""
    data = base64.b64encode(IN_CLUSTERS["a Secret's data"].encode()).decode()
    applied = {"last-applied": IN_CLUSTERS["a Secret's last-applied"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "friend-alice", "annotations": applied},
        "type": "Opaque",
        "data": {"user": data},
        "stringData": {"password": IN_CLUSTERS["a Secret's stringData"]},
    }


def create_deployment(
    name: str, *, image: str = "registry.example/web:1", replicas: int = 1
) -> dict[str, Any]:
    """Return a deployment whose pods the restricted Pod Security Standard permits."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "friend-alice"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": _pod_spec(name, image),
            },
        },
    }


def wait_until(condition: Callable[[], Any], *, seconds: float = 10) -> None:
    """Wait, for a bounded time, until the condition holds."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, "it did not come true in time"
        time.sleep(0.02)


def _pod_spec(name: str, image: str) -> dict[str, Any]:
    return {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": name,
                "image": image,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }


def _collection(manifest: Any) -> str:
    version, namespace = manifest["apiVersion"], manifest["metadata"]["namespace"]
    prefix = "apis" if "/" in version else "api"
    return f"/{prefix}/{version}/namespaces/{namespace}/{_PLURALS[manifest['kind']]}"
