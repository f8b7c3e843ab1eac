"""Observe -> plan -> execute for one friend's namespace: the one way it comes to be.

Requests and reconciliation alike run this code; running it twice changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from chalicelib.domain import kinds
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.kinds import ObjectRef, ref_of
from chalicelib.domain.model import Friend, JsonObject
from chalicelib.domain.namespace import ClusterLayout, build_namespace_objects
from chalicelib.domain.ownership import require_ours
from chalicelib.domain.plan import Change, Result, plan
from chalicelib.ports import Cluster, Clusters
from chalicelib.services.concurrency import side_by_side

# An apply would adopt a namespace that appeared meanwhile, and needs the right to patch a binding.
_CREATED_PLAINLY = (kinds.NAMESPACE, kinds.ROLE_BINDING)

Observed = dict[ObjectRef, JsonObject | None]


@dataclass(frozen=True)
class Provisioner:
    """Converges namespaces to what their friends' rows say."""

    clusters: Clusters
    layout: ClusterLayout

    def provision(
        self, friend: Friend, deadline: Deadline, *, dry_run: bool = False, absent: bool = False
    ) -> tuple[Change, ...]:
        """Bring the friend's namespace to its desired state and return what changed.

        Safe to repeat. Raises Conflict for a namespace that is not ours or is terminating. A dry
        run asks the server to judge every object that it can judge, and changes nothing. absent
        says that require_free has just passed for a new friend, so that there is nothing to see.
        """
        cluster = self.clusters.open(friend.cluster, deadline)
        desired = build_namespace_objects(friend, self.layout)
        observed = {} if absent else _observe(cluster, friend, desired)
        changes = plan(desired, observed)
        if dry_run:
            _rehearse(cluster, changes)
        else:
            _execute(cluster, friend, changes)
        return changes

    def require_free(self, friend: Friend, deadline: Deadline) -> None:
        """Raise Conflict when the friend's namespace exists and is not theirs. One read."""
        cluster = self.clusters.open(friend.cluster, deadline)
        require_ours(cluster.get(_namespace_ref(friend)), friend)


def _observe(cluster: Cluster, friend: Friend, desired: Sequence[JsonObject]) -> Observed:
    namespace = cluster.get(_namespace_ref(friend))
    require_ours(namespace, friend)
    if namespace is None:
        return {}
    inner = [ref_of(manifest) for manifest in desired[1:]]
    found = side_by_side([partial(cluster.get, ref) for ref in inner])
    return dict(zip(inner, found, strict=True)) | {_namespace_ref(friend): namespace}


def _execute(cluster: Cluster, friend: Friend, changes: Sequence[Change]) -> None:
    # The namespace before what lives in it; the binding before what it permits us to write.
    namespace, binding, *rest = changes
    if not _converge(cluster, namespace):
        # Somebody was faster since we looked: it may be another request for this friend, or not.
        require_ours(cluster.get(namespace.ref), friend)
    _converge(cluster, binding)
    bound_now = binding.result is Result.CREATED
    converge = partial(_converge, cluster, newly_permitted=bound_now)
    side_by_side([partial(converge, change) for change in rest])


def _rehearse(cluster: Cluster, changes: Sequence[Change]) -> None:
    # Nothing can be tried inside a namespace that is not there yet.
    triable = changes[:1] if changes[0].result is Result.CREATED else changes
    side_by_side([partial(_converge, cluster, change, dry_run=True) for change in triable])


def _converge(
    cluster: Cluster, change: Change, *, dry_run: bool = False, newly_permitted: bool = False
) -> bool:
    """Make the change; tell whether it was ours to make."""
    if change.result is Result.UNCHANGED:
        return True
    if change.result is Result.CREATED and change.ref.kind in _CREATED_PLAINLY:
        return cluster.create(change.manifest, dry_run=dry_run)
    cluster.apply(change.manifest, force=True, dry_run=dry_run, newly_permitted=newly_permitted)
    return True


def _namespace_ref(friend: Friend) -> ObjectRef:
    return ObjectRef(kinds.NAMESPACE, friend.namespace)
