"""What an agent may see and do inside a friend's namespace, by reading the cluster directly."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.domain import kinds
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import NotFound
from chalicelib.domain.ingress_routes import route_problem
from chalicelib.domain.kinds import ObjectRef
from chalicelib.domain.model import Friend, JsonObject
from chalicelib.domain.namespace import QUOTA_NAME
from chalicelib.domain.ownership import require_no_others
from chalicelib.domain.pod_logs import choose_container, require_log
from chalicelib.domain.summaries import (
    explain,
    summarise_cron_job,
    summarise_deployment,
    summarise_ingress_route,
    summarise_job,
    summarise_pod,
    summarise_quota,
    summarise_service,
    well_formed,
)
from chalicelib.ports import Cluster, Clusters, LogQuery, SecretSummary
from chalicelib.services.concurrency import both, side_by_side
from chalicelib.services.reads import get_as_list

if TYPE_CHECKING:  # A cold start does not load what only mypy and the description read.
    from chalicelib.domain import shown_objects as objects

_STATUS_KINDS = (
    kinds.POD,
    kinds.SERVICE,
    kinds.DEPLOYMENT,
    kinds.JOB,
    kinds.CRON_JOB,
    kinds.INGRESS_ROUTE,
    kinds.EVENT,
)


@dataclass(frozen=True)
class LogRequest:
    """Which log to read: the last tail lines of a pod's container."""

    pod: str
    tail: int
    container: str | None = None
    previous: bool = False
    since_seconds: int | None = None


@dataclass(frozen=True)
class Log:
    """The end of one container's log. The text is the friend's app's: trust nothing in it.

    truncated says that the last tail lines are longer than what is shown of them.
    """

    pod: str
    container: str
    tail: int
    text: str
    truncated: bool


@dataclass(frozen=True)
class Namespaces:
    """Reads of a friend's namespace.

    All raise Conflict (namespace_not_ours) where the namespace is not this friend's.
    """

    clusters: Clusters

    def list_pods(self, friend: Friend, deadline: Deadline) -> "list[objects.Pod]":
        """Return the pods' lines."""
        cluster = self._open(friend, deadline)
        own = partial(_read_own, cluster, friend)
        _, pods = both(own, partial(cluster.list_all, kinds.POD, friend.namespace))
        with well_formed():
            return [summarise_pod(pod) for pod in pods]

    def status(self, friend: Friend, deadline: Deadline) -> "objects.NamespaceStatus":
        """Return everything about the namespace, in the time of the slowest read."""
        cluster = self._open(friend, deadline)
        quota = ObjectRef(kinds.RESOURCE_QUOTA, QUOTA_NAME, friend.namespace)
        reads = [partial(cluster.list_all, kind, friend.namespace) for kind in _STATUS_KINDS]
        reads += [partial(get_as_list, cluster, quota)]
        _, *listed, quotas = side_by_side([partial(_read_own, cluster, friend), *reads])
        pods, services, deployments, jobs, cron_jobs, routes, events = listed
        with well_formed():
            return {
                "pods": [summarise_pod(each) for each in pods],
                "services": [summarise_service(each) for each in services],
                "deployments": [summarise_deployment(each) for each in deployments],
                "quota": summarise_quota(quotas[0] if quotas else None),
                "ingressRoutes": [
                    {**summarise_ingress_route(each), "problem": route_problem(each, services)}
                    for each in routes
                ],
                "jobs": [summarise_job(each) for each in jobs],
                "cronjobs": [summarise_cron_job(each) for each in cron_jobs],
                "events": explain(events, pods=pods, deployments=deployments, jobs=jobs),
            }

    def list_secrets(self, friend: Friend, deadline: Deadline) -> list[SecretSummary]:
        """Return what the Secrets are called and which keys they have; never a value."""
        cluster = self._open(friend, deadline)
        own = partial(_read_own, cluster, friend)
        _, secrets = both(own, partial(cluster.list_secrets, friend.namespace))
        return secrets

    def read_log(self, friend: Friend, request: LogRequest, deadline: Deadline) -> Log:
        """Return the end of a container's log; the first container's where none is named.

        Raises NotFound for a pod, container or earlier run that is not there, and Conflict while
        the container has not started.
        """
        cluster = self._open(friend, deadline)
        ref = ObjectRef(kinds.POD, request.pod, friend.namespace)
        _, pod = both(partial(_read_own, cluster, friend), partial(cluster.get, ref))
        if pod is None:
            msg = "There is no pod with this name. GET /api/friends/<id>/namespace/pods lists them."
            raise NotFound(msg, code="pod_not_found")
        with well_formed():
            container = choose_container(pod, request.container)
            require_log(pod, container, previous=request.previous)
        query = LogQuery(request.tail, container, request.previous, request.since_seconds)
        end = cluster.read_log(friend.namespace, request.pod, query)
        return Log(request.pod, container, request.tail, end.text, end.truncated)

    def _open(self, friend: Friend, deadline: Deadline) -> Cluster:
        return self.clusters.open(friend.cluster, deadline)


def _read_own(cluster: Cluster, friend: Friend) -> list[JsonObject]:
    """Return the friend's namespace, or nothing where it is not there: then it holds nothing."""
    found = get_as_list(cluster, ObjectRef(kinds.NAMESPACE, friend.namespace))
    for namespace in found:
        require_no_others(namespace, friend)
    return found
