"""Operations: what was accepted for a friend, in the order in which it has to be done.

accepted ──▶ pending ──start──▶ running ──▶ succeeded | failed
                                   └─ with wait: all applied ─▶ waiting until ready ─▶ either

An operation acts on the objects of its manifests: an apply says all of them, any other verb names
its one target and nothing else (see name_target).

A friend's deletion is their last operation. It ends in success alone: until then it is tried again.

A friend's operations have consecutive sequence numbers. The friend's row keeps the number of the
last one accepted and of the last one that is applied or has failed; what lies between is pending.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, cast

from chalicelib.domain import kinds
from chalicelib.domain.errors import NotFound
from chalicelib.domain.kinds import Kind, ObjectRef, ref_of
from chalicelib.domain.model import Friend, JsonObject

if TYPE_CHECKING:  # A cold start does not load what only mypy and the description read.
    from chalicelib.domain import shown_work

OPERATION_ID: Final = re.compile(r"[0-9a-f]{11}-[0-9]{8}")
# The kinds of which the API deletes one object: each has its call.
DELETABLE: Final = (kinds.DEPLOYMENT,)
_WORDS: Final = re.compile("[A-Z][a-z]+")
# What others mount or call comes before those who do.
_RANKS: Final[tuple[tuple[Kind, ...], ...]] = (
    (kinds.CONFIG_MAP, kinds.SERVICE),
    (kinds.DEPLOYMENT, kinds.JOB, kinds.CRON_JOB),
)


class OperationType(StrEnum):
    """What an operation does."""

    APPLY = "apply"
    DELETE = "delete"
    DELETE_OBJECT = "delete_object"


class DeletionStep(StrEnum):
    """What a friend's deletion removes, in this order: no public name outlives what it leads to."""

    EXPOSURES = "exposures"
    NAMESPACE = "namespace"
    PROFILE = "profile"
    FRIEND = "friend"


class OperationStatus(StrEnum):
    """How far an operation is."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in {OperationStatus.SUCCEEDED, OperationStatus.FAILED}


@dataclass(frozen=True)
class Operation:
    """One accepted operation.

    manifests are what it was accepted with, and what a start of it returns; a read of it
    returns none. results has one entry for each manifest, or for each step of a friend's deletion,
    None until it is known. force says that an apply takes fields over that others hold of what
    this API applied before. request is the idempotency record of the POST that made it. attempts
    counts the starts since the last object that was done, and given_up tells that it failed
    because there were too many of them. applied_at is set when nothing is left to send; after
    that, judged_at is when its rollouts were last checked, and failing_since when these began to
    fail. Times are ISO 8601, UTC.
    """

    id: str
    friend_id: str
    uid: str
    sequence: int
    type: OperationType
    status: OperationStatus
    manifests: tuple[JsonObject, ...]
    results: tuple[JsonObject | None, ...]
    wait: bool
    created_at: str
    requested_by: str
    force: bool = False
    request: str | None = None
    attempts: int = 0
    applied_at: str | None = None
    finished_at: str | None = None
    error: str | None = None
    code: str | None = None
    given_up: bool = False
    judged_at: str | None = None
    failing_since: str | None = None

    @property
    def is_watched(self) -> bool:
        """Whether all is applied, and it waits for its rollouts."""
        return self.status is OperationStatus.RUNNING and self.applied_at is not None

    @property
    def is_lost(self) -> bool:
        """Whether it has failed because its row is damaged, and that is not recorded yet."""
        return self.status is OperationStatus.FAILED and self.finished_at is None


def operation_id(friend: Friend, sequence: int) -> str:
    """Return the id of the friend's operation with this number.

    Text order is the order of acceptance, also among the friends that had this id one after the
    other: it starts with the time of registration, in milliseconds since the epoch.
    """
    registered_at = datetime.fromisoformat(friend.created_at)
    return f"{int(registered_at.timestamp() * 1000):011x}-{sequence:08d}"


def build_operation(friend: Friend, sequence: int, **fields: Any) -> Operation:  # noqa: ANN401 - the fields of Operation
    """Return the friend's operation with this number, as it is accepted: nothing of it is done."""
    manifests = fields.get("manifests", ())
    is_deletion = fields["type"] is OperationType.DELETE
    return Operation(
        **{
            "id": operation_id(friend, sequence),
            "friend_id": friend.id,
            "uid": friend.uid,
            "sequence": sequence,
            "status": OperationStatus.PENDING,
            "manifests": (),
            "results": (None,) * (len(DeletionStep) if is_deletion else len(manifests)),
            "wait": False,
            **fields,
        }
    )


def name_target(ref: ObjectRef, uid: str | None) -> JsonObject:
    """Return the manifest that names one object, and with a uid only that very one."""
    metadata = {"name": ref.name, "namespace": ref.namespace}
    return {
        "apiVersion": ref.kind.api_version,
        "kind": ref.kind.name,
        "metadata": metadata if uid is None else {**metadata, "uid": uid},
    }


def operation_not_found() -> NotFound:
    """Return the answer for an operation that is not there."""
    msg = (
        "There is no operation with this id. GET /api/friends/<id>/operations lists those of the "
        "last 30 days."
    )
    return NotFound(msg, code="operation_not_found")


def target_not_found(kind: Kind) -> NotFound:
    """Return the answer for an object of the friend's that is not there."""
    words = [word.lower() for word in _WORDS.findall(kind.name)]
    msg = (
        f"There is no {' '.join(words)} with this name; GET /api/friends/<id>/namespace/status "
        "lists what is there."
    )
    return NotFound(msg, code=f"{'_'.join(words)}_not_found")


def operation_path(friend_id: str, identifier: str) -> str:
    """Return the path at which an operation is read."""
    return f"/api/friends/{friend_id}/operations/{identifier}"


def rank_manifests(manifests: tuple[JsonObject, ...]) -> list[list[int]]:
    """Return the manifests' positions, in groups that have to follow one another."""
    ranks: list[list[int]] = [[] for _ in _RANKS]
    for position, manifest in enumerate(manifests):
        kind = ref_of(manifest).kind
        number = next(number for number, rank in enumerate(_RANKS) if kind in rank)
        ranks[number].append(position)
    return [rank for rank in ranks if rank]


def present_operation(operation: Operation) -> "shown_work.Operation":
    """Return an operation as clients see it. Its manifests stay behind: the client has them."""
    # As they were recorded: what the operation made of each.
    results = cast(
        "list[shown_work.AppliedObject | shown_work.DeletedObject | shown_work.DeletedPart]",
        [each for each in operation.results if each is not None],
    )
    shown: shown_work.Operation = {
        "id": operation.id,
        "type": operation.type,
        "status": operation.status,
        "progress": {"done": len(results), "total": len(operation.results)},
        "results": results,
        "created_at": operation.created_at,
        "finished_at": operation.finished_at,
        "requested_by": operation.requested_by,
        "url": operation_path(operation.friend_id, operation.id),
    }
    if operation.error is not None:
        shown |= {"error": operation.error, "code": operation.code or "failed"}
    return shown
