"""The pure Lambda functions: an event in, a report out, for the schedule and for the console."""

import logging
import uuid
from typing import Any, Final

from chalicelib import logs
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import ApiError, InvalidInput, NotFound
from chalicelib.domain.model import JsonObject
from chalicelib.domain.operations import present_operation
from chalicelib.routes.errors import error_answer, error_body
from chalicelib.routes.events import ReconcileEvent, parse_reconcile, parse_run_operation
from chalicelib.services.reconciling import Reconciler
from chalicelib.services.worker import Interrupted, Worker

# What follows the last call to an upstream: recording how it went, and Lambda's own clean-up.
_MARGIN_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


def run_operation(worker: Worker, event: Any, context: Any) -> JsonObject:  # noqa: ANN401 - Lambda's own types
    """Run the named friend's accepted operations; return how the named one stands.

    event is {"friend_id", "operation_id"}. Safe to deliver twice, late or by hand: what the event
    asks for is looked up, never taken from it. A bad event, and one about something that is gone,
    gets an error as its answer; what a repeat may mend is raised (Interrupted), so that Lambda
    repeats it and in the end hands it to the on-failure destination. So is what was given up.
    """
    request_id = _begin(context)
    try:
        friend_id, identifier = parse_run_operation(event)
        operation = worker.run(friend_id, identifier, _deadline(context))
    except (InvalidInput, NotFound) as error:
        return _refusal(error, request_id)
    except Interrupted:
        raise
    except Exception:  # noqa: BLE001 - the last resort: what a bug says may hold anything
        _log.exception("unexpected error")
        # Lambda logs what is raised, and writes it into the event of the failure.
        raise Interrupted("internal_error") from None
    _log.info("operation", extra={"operation": operation.id, "status": operation.status})
    return {"ok": True, "operation": present_operation(operation)}


def reconcile(reconciler: Reconciler, event: Any, context: Any) -> JsonObject:  # noqa: ANN401 - Lambda's own types
    """Converge everything, or the friends that the event names, and return a report.

    event is the schedule's, {} (a whole pass), {"friend_id"}, or {"friends": {id: [parts]}} as one
    invocation hands work to another; {"dry_run": true} plans and changes nothing. Safe to repeat:
    what is as recorded is not touched. A pass that finds another under way does nothing. Whatever
    goes wrong is in the answer, and in the metrics that the alarms watch: the schedule comes again.
    """
    request_id = _begin(context)
    try:
        asked = parse_reconcile(event)
        report = _reconcile(reconciler, asked, _deadline(context))
    except InvalidInput as error:
        return _refusal(error, request_id)
    except ApiError as error:
        logs.measure(Passes=1, FailedPasses=1)
        return _refusal(error, request_id)
    except Exception:  # noqa: BLE001 - the last resort: a bug is logged, and answered as one
        _log.exception("unexpected error")
        logs.measure(Passes=1, FailedPasses=1)
        message = "Something went wrong inside the API. Its log has a traceback."
        return {"ok": False, **error_body(message, "internal_error", request_id)}
    if report is None:
        logs.measure(SkippedPasses=1)
        return {"ok": True, "skipped": "Another pass is under way: it does all that is to be done."}
    _log.info("reconciled", extra={"report": report})
    if not asked.dry_run:
        _measure(report, is_whole=asked.is_whole)
        if asked.is_whole:
            for cluster, days in reconciler.credentials.days_left():
                logs.measure({"Cluster": cluster}, CredentialDaysLeft=days)
    return report


def _reconcile(
    reconciler: Reconciler, asked: ReconcileEvent, deadline: Deadline
) -> JsonObject | None:
    if asked.friend_id is not None:
        return reconciler.converge_friend(asked.friend_id, deadline, dry_run=asked.dry_run)
    if asked.friends:
        return reconciler.converge(asked.friends, deadline, dry_run=asked.dry_run)
    # Not the request's id: an event that is delivered twice has one, and two passes.
    return reconciler.run_pass(uuid.uuid4().hex, deadline, dry_run=asked.dry_run)


def _measure(report: JsonObject, *, is_whole: bool) -> None:
    counts = {name: len(report[name]) for name in ("repaired", "failed", "refused")}
    counts |= {name: counts[name] + more for name, more in report["left_out"].items()}
    measured = {
        "Repairs": counts["repaired"],
        "Failures": counts["failed"],
        "Refusals": counts["refused"],
    }
    if is_whole:
        measured |= {
            "Passes": 1,
            "FailedPasses": 0,
            "Friends": report["checked"],
            "Orphans": report["orphans"],
        }
        oldest = report.get("oldest_unfinished_operation_seconds")
        if oldest is not None:
            measured["OldestUnfinishedOperationSeconds"] = oldest
    logs.measure(**measured)


def _begin(context: Any) -> str:  # noqa: ANN401 - Lambda's context has no type of its own
    request_id = str(getattr(context, "aws_request_id", None) or uuid.uuid4())
    logs.request_id.set(request_id)
    return request_id


def _refusal(error: ApiError, request_id: str) -> JsonObject:
    _log.warning("event refused", extra={"code": error.code})
    body: JsonObject = error_answer(error, request_id).body
    return {"ok": False, **body}


def _deadline(context: Any) -> Deadline:  # noqa: ANN401 - Lambda's context has no type of its own
    return Deadline.after(context.get_remaining_time_in_millis() / 1000 - _MARGIN_SECONDS)
