"""The pure Lambda functions: an event in, a report out. An event is hostile until it is parsed."""

import logging
import uuid
from collections.abc import Mapping
from typing import Any, Final

from chalicelib import logs
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import ApiError, Fault, InvalidInput, NotFound
from chalicelib.domain.fields import friend_id_fault
from chalicelib.domain.model import JsonObject
from chalicelib.domain.operations import OPERATION_ID, present_operation
from chalicelib.routes.errors import error_answer
from chalicelib.services.worker import Worker

# What follows the last call to an upstream: recording how it went, and Lambda's own clean-up.
_MARGIN_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


def run_operation(worker: Worker, event: Any, context: Any) -> JsonObject:  # noqa: ANN401 - Lambda's own types
    """Run the named friend's accepted operations; return how the named one stands.

    event is {"friend_id", "operation_id"}. Safe to deliver twice, late or by hand: what the event
    asks for is looked up, never taken from it. A bad event, and one about something that is gone,
    gets an error as its answer; what a repeat may mend is raised (Interrupted), so that Lambda
    repeats it and in the end hands it to the on-failure destination.
    """
    request_id = str(getattr(context, "aws_request_id", None) or uuid.uuid4())
    logs.request_id.set(request_id)
    try:
        friend_id, identifier = _parse(event)
        operation = worker.run(friend_id, identifier, _deadline(context))
    except (InvalidInput, NotFound) as error:
        return _refusal(error, request_id)
    _log.info("operation", extra={"operation": operation.id, "status": operation.status})
    return {"ok": True, "operation": present_operation(operation)}


def _parse(event: object) -> tuple[str, str]:
    if not isinstance(event, Mapping):
        raise _invalid([Fault("", 'The event must be {"friend_id": ..., "operation_id": ...}.')])
    known = ("friend_id", "operation_id")
    faults = [
        Fault(f"/{str(name)[:64]}", "This field is not known here; an event carries ids only.")
        for name in event
        if name not in known
    ]
    friend_id, identifier = (event.get(name) for name in known)
    fault = friend_id_fault(friend_id) if isinstance(friend_id, str) else "must be a friend's id."
    if fault:
        faults.append(Fault("/friend_id", f"friend_id {fault}"))
    if not (isinstance(identifier, str) and OPERATION_ID.fullmatch(identifier)):
        message = "operation_id must be an id that an apply has answered with."
        faults.append(Fault("/operation_id", message))
    if faults:
        raise _invalid(faults)
    return str(friend_id), str(identifier)


def _invalid(faults: list[Fault]) -> InvalidInput:
    return InvalidInput(faults[0].message, code="invalid_event", faults=tuple(faults))


def _refusal(error: ApiError, request_id: str) -> JsonObject:
    _log.warning("event refused", extra={"code": error.code})
    body: JsonObject = error_answer(error, request_id).body
    return {"ok": False, **body}


def _deadline(context: Any) -> Deadline:  # noqa: ANN401 - Lambda's context has no type of its own
    return Deadline.after(context.get_remaining_time_in_millis() / 1000 - _MARGIN_SECONDS)
