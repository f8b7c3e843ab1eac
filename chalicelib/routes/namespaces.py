"""The namespace's routes: HTTP in, services/namespaces and services/friends, HTTP out."""

from functools import partial
from http import HTTPStatus
from typing import Final

from chalicelib.domain.model import Friend, JsonObject
from chalicelib.domain.plan import Change
from chalicelib.ports import SecretSummary
from chalicelib.routes.http import Answer, Request, invalid, is_object_name
from chalicelib.routes.idempotency import Attempt, once
from chalicelib.routes.services import Services
from chalicelib.services.namespaces import LogRequest

_DEFAULT_TAIL: Final = 100
_LONGEST_TAIL: Final = 500
_PLAIN_TEXT: Final = "text/plain"


def provision(services: Services, request: Request) -> Answer:
    """POST .../namespace/provision: make the namespace what it should be."""
    friend_id = request.friend_id()
    request.only_parameters("dry_run")
    dry_run = request.flag("dry_run")
    request.no_body()
    friend = services.access.load(request.principal, friend_id).friend
    run = partial(_provision, services, request, friend, dry_run)
    return once(services.answers, request, None, run)


def list_pods(services: Services, request: Request) -> Answer:
    """GET .../namespace/pods."""
    return Answer(services.namespaces.list_pods(_friend(services, request), request.deadline))


def status(services: Services, request: Request) -> Answer:
    """GET .../namespace/status: everything about the namespace, and why what does not run."""
    return Answer(services.namespaces.status(_friend(services, request), request.deadline))


def list_secrets(services: Services, request: Request) -> Answer:
    """GET .../secrets: names, types and keys; never a value."""
    friend = _friend(services, request)
    secrets = services.namespaces.list_secrets(friend, request.deadline)
    return Answer([_present_secret(each) for each in secrets])


def read_log(services: Services, request: Request) -> Answer:
    """GET .../namespace/logs/{pod}: the end of a container's log, as JSON or plain text."""
    friend_id = request.friend_id()
    wanted = _log_request(request)
    friend = services.access.load(request.principal, friend_id).friend
    log = services.namespaces.read_log(friend, wanted, request.deadline)
    if _wants_text(request):
        return Answer(log.text, headers={"Content-Type": "text/plain; charset=utf-8"})
    body = {"pod": log.pod, "container": log.container, "tail": log.tail, "logs": log.text}
    return Answer(body)


def delete_deployment(services: Services, request: Request) -> Answer:
    """DELETE .../namespace/deployments/{name}."""
    friend_id, name = request.friend_id(), request.object_name("name")
    request.only_parameters()
    request.no_body()
    friend = services.access.load(request.principal, friend_id).friend
    services.namespaces.delete_deployment(friend, name, request.deadline)
    return Answer({"ok": True})


def _friend(services: Services, request: Request) -> Friend:
    friend_id = request.friend_id()
    request.only_parameters()
    return services.access.load(request.principal, friend_id).friend


def _provision(
    services: Services,
    request: Request,
    friend: Friend,
    dry_run: bool,  # noqa: FBT001 - bound by position in partial
    _: Attempt,
) -> Answer:
    changes = services.friends.provision(friend, request.deadline, dry_run=dry_run)
    objects = [_present_change(change) for change in changes]
    return Answer({"ok": True, "namespace": friend.namespace, "objects": objects}, HTTPStatus.OK)


def _present_change(change: Change) -> JsonObject:
    return {
        "kind": change.ref.kind.name,
        "name": change.ref.name,
        "result": change.result,
    }


def _present_secret(secret: SecretSummary) -> JsonObject:
    return {
        "name": secret.name,
        "type": secret.type,
        "keys": list(secret.keys),
        "created": secret.created,
    }


def _log_request(request: Request) -> LogRequest:
    pod = request.object_name("pod")
    request.only_parameters("tail", "container", "previous", "since_seconds")
    container = request.parameter("container")
    if container is not None and not is_object_name(container):
        raise invalid("?container", "container must be the name of a container of the pod.")
    tail = request.whole_number("tail", least=1) or _DEFAULT_TAIL
    return LogRequest(
        pod=pod,
        tail=min(tail, _LONGEST_TAIL),
        container=container,
        previous=request.flag("previous"),
        since_seconds=request.whole_number("since_seconds", least=1, most=2**31 - 1),
    )


def _wants_text(request: Request) -> bool:
    accepted = (request.header("Accept") or "").split(",")[0]
    return accepted.partition(";")[0].strip().lower() == _PLAIN_TEXT
