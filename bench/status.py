"""Status against its slowest read, with 20 ms added to every call of the cluster."""

from functools import partial

from bench.clusters import open_clusters, run_double
from bench.measure import Figure, compare
from chalicelib.domain import kinds
from chalicelib.domain.deadline import Deadline
from chalicelib.services.namespaces import Namespaces
from chalicelib.services.provisioning import Provisioner
from tests.factories import create_friend, create_layout

_LATENCY_SECONDS = 0.02
_ROUNDS = 60
_DEADLINE_SECONDS = 600


def measure_status() -> list[Figure]:
    """Measure the status of a namespace as provisioned."""
    friend = create_friend()
    deadline = Deadline.after(_DEADLINE_SECONDS)
    with run_double(latency_seconds=_LATENCY_SECONDS) as kubeconfig:
        clusters = open_clusters(kubeconfig)
        Provisioner(clusters, create_layout()).provision(friend, deadline)
        status = partial(Namespaces(clusters).status, friend, deadline)
        cluster = clusters.open(friend.cluster, deadline)
        read = partial(cluster.list_all, kinds.POD, friend.namespace)
        status()
        ours, slowest = compare(status, read, rounds=_ROUNDS)
    name = "status (9 reads, each 20 ms away) against one such read"
    return [Figure(name, target=1.3, ours=ours, other=slowest)]
