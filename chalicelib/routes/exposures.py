"""Exposures and domains: HTTP in, services/exposure, HTTP out."""

from functools import partial

from chalicelib.domain.checks import present_exposure
from chalicelib.domain.exposures import ExposeRequest, exposure_name_fault, parse_expose
from chalicelib.routes.http import Answer, Request, invalid
from chalicelib.routes.idempotency import Attempt, once
from chalicelib.routes.services import Services
from chalicelib.services.exposure import Exposed


def expose(services: Services, request: Request) -> Answer:
    """POST .../namespace/expose: put a service on the web, and say whether it works."""
    friend_id = request.friend_id()
    request.only_parameters("dry_run")
    dry_run = request.flag("dry_run")
    body = request.json_object()
    wanted = parse_expose(body, services.exposures.domains, friend_id)
    permit = partial(services.access.load, request.principal, friend_id)
    run = partial(_expose, services, request, friend_id, wanted, dry_run)
    return once(services.answers, request, body, run, permit)


def list_exposures(services: Services, request: Request) -> Answer:
    """GET .../namespace/expose: what is on the web, and whether it works."""
    friend_id = request.friend_id()
    request.only_parameters()
    exposed = services.exposures.list_all(request.principal, friend_id, request.deadline)
    return Answer([present_exposure(each.exposure, each.checks) for each in exposed])


def unexpose(services: Services, request: Request) -> Answer:
    """DELETE .../namespace/expose/{name}: take it off the web and leave nothing behind."""
    friend_id, name = request.friend_id(), _name(request)
    request.only_parameters("dry_run")
    dry_run = request.flag("dry_run")
    request.no_body()
    services.exposures.remove(request.principal, friend_id, name, request.deadline, dry_run=dry_run)
    return Answer({"ok": True, "dry_run": True} if dry_run else {"ok": True})


def list_domains(services: Services, request: Request) -> Answer:
    """GET /api/domains: what one may expose on; the first is the default."""
    request.only_parameters()
    return Answer([{"name": each.name} for each in services.exposures.domains])


def _expose(
    services: Services,
    request: Request,
    friend_id: str,
    wanted: ExposeRequest,
    dry_run: bool,  # noqa: FBT001 - bound by position in partial
    _: Attempt,
) -> Answer:
    exposed = services.exposures.expose(
        request.principal, friend_id, wanted, request.deadline, dry_run=dry_run
    )
    rehearsed = {"dry_run": True} if dry_run else {}
    return Answer({"ok": True, **rehearsed, **_present(exposed)})


def _present(exposed: Exposed) -> dict[str, object]:
    return present_exposure(exposed.exposure, exposed.checks)


def _name(request: Request) -> str:
    value = request.path["name"]
    if fault := exposure_name_fault(value):
        raise invalid("path:name", f"The name in the path {fault}")
    return value
