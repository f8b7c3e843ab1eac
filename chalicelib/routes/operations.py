"""Operations, and what becomes one: HTTP in, admission and services/operations, HTTP out."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from chalicelib.domain import kinds
from chalicelib.domain.admission import MOST_MANIFESTS, admit
from chalicelib.domain.errors import Conflict, Refused
from chalicelib.domain.kinds import Kind
from chalicelib.domain.operations import (
    OPERATION_ID,
    Operation,
    OperationStatus,
    operation_path,
    present_operation,
)
from chalicelib.domain.rules import Rule
from chalicelib.domain.tiers import DEFAULT_TIER, TIERS
from chalicelib.routes.declarations import (
    DRY_RUN,
    FRIEND_ID,
    OBJECT_NAME,
    PREFER,
    RESPOND_ASYNC,
    flag,
    matching,
    path_text,
    query_text,
    whole_number,
)
from chalicelib.routes.errors import error_body
from chalicelib.routes.http import Answer, Request, invalid
from chalicelib.routes.idempotency import Attempt, once
from chalicelib.routes.parameters import Parameter, Place
from chalicelib.routes.services import Services
from chalicelib.services.operations import ApplyRequest, DeletionRequest

if TYPE_CHECKING:  # A cold start does not load what only mypy and the description read.
    from chalicelib.domain import shown_work

_READY: Final = "ready"
# What the cluster says of the object itself.
_OF_THE_OBJECT: Final = frozenset({"cluster_policy", "cluster_refused", "quota_exceeded"})
_USUAL_PAGE: Final = 20
_LARGEST_PAGE: Final = 50

WAIT: Final = Parameter[bool](
    "wait",
    Place.QUERY,
    Rule(
        lambda text: None if text == _READY else "must be ready, or be left out.",
        {"type": "string", "enum": [_READY]},
    ),
    "ready: answer 202; the operation ends when its rollouts and Jobs have. Poll it until then.",
    bool,
    default=False,
)
HARDEN: Final = flag("harden", "Fill in what the restricted Pod Security Standard requires.")
FORCE: Final = flag(
    "force",
    "Take over fields that other managers (such as kubectl) own, of objects that this API applied "
    "before.",
)
LIMIT: Final = whole_number(
    "limit", f"The most operations on the page; {_USUAL_PAGE} if left out.", most=_LARGEST_PAGE
)
CURSOR: Final = query_text(
    "cursor",
    matching(OPERATION_ID, "must be the one from the Link header of the page before."),
    "Where the page starts: from the Link header of the page before.",
)
OPERATION: Final = path_text(
    "operation_id",
    matching(OPERATION_ID, "must be an id that an apply or a deletion has answered with."),
    "The operation's id.",
)
DEPLOYMENT: Final = path_text("name", OBJECT_NAME, "The deployment's name.")
CONFIRM: Final = Parameter[str](
    "confirm",
    Place.QUERY,
    FRIEND_ID.rule,
    "The friend's id once more, because a deletion cannot be undone.",
    str,
    "",
    required=True,
)


def apply(services: Services, request: Request) -> Answer:
    """POST .../namespace/apply: admit everything, then apply it now or hand it on."""
    friend_id = request.get(FRIEND_ID)
    dry_run, wait = request.get(DRY_RUN), request.get(WAIT)
    if dry_run and wait:
        raise invalid("?wait", "A dry run answers at once: leave wait out.")
    body = request.json_value()
    # Every friend has this tier; admission needs nothing of the row, so it asks nobody.
    tier = TIERS[DEFAULT_TIER]
    manifests = admit(
        _manifests_in(body),
        friend_id=friend_id,
        tier=tier,
        reserved_labels=services.reserved_labels,
        harden=request.get(HARDEN),
    )
    wanted = ApplyRequest(
        friend_id=friend_id,
        manifests=manifests,
        wait=wait,
        force=request.get(FORCE),
        respond_async=RESPOND_ASYNC in request.get(PREFER),
    )
    permit = partial(services.access.load, request.principal, friend_id)
    run = partial(_rehearse if dry_run else _apply, services, request, wanted)
    return once(services.answers, request, body, run, permit)


def get_operation(services: Services, request: Request) -> Answer:
    """GET .../operations/{operation_id}: read how far an operation is."""
    friend_id, identifier = request.get(FRIEND_ID), request.get(OPERATION)
    operation = services.operations.get(request.principal, friend_id, identifier, request.deadline)
    headers = {} if operation.status.is_final else {"Retry-After": "2"}
    return Answer(present_operation(operation), headers=headers)


def list_operations(services: Services, request: Request) -> Answer:
    """GET .../operations: list them, the newest first."""
    limit, before = request.get(LIMIT) or _USUAL_PAGE, request.get(CURSOR)
    friend = services.access.load(request.principal, request.get(FRIEND_ID)).friend
    found = services.operations.list_newest(friend, limit=limit + 1, before=before)
    page, headers = found[:limit], {}
    if len(found) > limit:
        headers["Link"] = request.link_to_next(limit=limit, cursor=page[-1].id)
    return Answer([present_operation(each) for each in page], headers=headers)


def delete_friend(services: Services, request: Request) -> Answer:
    """DELETE /api/friends/{id}?confirm={id}: begin to delete them and all that is theirs."""
    friend_id, dry_run = request.get(FRIEND_ID), request.get(DRY_RUN)
    if request.get(CONFIRM) != friend_id:
        message = "Repeat the friend's id as ?confirm=<id>: a deletion cannot be undone."
        raise invalid("?confirm", message)
    operation = services.operations.delete(request.principal, friend_id, dry_run=dry_run)
    answer = _accepted(request, operation)
    return _as_dry_run(answer) if dry_run else answer


def delete_deployment(services: Services, request: Request) -> Answer:
    """DELETE .../namespace/deployments/{name}: delete it and its pods, as an operation.

    Operations of the friend that were accepted before it run first. If none is unfinished, a
    missing deployment is 404 at once. Otherwise the deletion's own operation fails with that code.
    """
    return _delete_object(services, request, kinds.DEPLOYMENT, request.get(DEPLOYMENT))


def _delete_object(services: Services, request: Request, kind: Kind, name: str) -> Answer:
    respond_async = RESPOND_ASYNC in request.get(PREFER)
    wanted = DeletionRequest(request.get(FRIEND_ID), kind, name, respond_async)
    if request.get(DRY_RUN):
        operation = services.operations.rehearse_deletion(
            request.principal, wanted, request.deadline
        )
        return _as_dry_run(_verb_answer(request, operation))
    operation = services.operations.delete_object(request.principal, wanted, request.deadline)
    return _verb_answer(request, operation)


def _verb_answer(request: Request, operation: Operation) -> Answer:
    """Return the answer of an operation on one object, which succeeds or fails as a whole."""
    if operation.status is OperationStatus.SUCCEEDED:
        body: shown_work.Accepted = {"ok": True, "operation": present_operation(operation)}
        return Answer(body)
    if operation.status is OperationStatus.FAILED:
        named = Refused if operation.code in _OF_THE_OBJECT else Conflict
        raise named(operation.error or "", code=operation.code)
    return _accepted(request, operation)


def _apply(services: Services, request: Request, wanted: ApplyRequest, attempt: Attempt) -> Answer:
    asked = wanted.by(attempt.record, is_repeat=attempt.is_repeat)
    operation = services.operations.apply(request.principal, asked, request.deadline)
    return _answer(request, operation)


def _rehearse(services: Services, request: Request, wanted: ApplyRequest, _: Attempt) -> Answer:
    operation = services.operations.rehearse(request.principal, wanted, request.deadline)
    return _as_dry_run(_answer(request, operation))


def _as_dry_run(answer: Answer) -> Answer:
    """Return the answer of what was only tried: there is no operation to look at."""
    shown = answer.body["operation"] | {"id": None, "url": None, "dry_run": True}
    return Answer(answer.body | {"dry_run": True, "operation": shown}, answer.status)


def _answer(request: Request, operation: Operation) -> Answer:
    shown = present_operation(operation)
    if operation.status is OperationStatus.SUCCEEDED:
        body: shown_work.Applied = {"ok": True, "operation": shown, "results": shown["results"]}
        return Answer(body)
    if operation.status is OperationStatus.FAILED:
        return _failure(request, operation, shown)
    answer = _accepted(request, operation)
    return replace(answer, body=answer.body | {"results": shown["results"]})


def _accepted(request: Request, operation: Operation) -> Answer:
    path = operation_path(operation.friend_id, operation.id)
    headers = {"Location": path, "Retry-After": "2"}
    if RESPOND_ASYNC in request.get(PREFER):
        headers["Preference-Applied"] = RESPOND_ASYNC
    body: shown_work.Accepted = {"ok": True, "operation": present_operation(operation)}
    return Answer(body, HTTPStatus.ACCEPTED, headers)


def _failure(request: Request, operation: Operation, shown: "shown_work.Operation") -> Answer:
    """Return the refusal of some objects, with what became of each; raise what concerns all."""
    if not shown["results"]:
        raise Conflict(operation.error or "", code=operation.code)
    body: shown_work.ObjectsRefused = {
        **error_body(operation.error or "", operation.code or "", request.request_id),
        "ok": False,
        "operation": shown,
        "results": shown["results"],
    }
    failed = [each for each in shown["results"] if each["status"] == "failed"]
    body["details"] = [
        {"path": f"{each['kind']}/{each['name']}", "message": each["error"]} for each in failed
    ]
    return Answer(body, HTTPStatus.UNPROCESSABLE_ENTITY)


def _manifests_in(body: object) -> Sequence[tuple[str, object]]:
    """Return each manifest of the body with its JSON pointer."""
    at, manifests = "", body
    if isinstance(body, dict) and set(body) == {"manifests"}:
        at, manifests = "/manifests", body["manifests"]
    if manifests == []:
        raise invalid(at, f"Send 1 to {MOST_MANIFESTS} manifests in one request.")
    if isinstance(manifests, list):
        return [(f"{at}/{position}", each) for position, each in enumerate(manifests)]
    if isinstance(manifests, dict):
        return [(at, manifests)]
    message = 'The body must be a manifest, an array of manifests, or {"manifests": [...]}.'
    raise invalid(at, message)
