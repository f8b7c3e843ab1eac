"""Deleting one object of a friend's namespace: the verb of the operations `delete_object`.

accepted with nothing queued before it   looked up then: the operation names its uid
accepted behind others                   looked up when the operation runs

The uid is the deletion's precondition. So neither a repeat nor a late runner deletes a later object
of the same name.
"""

from functools import partial
from typing import Final

from chalicelib.domain import kinds
from chalicelib.domain.errors import Conflict, NotFound
from chalicelib.domain.kinds import ObjectRef, ref_of
from chalicelib.domain.model import Friend, JsonObject
from chalicelib.domain.operations import Operation, target_not_found
from chalicelib.domain.ownership import require_no_others
from chalicelib.ports import Cluster
from chalicelib.services.concurrency import both

_TRIES: Final = 3


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
    """Delete the target, and what that owns, and return the result. Safe to repeat.

    Raises Conflict where the cluster keeps refusing, for a conflict of its own.
    """
    (manifest,) = operation.manifests
    ref = ref_of(manifest)
    for _ in range(_TRIES):
        if (
            target is None
            or cluster.delete(ref, seen=target)
            or not _is_there(cluster, ref, target)
        ):
            return _deleted(ref)
    msg = "The cluster did not delete the object: it was changing. Send this again."
    raise Conflict(msg, code="cluster_conflict", retry_after_seconds=1)


def rehearse_deletion(cluster: Cluster, friend: Friend, operation: Operation) -> JsonObject:
    """Return the result of the deletion, and have the cluster check it. Raises as find_target."""
    (manifest,) = operation.manifests
    ref = ref_of(manifest)
    cluster.delete(ref, seen=find_target(cluster, friend, ref), dry_run=True)
    return _deleted(ref)


def _is_there(cluster: Cluster, ref: ObjectRef, target: JsonObject) -> bool:
    """Tell whether this very object is there and stays: a 409 may also tell of a later namesake."""
    live = cluster.get(ref)
    if live is None or "deletionTimestamp" in live["metadata"]:
        return False
    return bool(live["metadata"]["uid"] == target["metadata"]["uid"])


def _deleted(ref: ObjectRef) -> JsonObject:
    return {"kind": ref.kind.name, "name": ref.name, "status": "deleted"}
