"""How each component is run: pure functions from a layout to a command line.

Everything listens on loopback. Nothing survives the run, so etcd need not wait for the disk.
Components that could elect leaders or serve metrics do neither: there is one of each, and it lives
for minutes.
"""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.controlplane.credentials import Credentials

LOOPBACK: Final = "127.0.0.1"
NODE: Final = "node-1"
STAGES: Final = Path(__file__).resolve().parent / "kwok-stages.yaml"

# Below the range that systems hand out for outgoing connections, so that none takes a port of ours
# between its choice and its use.
PORTS: Final = range(20_000, 32_000)

CONTROLLERS: Final = (
    "cronjob-controller",
    "deployment-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "ttl-after-finished-controller",
    "validatingadmissionpolicy-status-controller",
)


@dataclass(frozen=True, slots=True)
class Ports:
    """The loopback ports of one run."""

    etcd: int
    api_server: int
    kubelet: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything that the command lines of one run are made from."""

    directory: Path
    programs: Mapping[str, Path]
    credentials: Credentials
    ports: Ports

    @property
    def url(self) -> str:
        """The API server's address."""
        return build_url(self.ports)

    @property
    def pod_logs(self) -> Path:
        """The file that every container's log is read from."""
        return self.directory / "pod-logs.txt"

    @property
    def kwok_config(self) -> Path:
        """What kwok does with pods, and where it finds their logs."""
        return self.directory / "kwok.yaml"


def build_url(ports: Ports) -> str:
    """Return the API server's address on these ports."""
    return f"https://{LOOPBACK}:{ports.api_server}"


def choose_ports() -> Ports:
    """Return free loopback ports, all different."""
    with ExitStack() as held:
        return Ports(*(choose_port(held) for _ in range(3)))


def choose_port(held: ExitStack) -> int:
    """Return a free port, kept bound until `held` is closed. Raises OSError when there is none."""
    for port in random.sample(PORTS, 100):
        listener = socket.socket()
        held.enter_context(listener)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            continue
        return port
    raise OSError(f"no free port on {LOOPBACK} between {PORTS.start} and {PORTS.stop}")


def etcd(layout: Layout) -> list[str]:
    """Return the command that runs the store."""
    client_url = f"http://{LOOPBACK}:{layout.ports.etcd}"
    return [
        str(layout.programs["etcd"]),
        f"--data-dir={layout.directory / 'etcd'}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls=http://{LOOPBACK}:0",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def kube_apiserver(layout: Layout) -> list[str]:
    """Return the command that runs the API server.

    No endpoint reconciler, since a loopback address is no valid endpoint. No
    TaintNodesByCondition, since nobody would take the taint off a node that has no kubelet.
    Privileged pods are allowed, as they are by clusters' installers, so that Pod Security is what
    refuses them. Without a certificate authority for kubelets, kwok's own certificate does.
    """
    credentials = layout.credentials
    return [
        str(layout.programs["kube-apiserver"]),
        f"--etcd-servers=http://{LOOPBACK}:{layout.ports.etcd}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={layout.ports.api_server}",
        f"--tls-cert-file={credentials.certificate}",
        f"--tls-private-key-file={credentials.key}",
        f"--token-auth-file={credentials.tokens}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={credentials.service_account_key}",
        f"--service-account-signing-key-file={credentials.service_account_key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--endpoint-reconciler-type=none",
        "--disable-admission-plugins=TaintNodesByCondition",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
        "--profiling=false",
    ]


def kube_controller_manager(layout: Layout) -> list[str]:
    """Return the command that runs the controllers."""
    credentials = layout.credentials
    return [
        str(layout.programs["kube-controller-manager"]),
        f"--kubeconfig={credentials.kubeconfig('kube-controller-manager')}",
        f"--controllers={','.join(CONTROLLERS)}",
        f"--root-ca-file={credentials.authority}",
        f"--service-account-private-key-file={credentials.service_account_key}",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
    ]


def kube_scheduler(layout: Layout) -> list[str]:
    """Return the command that runs the scheduler."""
    return [
        str(layout.programs["kube-scheduler"]),
        f"--kubeconfig={layout.credentials.kubeconfig('kube-scheduler')}",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
    ]


def kwok(layout: Layout) -> list[str]:
    """Return the command that plays the kubelet of every node."""
    return [
        str(layout.programs["kwok"]),
        f"--kubeconfig={layout.credentials.kubeconfig('kwok')}",
        f"--config={STAGES}",
        f"--config={layout.kwok_config}",
        "--manage-all-nodes=true",
        f"--node-ip={LOOPBACK}",
        f"--node-port={layout.ports.kubelet}",
        f"--server-address={LOOPBACK}:{layout.ports.kubelet}",
        "--cidr=10.244.0.1/16",
    ]


def build_pod_logs_config(layout: Layout) -> dict[str, Any]:
    """Return the object that tells kwok to read every container's log from one file."""
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "every-container"},
        "spec": {"logs": [{"logsFile": str(layout.pod_logs)}]},
    }


def build_pod_logs(timestamp: str, lines: int) -> str:
    """Return that file, in the format of the Container Runtime Interface."""
    return "".join(f"{timestamp} stdout F line {number}\n" for number in range(1, lines + 1))


def build_node(ports: Ports) -> dict[str, Any]:
    """Return the one node: roomy, its kubelet on loopback, and ready once kwok says so."""
    capacity = {"cpu": "1000", "memory": "1Ti", "ephemeral-storage": "10Ti", "pods": "10000"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"},
        },
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": LOOPBACK},
                {"type": "Hostname", "address": NODE},
            ],
            "allocatable": capacity,
            "capacity": capacity,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": ports.kubelet}},
        },
    }
