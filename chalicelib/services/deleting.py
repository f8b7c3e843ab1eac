"""Deleting one object of a friend's namespace: the verb of the operations `delete_object`.

accepted with nothing before it in the line   looked up then: the operation names its uid
accepted behind others                        looked up when its turn comes

An object goes by its uid. So a repeat, a late runner too, never deletes a later one of its name.
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


def delete_target(cluster: Cluster, friend: Friend, operation: Operation) -> JsonObject:
    """Delete the operation's target, and what that owns, and return the result. Safe to repeat.

    What is gone is deleted where it was seen when the operation was accepted, or where an earlier
    runner has begun (attempts counts this one too) and may have done it. Else there was nothing to
    delete: raises NotFound. Raises Conflict where the namespace is not the friend's.
    """
    (manifest,) = operation.manifests
    ref = ref_of(manifest)
    try:
        is_known = "uid" in manifest["metadata"]
        seen = manifest if is_known else find_target(cluster, friend, ref)
        cluster.delete(ref, seen=seen)
    except NotFound:
        if operation.attempts <= 1:
            raise
    return _deleted(ref)


def rehearse_deletion(cluster: Cluster, friend: Friend, operation: Operation) -> JsonObject:
    """Return the result of the deletion, and have the cluster judge it. Raises as delete_target."""
    (manifest,) = operation.manifests
    ref = ref_of(manifest)
    cluster.delete(ref, seen=find_target(cluster, friend, ref), dry_run=True)
    return _deleted(ref)


def _deleted(ref: ObjectRef) -> JsonObject:
    return {"kind": ref.kind.name, "name": ref.name, "status": "deleted"}
