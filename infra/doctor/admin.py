"""What only an admin of a cluster sees: its nodes, their kubelets, and Traefik.

The API's own account has no right to any of it, and needs none. Without an admin's kubeconfig each
of these is told as not to be told, with the command that shows it.
"""

from __future__ import annotations

import ipaddress
import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from chalicelib.domain.ingress_routes import ENTRY_POINTS
from infra.doctor.findings import Finding, untold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from chalicelib.settings import Settings

_NODES: Final = "/api/v1/nodes?limit=500"
_SECONDS: Final = 20
# Nodes of one pool are configured alike.
_MOST_KUBELETS: Final = 20
_LONGEST_REASON: Final = 200
_COLLECTION: Final = ("imageGCHighThresholdPercent", "imageGCLowThresholdPercent")
_NO_COLLECTION: Final = 100
_ENTRY_POINT: Final = re.compile(r"--entry-?points\.([a-z0-9_-]+)[.=]", re.IGNORECASE)


class ReadError(Exception):
    """The cluster did not show it; the message says why."""


class Reader(Protocol):
    """Reads a cluster as its admin."""

    def read(self, path: str) -> dict[str, Any]:
        """Return the object at a path of the API. Raises ReadError."""


@dataclass(frozen=True)
class KubectlReader:
    """Reads by kubectl, which knows all ways to log in that an operator may use."""

    kubeconfig: Path

    def read(self, path: str) -> dict[str, Any]:
        """See Reader."""
        command = ["kubectl", "--kubeconfig", str(self.kubeconfig)]
        command += [f"--request-timeout={_SECONDS}s", "get", "--raw", path]
        try:
            done = subprocess.run(  # noqa: S603 - kubectl, as the operator uses it
                command, capture_output=True, text=True, check=False, timeout=3 * _SECONDS
            )
            found = json.loads(done.stdout) if done.returncode == 0 else None
        except (OSError, subprocess.TimeoutExpired, ValueError) as error:
            msg = f"kubectl failed ({type(error).__name__})"
            raise ReadError(msg) from None
        if not isinstance(found, dict):
            raise ReadError((done.stderr.strip() or "kubectl failed")[:_LONGEST_REASON])
        return found


def check_as_admin(
    name: str, reader: Reader | None, settings: Settings, *, stage: str
) -> Iterator[Finding]:
    """Yield what the cluster's nodes and its ingress controller are like, as an admin sees them."""
    subject = f"cluster {name}"
    if reader is None:
        why = "only an admin's kubeconfig shows it."
        named = "" if name == "main" else f"{name}="
        again = f"make doctor STAGE={stage} KUBECONFIG={named}/path/of/an/admin"
        configz = "kubectl get --raw /api/v1/nodes/<node>/proxy/configz"
        pods = f"kubectl -n {settings.layout.ingress_namespace} get pods"
        yield untold(f"{subject}: nodes' addresses", why, f"{again}, or kubectl get nodes -o wide")
        yield untold(f"{subject}: podPidsLimit, image collection", why, f"{again}, or {configz}")
        yield untold(f"{subject}: Traefik", why, f"{again}, or {pods}")
        return
    try:
        nodes = _items(reader, _NODES)
    except ReadError as error:
        yield untold(f"{subject}: nodes", f"{error}.", "use an admin's kubeconfig.")
    else:
        yield _check_addresses(subject, nodes, settings.layout.cluster_cidrs)
        yield from _check_kubelets(subject, reader, nodes)
    yield from _check_traefik(f"{subject}: Traefik", reader, settings.layout.ingress_namespace)


def _items(reader: Reader, path: str) -> list[dict[str, Any]]:
    items = reader.read(path).get("items")
    if not isinstance(items, list):
        msg = "the answer is no list"
        raise ReadError(msg)
    return items


