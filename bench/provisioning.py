"""Provisioning friends on a real cluster, against kubectl and against a bare HTTP client.

The namespaces that are made here are deleted again.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

from bench.clusters import (
    RealCluster,
    collection_of,
    open_clusters,
    run_real_cluster,
    server_side_apply,
)
from bench.measure import Figure, compare
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.model import Friend
from chalicelib.domain.namespace import build_namespace_objects
from chalicelib.services.provisioning import Provisioner
from tests.cluster_client import ClusterClient
from tests.factories import create_friend, create_layout

_ROUNDS = 12
_AT_ONCE = 16
_MANY = 64
_DEADLINE_SECONDS = 600
_TARGETS = {
    "provisioning a friend against kubectl apply --server-side": 0.5,
    "provisioning a friend against a bare client's same calls": 1.3,
    f"provisioning a friend, {_AT_ONCE} at once, against one at a time": 1.0,
}


def measure_provisioning() -> list[Figure]:
    """Measure the provisioning of new friends."""
    with run_real_cluster() as cluster:
        if cluster is None:
            skipped = "no control plane is built yet: make test-cluster builds it"
            return [Figure(name, target, skipped=skipped) for name, target in _TARGETS.items()]
        return _measure(cluster)


def _measure(cluster: RealCluster) -> list[Figure]:
    kubeconfig = cluster.kubeconfig
    provisioner = Provisioner(open_clusters(kubeconfig), create_layout())
    deadline = Deadline.after(_DEADLINE_SECONDS)
    client = ClusterClient(kubeconfig)
    with _new_friends(client) as friends, tempfile.TemporaryDirectory() as folder:

        def ours() -> None:
            provisioner.provision(friends.create(), deadline)

        kubectl = partial(_apply_with_kubectl, cluster, Path(folder) / "objects.json", friends)
        bare = partial(_apply_bare, client, friends)
        against_kubectl = compare(ours, kubectl, rounds=_ROUNDS)
        against_bare = compare(ours, bare, rounds=_ROUNDS)
        at_once = _measure_at_once(ours)
    return [
        Figure(name, target, *times)
        for (name, target), times in zip(
            _TARGETS.items(),
            (against_kubectl, against_bare, (at_once, against_bare[0])),
            strict=True,
        )
    ]


@dataclass
class _Friends:
    """New friends, and the names of the namespaces that they may have got."""

    namespaces: list[str] = field(default_factory=list)

    def create(self) -> Friend:
        friend = create_friend(id=f"bench-{uuid4().hex[:12]}", uid=uuid4().hex)
        self.namespaces.append(friend.namespace)
        return friend


@contextmanager
def _new_friends(client: ClusterClient) -> Iterator[_Friends]:
    friends = _Friends()
    try:
        yield friends
    finally:
        for name in friends.namespaces:
            client.call("DELETE", f"/api/v1/namespaces/{name}")


def _apply_with_kubectl(cluster: RealCluster, path: Path, friends: _Friends) -> None:
    items = build_namespace_objects(friends.create(), create_layout())
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    command = [cluster.kubectl, "apply", "--server-side", "--force-conflicts", "-f", str(path)]
    environment = dict(cluster.environment)
    subprocess.run(command, check=True, capture_output=True, env=environment)  # noqa: S603 - the kubectl that we built


def _apply_bare(client: ClusterClient, friends: _Friends) -> None:
    friend = friends.create()
    namespace, binding, *rest = build_namespace_objects(friend, create_layout())
    client.call("GET", f"/api/v1/namespaces/{friend.namespace}")
    for manifest in (namespace, binding):
        client.call("POST", collection_of(manifest), manifest)
    with ThreadPoolExecutor(len(rest)) as pool:
        list(pool.map(partial(server_side_apply, client), rest))


def _measure_at_once(provision: Callable[[], None]) -> float:
    """Return milliseconds a friend, with many at once."""
    started = time.perf_counter()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for future in [pool.submit(provision) for _ in range(_MANY)]:
            future.result()
    return (time.perf_counter() - started) * 1000 / _MANY
