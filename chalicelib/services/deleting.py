"""Deleting one object of a friend's namespace: the verb of the operations `delete_object`.

accepted with nothing queued before it   looked up then: the operation names its uid
accepted behind others                   looked up when the operation runs

The uid is the deletion's precondition. So neither a repeat nor a late runner deletes a later object
of the same name.
"""

from functools import partial

from chalicelib.domain import kinds
from chalicelib.domain.errors import NotFound
from chalicelib.domain.kinds import ObjectRef, ref_of
from chalicelib.domain.model import Friend, JsonObject
from chalicelib.domain.operations import Operation, target_not_found
from chalicelib.domain.ownership import require_no_others
from chalicelib.ports import Cluster
from chalicelib.services.concurrency import both


def find_target(cluster: Cluster, friend: Friend, ref: ObjectRef) -> JsonObject:
    """Return the object of the friend's namespace.

    Raises NotFound, also without a namespace, and Conflict where that is not the friend's.
    """
    look = partial(cluster.get, ObjectRef(kinds.NAMESPACE, friend.namespace))
    namespace, found = both(look, partial(cluster.get, ref))
    require_no_others(namespace, friend)
    if found is None:
        raise target_not_found(ref.kind)
    return found


def pin_target(cluster: Cluster, friend: Friend, operation: Operation) -> JsonObject | None:
    """Return the operation's target with its uid; None where an earlier runner may have deleted it.

    attempts counts this runner too. Raises NotFound where there was nothing to delete, and Conflict
    where the namespace is not the friend's.
    """
    (manifest,) = operation.manifests
    if "uid" in manifest["metadata"]:
        return manifest
    try:
        return find_target(cluster, friend, ref_of(manifest))
    except NotFound:
        if operation.attempts <= 1:
            raise
    return None


def delete_target(cluster: Cluster, operation: Operation, target: JsonObject | None) -> JsonObject:
    """Delete the target, and what that owns, and return the result. Safe to repeat."""
    (manifest,) = operation.manifests
    ref = ref_of(manifest)
    if target is not None:
        cluster.delete(ref, seen=target)
    return _deleted(ref)


def rehearse_deletion(cluster: Cluster, friend: Friend, operation: Operation) -> JsonObject:
    """Return the result of the deletion, and have the cluster check it. Raises as delete_target."""
    (manifest,) = operation.manifests
    ref = ref_of(manifest)
    cluster.delete(ref, seen=find_target(cluster, friend, ref), dry_run=True)
    return _deleted(ref)


def _deleted(ref: ObjectRef) -> JsonObject:
    return {"kind": ref.kind.name, "name": ref.name, "status": "deleted"}