def _check_addresses(
    subject: str, nodes: Sequence[dict[str, Any]], ranges: Sequence[str]
) -> Finding:
    """Friends' pods reach the internet, so a node's public address, unless a range excludes it."""
    networks = [ipaddress.ip_network(each) for each in ranges]
    open_ones = [
        f"{node['metadata']['name']} ({address})"
        for node in nodes
        for address in _addresses(node)
        if address.is_global and not any(address in network for network in networks)
    ]
    subject = f"{subject}: addresses of {len(nodes)} nodes"
    if open_ones:
        fault = f"Friends' pods reach these public ones: {', '.join(open_ones)}."
        return Finding(subject, fault, "add their range to CLUSTER_CIDRS, and deploy again.")
    return Finding(subject)


def _addresses(node: dict[str, Any]) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    for each in node.get("status", {}).get("addresses", ()):
        try:
            yield ipaddress.ip_address(each["address"])
        except ValueError:
            continue


def _check_kubelets(
    subject: str, reader: Reader, nodes: Sequence[dict[str, Any]]
) -> Iterator[Finding]:
    for node in nodes[:_MOST_KUBELETS]:
        name = node["metadata"]["name"]
        yield _check_kubelet(f"{subject}: kubelet of {name}", reader, name)
    if nodes[_MOST_KUBELETS:]:
        yield untold(f"{subject}: other kubelets", f"only {_MOST_KUBELETS} are asked.")


def _check_kubelet(subject: str, reader: Reader, node: str) -> Finding:
    """Ask a kubelet for what no quota bounds (docs/decisions/0034)."""
    try:
        config = reader.read(f"/api/v1/nodes/{node}/proxy/configz").get("kubeletconfig") or {}
    except ReadError as error:
        return untold(subject, f"{error}.", "look at the node's own kubelet configuration.")
    faults = []
    if int(config.get("podPidsLimit") or -1) <= 0:
        faults.append("A pod may start processes without bound: podPidsLimit is not set.")
    if any(int(config.get(each) or 0) >= _NO_COLLECTION for each in _COLLECTION):
        faults.append("Images are never collected: imageGCHighThresholdPercent is 100.")
    fix = "set both in the kubelet's configuration: docs/deploy.md, step 1."
    return Finding(subject, " ".join(faults), fix) if faults else Finding(subject)


def _check_traefik(subject: str, reader: Reader, namespace: str) -> Iterator[Finding]:
    try:
        found = _items(reader, f"/api/v1/namespaces/{namespace}/pods?limit=500")
    except ReadError as error:
        yield untold(subject, f"{error}.", "use an admin's kubeconfig.")
        return
    pods = [each for each in found if _is_traefik(each)]
    if not any(map(_is_ready, pods)):
        what = "No pod of Traefik's is ready" if pods else "There is no pod of Traefik's"
        fix = "install Traefik there, or set INGRESS_NAMESPACE to where it runs, and deploy again."
        yield Finding(subject, f"{what} in the namespace {namespace}.", fix)
        return
    yield Finding(f"{subject}: {len(pods)} pods in the namespace {namespace}")
    yield _check_entry_points(f"{subject}: entry points", pods)


def _check_entry_points(subject: str, pods: Sequence[dict[str, Any]]) -> Finding:
    """Routes name both entry points, and Traefik passes over one that it lacks; not over both."""
    named = {
        name.lower()
        for pod in pods
        for container in pod["spec"]["containers"]
        for argument in (*container.get("command", ()), *container.get("args", ()))
        for name in _ENTRY_POINT.findall(argument)
    }
    if not named:
        why = "Traefik's arguments name none, so they are in its file or environment."
        return untold(subject, why, f"it needs {' or '.join(ENTRY_POINTS)}.")
    if served := [each for each in ENTRY_POINTS if each in named]:
        return Finding(f"{subject} {', '.join(served)}")
    fault = f"It has {', '.join(sorted(named))}, and the API's routes name others."
    return Finding(subject, fault, f"name one of them {' or '.join(ENTRY_POINTS)}.")


def _is_traefik(pod: dict[str, Any]) -> bool:
    labels = pod["metadata"].get("labels") or {}
    images = (each.get("image", "") for each in pod["spec"]["containers"])
    return labels.get("app.kubernetes.io/name") == "traefik" or any(
        "traefik" in each for each in images
    )


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
