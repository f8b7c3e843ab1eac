"""Observe -> send, rank by rank: how admitted manifests reach a friend's namespace.

Requests, the worker and dry runs alike run this code. Sending a manifest twice changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeGuard

from chalicelib.domain import kinds
from chalicelib.domain.errors import (
    ApiError,
    FieldConflict,
    OutOfTime,
    UpstreamFailed,
    UpstreamUnreachable,
)
from chalicelib.domain.kinds import ObjectRef, ref_of
from chalicelib.domain.model import Friend, JsonObject
from chalicelib.domain.operations import DELETABLE, rank_manifests
from chalicelib.domain.ownership import holds_fields, namespace_missing, require_ours
from chalicelib.domain.plan import Result, says_the_same
from chalicelib.ports import Applied, Cluster
from chalicelib.services.concurrency import side_by_side

Observed = Mapping[ObjectRef, JsonObject]

# So many leave at once; between two such batches the sender may find that its time is over.
_BATCH: Final = 16
# How often, and for how long in all, an object is sent that the cluster does not take.
ATTEMPTS: Final = 3
LONGEST_SECONDS: Final = 10.0
# What an upstream could not do now, it may do later.
PASSING: Final = (OutOfTime, UpstreamFailed, UpstreamUnreachable)


Found = JsonObject | ApiError | None


@dataclass(frozen=True)
class Sending:
    """Manifests on their way to one friend's namespace.

    next_cluster gives the cluster for the next batch, or None when there is no time for one.
    keep is called with a position and its result as soon as that is known. force takes over fields
    that others hold, of objects that this API applied before.
    """

    friend: Friend
    manifests: tuple[JsonObject, ...]
    observed: Observed
    next_cluster: Callable[[], Cluster | None]
    keep: Callable[[int, JsonObject], None]
    force: bool = False
    dry_run: bool = False

    def send(self, results: Sequence[JsonObject | None]) -> list[Found]:
        """Send what has no result yet and return all results, in the manifests' order.

        An object that the cluster does not take, while it answers otherwise, has failed. Where it
        does not answer at all, sending ends: an object that was on its way has that error in place
        of a result, and one that there was no time for has None.
        """
        found: list[Found] = list(results)
        for batch in self._batches(results):
            cluster = self.next_cluster()
            if cluster is None:
                break
            sent = side_by_side([partial(self._send_one, cluster, each) for each in batch])
            for position, result in zip(batch, sent, strict=True):
                found[position] = result
            errors = {each: error for each in batch if _is_fault(error := found[each])}
            if errors and (self.dry_run or not answers(self.friend, self.next_cluster)):
                # A dry run answers with the error that keeps the cluster from checking the objects.
                break
            for position, error in errors.items():
                found[position] = self._fail(position, error)
        return found

    def _fail(self, position: int, error: ApiError) -> JsonObject:
        result = build_failure(ref_of(self.manifests[position]), error)
        self.keep(position, result)
        return result

    def _batches(self, results: Sequence[JsonObject | None]) -> Iterator[list[int]]:
        for rank in rank_manifests(self.manifests):
            waiting = [position for position in rank if results[position] is None]
            for start in range(0, len(waiting), _BATCH):
                yield waiting[start : start + _BATCH]

    def _send_one(self, cluster: Cluster, position: int) -> JsonObject | ApiError:
        manifest = self.manifests[position]
        try:
            applied = self._apply(cluster, manifest)
        except PASSING as error:
            return error
        except ApiError as error:
            return self._fail(position, error)
        ref = ref_of(manifest)
        change = _change_of(applied, self.observed.get(ref) or _read_before(cluster, applied))
        shown: JsonObject = {"kind": ref.kind.name, "name": ref.name}
        result = shown | {"status": "applied", "change": change}
        generation = applied.manifest["metadata"].get("generation")
        if isinstance(generation, int):
            result["generation"] = generation
        self.keep(position, result)
        return result

    def _apply(self, cluster: Cluster, manifest: JsonObject) -> Applied:
        """Apply the manifest, with force to what that is meant for. Raises as Cluster.apply does.

        An object that another has replaced since it was looked at has another uid, and is refused.
        """
        try:
            return cluster.apply(manifest, force=False, dry_run=self.dry_run)
        except FieldConflict as conflict:
            ref = ref_of(manifest)
            live = cluster.get(ref)
            if live is None or not holds_fields(live):
                raise _not_ours(conflict, ref) from None
            if not self.force:
                raise _ours(conflict) from None
            metadata = {**manifest["metadata"], "uid": live["metadata"]["uid"]}
            forced = {**manifest, "metadata": metadata}
            return cluster.apply(forced, force=True, dry_run=self.dry_run)


def _ours(conflict: FieldConflict) -> FieldConflict:
    msg = (
        f"{conflict.message} To take these fields over, send the apply with ?force=true: this API "
        "applied the object before."
    )
    return FieldConflict(msg)


def _not_ours(conflict: FieldConflict, ref: ObjectRef) -> FieldConflict:
    call = f"DELETE /api/friends/<id>/namespace/{ref.kind.plural}/{ref.name}"
    way = f"Delete it ({call})" if ref.kind in DELETABLE else "Have an admin delete it"
    msg = (
        f"{conflict.message} This API holds no field of the object, so it takes none over. "
        f"{way}, and apply it again."
    )
    return FieldConflict(msg)


def _read_before(cluster: Cluster, applied: Applied) -> JsonObject | None:
    """Return an object that seems to be changed as the apply found it; None where that is unknown.

    What was applied stands, whatever comes of this.
    """
    if applied.was_created or not applied.was_changed or applied.version_before is None:
        return None
    try:
        return cluster.get_at(ref_of(applied.manifest), applied.version_before)
    except ApiError:
        return None


def answers(friend: Friend, next_cluster: Callable[[], Cluster | None]) -> bool:
    """Tell whether the cluster answers, now that an object of the friend's got no answer, or 5xx.

    Where it does, the object is at fault. False where there is no time to ask.
    """
    cluster = next_cluster()
    if cluster is None:
        return False
    try:
        cluster.get(ObjectRef(kinds.NAMESPACE, friend.namespace))
    except PASSING:
        return False
    return True


def build_failure(ref: ObjectRef, error: ApiError) -> JsonObject:
    """Return the result of an object that has failed for good."""
    shown: JsonObject = {"kind": ref.kind.name, "name": ref.name}
    return shown | {"status": "failed", "error": error.message, "code": error.code}


def _is_fault(found: Found) -> TypeGuard[ApiError]:
    """Tell whether this is what a cluster made of an object; for some there was no time."""
    return isinstance(found, ApiError) and not isinstance(found, OutOfTime)


def _change_of(applied: Applied, before: JsonObject | None) -> Result:
    if applied.was_created:
        return Result.CREATED
    changed = applied.was_changed
    if changed and before is not None:
        changed = not says_the_same(before, applied.manifest)
    return Result.CONFIGURED if changed else Result.UNCHANGED


def observe(
    cluster: Cluster, friend: Friend, manifests: Sequence[JsonObject], *, closely: bool
) -> Observed:
    """Require the friend's namespace, and look closely at what is there of the manifests' objects.

    The server's answer to an apply tells by itself whether it changed anything, to the second.
    Closely is for when another apply may have changed the same objects within seconds: then they
    are read first. Raises Conflict where the namespace is not there, not the friend's, or
    terminating.
    """
    refs = [ObjectRef(kinds.NAMESPACE, friend.namespace)]
    refs += map(ref_of, manifests) if closely else []
    namespace, *objects = side_by_side([partial(cluster.get, ref) for ref in refs])
    if namespace is None:
        raise namespace_missing()
    require_ours(namespace, friend)
    found = zip(refs[1:], objects, strict=True)
    return {ref: observed for ref, observed in found if observed is not None}
