"""The end of a friend: record, route, namespace, profile, claims, and the friend's own row last.

exposures ──▶ namespace ──▶ profile.json ──▶ friendships, claims, row
                 └─ not gone yet: a reader or a reconcile run has the deletion go on

A public name never outlives what it leads to, and the row outlives everything: so long as it is
there, nobody else gets the id, and whatever dies on the way is taken up again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain import kinds
from chalicelib.domain.errors import NotFound
from chalicelib.domain.kinds import ObjectRef
from chalicelib.domain.model import FriendRecord, JsonObject
from chalicelib.domain.namespace import UID_LABEL
from chalicelib.domain.operations import DeletionStep, Operation, OperationStatus
from chalicelib.domain.ownership import is_of
from chalicelib.domain.timestamps import timestamp
from chalicelib.ports import Clusters, FriendStore, LeaseLost, OperationStore, Workspace
from chalicelib.services.execution import OutOfTurn, Turn
from chalicelib.services.publishing import Publisher


class Terminating(Exception):
    """The namespace is on its way out, and nothing can be done before it is gone."""


@dataclass(frozen=True)
class Teardown:
    """Runs deletions, step by step, under the friend's lease."""

    friends: FriendStore
    operations: OperationStore
    publisher: Publisher
    clusters: Clusters
    workspace: Workspace
    now: Callable[[], datetime]

    def run(self, operation: Operation, turn: Turn) -> None:
        """Do what is left of the deletion; in the end the friend is forgotten. Safe to repeat.

        Raises OutOfTurn when the time is over, Terminating, LeaseLost, and what an upstream raises.
        """
        record = self.friends.load(turn.friend.id)
        if record is None or record.friend.uid != turn.friend.uid:
            raise LeaseLost
        steps: dict[DeletionStep, Callable[[FriendRecord, Turn], str | None]] = {
            DeletionStep.EXPOSURES: self._take_down_exposures,
            DeletionStep.NAMESPACE: self._delete_namespace,
            DeletionStep.PROFILE: self._delete_profile,
        }
        results = list(operation.results)
        for position, (step, run) in enumerate(steps.items()):
            if results[position] is None:
                result = _result(step, left=run(record, turn))
                results[position] = result
                self.operations.checkpoint(operation, position, result, turn.owner)
        results[-1] = _result(DeletionStep.FRIEND)
        _begin(turn)
        self.operations.finish_deletion(
            turn.friend,
            replace(
                operation,
                status=OperationStatus.SUCCEEDED,
                results=tuple(results),
                finished_at=timestamp(self.now()),
            ),
            turn.owner,
        )

    def _take_down_exposures(self, record: FriendRecord, turn: Turn) -> None:
        for exposure in record.exposures:
            _begin(turn)
            try:
                self.publisher.take_down(record.friend, exposure, turn.call_deadline())
            except NotFound:
                # Another request has just taken it down.
                continue

    def _delete_namespace(self, record: FriendRecord, turn: Turn) -> str | None:
        """Delete the namespace and see that it is gone. Raises Terminating while it is not.

        One that is not the friend's is none of ours: returns what is to be said of it.
        """
        friend = record.friend
        ref = ObjectRef(kinds.NAMESPACE, friend.namespace)
        _begin(turn)
        cluster = self.clusters.open(friend.cluster, turn.call_deadline())
        namespace = cluster.get(ref)
        if namespace is None:
            return None
        if not is_of(namespace, friend):
            return (
                f"The namespace {friend.namespace} stays, with all that runs in it: by its "
                f"label {UID_LABEL} it is not this friend's. An admin has to remove it before "
                "the id can be used again."
            )
        if not namespace["metadata"].get("deletionTimestamp"):
            cluster.delete(ref, seen=namespace)
            if cluster.get(ref) is None:
                return None
        raise Terminating

    def _delete_profile(self, record: FriendRecord, turn: Turn) -> None:
        _begin(turn)
        self.workspace.delete_profile(record.friend)


def _begin(turn: Turn) -> None:
    if not turn.has_time:
        raise OutOfTurn
    turn.extend()


def _result(step: DeletionStep, *, left: str | None = None) -> JsonObject:
    if left is None:
        return {"step": step, "status": "done"}
    return {"step": step, "status": "left", "message": left}
