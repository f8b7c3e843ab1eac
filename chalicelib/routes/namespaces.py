"""The namespace's routes: HTTP in, services/namespaces and services/friends, HTTP out."""

from functools import partial
from typing import TYPE_CHECKING, Final

from chalicelib.domain.model import Friend
from chalicelib.domain.plan import Change
from chalicelib.ports import SecretSummary
from chalicelib.routes.declarations import (
    DRY_RUN,
    FRIEND_ID,
    OBJECT_NAME,
    flag,
    path_text,
    query_text,
    whole_number,
)
from chalicelib.routes.http import Answer, Request
from chalicelib.routes.idempotency import Attempt, once
from chalicelib.routes.services import Services
from chalicelib.services.namespaces import LogRequest

if TYPE_CHECKING:  # A cold start does not load what only mypy and the description read.
    from chalicelib.domain import shown_work

_DEFAULT_TAIL: Final = 100
_LONGEST_TAIL: Final = 500
_PLAIN_TEXT: Final = "text/plain"

POD: Final = path_text("pod", OBJECT_NAME, "The pod's name.")
TAIL: Final = whole_number(
    "tail", f"How many lines, from the end: {_DEFAULT_TAIL} if left out, {_LONGEST_TAIL} at most."
)
CONTAINER: Final = query_text(
    "container", OBJECT_NAME, "Which container; the pod's first if left out."
)
PREVIOUS: Final = flag("previous", "The log of the run before the last restart.")
SINCE_SECONDS: Final = whole_number(
    "since_seconds", "Only what was written in so many seconds.", most=2**31 - 1
)


def provision(services: Services, request: Request) -> Answer:
    """POST .../namespace/provision: make the namespace what it should be."""
    friend = _friend(services, request)
    run = partial(_provision, services, request, friend)
    return once(services.answers, request, None, run)


def list_pods(services: Services, request: Request) -> Answer:
    """GET .../namespace/pods: list the pods, and why those that do not run do not."""
    return Answer(services.namespaces.list_pods(_friend(services, request), request.deadline))


def status(services: Services, request: Request) -> Answer:
    """GET .../namespace/status: read everything about the namespace, and why what does not run."""
    return Answer(services.namespaces.status(_friend(services, request), request.deadline))


def list_secrets(services: Services, request: Request) -> Answer:
    """GET .../secrets: list names, types and keys; never a value."""
    friend = _friend(services, request)
    secrets = services.namespaces.list_secrets(friend, request.deadline)
    return Answer([_present_secret(each) for each in secrets])


def read_log(services: Services, request: Request) -> Answer:
    """GET .../namespace/logs/{pod}: read the end of a container's log, as JSON or plain text."""
    friend, wanted = _friend(services, request), _log_request(request)
    log = services.namespaces.read_log(friend, wanted, request.deadline)
    if _wants_text(request):
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        headers |= {"X-Log-Truncated": "true"} if log.truncated else {}
        return Answer(log.text, headers=headers)
    body: shown_work.Log = {
        "pod": log.pod,
        "container": log.container,
        "tail": log.tail,
        "logs": log.text,
        "truncated": log.truncated,
    }
    return Answer(body)


def _friend(services: Services, request: Request) -> Friend:
    return services.access.load(request.principal, request.get(FRIEND_ID)).friend


def _provision(services: Services, request: Request, friend: Friend, _: Attempt) -> Answer:
    dry_run = request.get(DRY_RUN)
    changes = services.friends.provision(friend, request.deadline, dry_run=dry_run)
    body: shown_work.Provisioned = {
        "ok": True,
        "namespace": friend.namespace,
        "objects": [_present_change(change) for change in changes],
    }
    return Answer(body)


def _present_change(change: Change) -> "shown_work.ProvisionedObject":
    return {
        "kind": change.ref.kind.name,
        "name": change.ref.name,
        "result": change.result,
    }


def _present_secret(secret: SecretSummary) -> "shown_work.Secret":
    return {
        "name": secret.name,
        "type": secret.type,
        "keys": list(secret.keys),
        "created": secret.created,
    }


def _log_request(request: Request) -> LogRequest:
    return LogRequest(
        pod=request.get(POD),
        tail=min(request.get(TAIL) or _DEFAULT_TAIL, _LONGEST_TAIL),
        container=request.get(CONTAINER),
        previous=request.get(PREVIOUS),
        since_seconds=request.get(SINCE_SECONDS),
    )


def _wants_text(request: Request) -> bool:
    # Several lines are one list: RFC 9110, 5.3.
    accepted = ",".join(request.headers.get("accept", ())).split(",")[0]
    return accepted.partition(";")[0].strip().lower() == _PLAIN_TEXT
