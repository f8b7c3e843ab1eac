"""Exposures and domains: HTTP in, services/exposure, HTTP out."""

from functools import partial
from typing import TYPE_CHECKING, Final

from chalicelib.domain.checks import present_checked
from chalicelib.domain.exposures import EXPOSURE_NAME, ExposeRequest, parse_expose
from chalicelib.routes.declarations import DRY_RUN, FRIEND_ID, flag, path_text
from chalicelib.routes.http import Answer, Request
from chalicelib.routes.idempotency import Attempt, once
from chalicelib.routes.services import Services

if TYPE_CHECKING:  # A cold start does not load what only mypy and the description read.
    from chalicelib.domain import shown

NAME: Final = path_text("name", EXPOSURE_NAME, "The exposure's name.")
CHECK: Final = flag(
    "check",
    "Check each exposure now, at most once in 30 seconds for a friend; otherwise the answer has "
    "the last recorded checks.",
)


def expose(services: Services, request: Request) -> Answer:
    """POST .../namespace/expose: put a service on the web, and say whether it works."""
    friend_id, dry_run = request.get(FRIEND_ID), request.get(DRY_RUN)
    body = request.json_object()
    wanted = parse_expose(body, services.exposures.domains, friend_id)
    permit = partial(services.access.load, request.principal, friend_id)
    run = partial(_expose, services, request, friend_id, wanted, dry_run)
    return once(services.answers, request, body, run, permit)


def list_exposures(services: Services, request: Request) -> Answer:
    """GET .../namespace/expose: list what is on the web, and whether it works."""
    friend_id, check = request.get(FRIEND_ID), request.get(CHECK)
    exposures = services.exposures.list_all(
        request.principal, friend_id, request.deadline, check=check
    )
    return Answer([present_checked(each) for each in exposures])


def unexpose(services: Services, request: Request) -> Answer:
    """DELETE .../namespace/expose/{name}: take it off the web and leave nothing behind."""
    friend_id, name = request.get(FRIEND_ID), request.get(NAME)
    dry_run = request.get(DRY_RUN)
    services.exposures.remove(request.principal, friend_id, name, request.deadline, dry_run=dry_run)
    return Answer({"ok": True, "dry_run": True} if dry_run else {"ok": True})


def list_domains(services: Services, _: Request) -> Answer:
    """GET /api/domains: list what one may expose on; the first is the default."""
    body: list[shown.Domain] = [{"name": each.name} for each in services.exposures.domains]
    return Answer(body)


def _expose(
    services: Services,
    request: Request,
    friend_id: str,
    wanted: ExposeRequest,
    dry_run: bool,  # noqa: FBT001 - bound by position in partial
    _: Attempt,
) -> Answer:
    exposure = services.exposures.expose(
        request.principal, friend_id, wanted, request.deadline, dry_run=dry_run
    )
    body: shown.Exposed = {"ok": True, **present_checked(exposure)}
    if dry_run:
        rehearsed: shown.RehearsedExposure = {**body, "dry_run": True}
        return Answer(rehearsed)
    return Answer(body)
