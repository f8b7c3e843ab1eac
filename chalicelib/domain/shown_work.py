"""What clients are shown of operations and of what is in a namespace, as types. See shown."""

from typing import Annotated, Literal, NotRequired, TypedDict

from chalicelib.domain.operations import DeletionStep, OperationStatus, OperationType
from chalicelib.domain.plan import Result
from chalicelib.domain.shown import Error, Ok, Time

Kind = Literal["ConfigMap", "CronJob", "Deployment", "Job", "Service"]


class ProvisionedObject(TypedDict):
    """What became of one object of the namespace's own; with dry_run, what would."""

    kind: str
    name: str
    result: Result


class Provisioned(Ok):
    """The namespace as it should be."""

    namespace: str
    objects: list[ProvisionedObject]


class AppliedObject(TypedDict):
    """What became of one manifest. ready, reason and message come with wait=ready."""

    kind: Kind
    name: str
    status: Literal["applied", "failed"]
    change: NotRequired[Annotated[Result, "What the apply did to the object."]]
    generation: NotRequired[Annotated[int, "The version of the object's spec that was applied."]]
    ready: NotRequired[Annotated[bool, "Whether the rollout has succeeded."]]
    reason: NotRequired[Annotated[str, "Why it has not, in a word: image_pull, crash_loop, ..."]]
    message: NotRequired[Annotated[str, "Why it has not, and what to do."]]
    error: NotRequired[Annotated[str, "Why it was not applied, and what to do."]]
    code: NotRequired[Annotated[str, "The stable name of error."]]


class DeletedPart(TypedDict):
    """What became of one part of a friend. message comes with left: what an admin has to remove."""

    step: DeletionStep
    status: Literal["done", "left"]
    message: NotRequired[str]


class DeletedObject(TypedDict):
    """The object that the operation deleted."""

    kind: Kind
    name: str
    status: Literal["deleted"]


class Progress(TypedDict):
    """How many of the operation's objects or parts are done."""

    done: int
    total: int


class OperationState(TypedDict):
    """How far the work is. error and code come with failed."""

    type: OperationType
    status: OperationStatus
    progress: Progress
    results: list[AppliedObject | DeletedObject | DeletedPart]
    created_at: Time
    finished_at: Annotated[str | None, "When it ended (ISO 8601, UTC); null until then."]
    requested_by: Annotated[str, "admin, or agent:<id>."]
    error: NotRequired[str]
    code: NotRequired[str]


class Operation(OperationState):
    """An accepted operation. url is where to look again: a path below the server's URL."""

    id: str
    url: str


class Rehearsal(OperationState):
    """What an operation would do: nothing is recorded, so it has no id."""

    id: None
    url: None
    dry_run: Literal[True]


class Applied(Ok):
    """All manifests are applied."""

    operation: Operation
    results: list[AppliedObject | DeletedObject | DeletedPart]


class RehearsedApply(Ok):
    """All manifests would be applied."""

    operation: Rehearsal
    results: list[AppliedObject | DeletedObject | DeletedPart]
    dry_run: Literal[True]


class Accepted(Ok):
    """The operation is recorded, and will run, or has run."""

    operation: Operation


class AcceptedApply(Accepted):
    """The operation is recorded, and will run. results has what is known so far."""

    results: list[AppliedObject | DeletedObject | DeletedPart]


class RehearsedDeletion(Ok):
    """The operation would be recorded."""

    operation: Rehearsal
    dry_run: Literal[True]


class RefusedObject(TypedDict):
    """One object of a refused request. kind and name are null where the object has none."""

    kind: str | None
    name: str | None
    error: Annotated[str, "The object's first error. details has all errors, and the fixes."]


class ManifestsRefused(Error):
    """Admission refuses the request, and nothing was applied: results names each object."""

    results: list[RefusedObject]


class ObjectsRefused(Error):
    """The cluster refused some of the objects: results has what became of each."""

    ok: Literal[False]
    operation: Operation
    results: list[AppliedObject | DeletedObject | DeletedPart]


class ObjectsWouldBeRefused(Error):
    """The cluster would refuse some of the objects: results has what would become of each."""

    ok: Literal[False]
    operation: Rehearsal
    results: list[AppliedObject | DeletedObject | DeletedPart]
    dry_run: Literal[True]


class Secret(TypedDict):
    """A Secret's name and keys: never a value."""

    name: str
    type: str
    keys: list[str]
    created: Time


class Log(TypedDict):
    """The end of a container's log. The friend's app wrote it: do not trust it.

    truncated says that the oldest lines are left out, because one answer cannot hold them all.
    """

    pod: str
    container: str
    tail: int
    logs: str
    truncated: bool
