"""From API Gateway's event to a view and back: what happens to every request alike."""

import base64
import binascii
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from chalice.app import Chalice, Response
from chalice.app import Request as ChaliceRequest

from chalicelib import logs
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import ApiError, Unauthenticated
from chalicelib.domain.model import Principal
from chalicelib.routes.authentication import authenticate
from chalicelib.routes.errors import error_answer, error_body
from chalicelib.routes.http import Answer, Request
from chalicelib.routes.locations import base_path_of, with_base_path
from chalicelib.routes.parameters import Sent, read_parameters
from chalicelib.routes.services import Services
from chalicelib.routes.table import ROUTES, Access, Route
from chalicelib.routes.throttle import network_of

_log = logging.getLogger(__name__)

# API Gateway gives up after 29 s; an answer that is late by a millisecond is no answer. The margin
# is for what follows the last call to a cluster: recording how it went.
_MOST_SECONDS: Final = 29.0
_MARGIN_SECONDS: Final = 3.0
_HEADERS: Final = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # A year. Not for subdomains: below a domain of the API's own they may be somebody else's.
    "Strict-Transport-Security": "max-age=31536000",
}
_REFUSALS: Final = {
    405: ("This path does not take this method.", "method_not_allowed"),
}
_OTHER_REFUSAL: Final = ("The API could not read this request.", "unreadable_request")


def register(app: Chalice, services: Services) -> None:
    """Make every route of the table a route of the app."""
    for route in ROUTES:
        # No content types for Chalice to check: its refusal has another shape than ours.
        decorate = app.route(
            route.path,
            methods=[route.method],
            name=f"{route.method} {route.path}",
            content_types=[],
        )
        decorate(_endpoint(app, services, route))
    app.middleware("http")(_reshape)


def _endpoint(app: Chalice, services: Services, route: Route) -> Callable[..., Response]:
    def endpoint(**path: str) -> Response:
        event = cast("ChaliceRequest", app.current_request).to_original_event()
        return handle(services, route, event, path, app.lambda_context)

    return endpoint


def handle(
    services: Services,
    route: Route,
    event: Mapping[str, Any],
    path: Mapping[str, str],
    context: Any,  # noqa: ANN401 - Lambda's context has no type of its own
) -> Response:
    """Answer one request. Whatever happens, the answer has the contract's shape."""
    started = time.monotonic()
    told = event["requestContext"]
    base_path = base_path_of(route.path, told, services.gateway_path)
    request_id = str(told.get("requestId") or uuid.uuid4())
    logs.request_id.set(request_id)
    caller: Principal | None = None
    try:
        headers = _headers(event)
        if route.access is not Access.PUBLIC:
            caller = _authenticate(services, headers, event)
            services.requests.take(caller.token_id)
        sent = Sent(path, event.get("multiValueQueryStringParameters") or {}, headers)
        request = Request(
            method=route.method,
            route=route.path,
            path=path,
            query=sent.query,
            headers=headers,
            values=read_parameters(route.takes, sent),
            raw_body=_body(event),
            deadline=_deadline(context),
            request_id=request_id,
            domain_name=str(told.get("domainName") or ""),
            base_path=base_path,
            caller=caller,
        )
        if route.body is None and route.method != "GET":
            request.no_body()
        answer = route.view(services, request)
    except ApiError as error:
        answer = error_answer(error, request_id)
    except Exception:  # noqa: BLE001 - the last resort: a bug is logged, and answered as one
        _log.exception("unexpected error")
        answer = _bug(request_id)
    _log_access(route, answer, caller, started)
    headers_out: dict[str, str | list[str]] = {
        **_HEADERS,
        "X-Request-Id": request_id,
        **with_base_path(answer.headers, base_path),
    }
    return Response(answer.text(), headers=headers_out, status_code=int(answer.status))


def _authenticate(
    services: Services, headers: Mapping[str, Sequence[str]], event: Mapping[str, Any]
) -> Principal:
    """Return who is calling. Raises Unauthenticated, and TooManyRequests for one who guesses on.

    The token is looked at in any case: whoever shares an address with a guesser gets in.
    """
    try:
        authorization = headers.get("authorization", ())
        return authenticate(authorization, services.tokens, services.now)
    except Unauthenticated:
        identity = event["requestContext"].get("identity") or {}
        services.guesses.take(network_of(str(identity.get("sourceIp") or "")))
        raise


def _bug(request_id: str) -> Answer:
    message = "Something went wrong inside the API. Report the request_id to an admin."
    return Answer(error_body(message, "internal_error", request_id), 500)


def _headers(event: Mapping[str, Any]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, values in (event.get("multiValueHeaders") or {}).items():
        headers.setdefault(name.lower(), []).extend(values)
    if not headers:
        headers = {name.lower(): [value] for name, value in (event.get("headers") or {}).items()}
    return headers


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode(errors="surrogatepass")
    try:
        return base64.b64decode(body)
    except (binascii.Error, ValueError):
        return b"\xff"  # not UTF-8, and refused as such


def _deadline(context: Any) -> Deadline:  # noqa: ANN401 - see handle
    remaining = _MOST_SECONDS
    if context is not None:
        remaining = min(remaining, context.get_remaining_time_in_millis() / 1000)
    return Deadline.after(remaining - _MARGIN_SECONDS)


def _log_access(route: Route, answer: Answer, caller: Principal | None, started: float) -> None:
    # The route's template, not the path: what a client put into the path stays out of the logs.
    _log.info(
        "request",
        extra={
            "method": route.method,
            "route": route.path,
            "status": int(answer.status),
            "caller": caller.name if caller else None,
            "duration_ms": round((time.monotonic() - started) * 1000, 1),
        },
    )


def _reshape(event: Any, get_response: Callable[[Any], Response]) -> Response:  # noqa: ANN401 - Chalice's own signature
    """Give Chalice's own refusals (an unknown method, say) the shape of every other error."""
    response = get_response(event)
    body = response.body
    if isinstance(body, dict) and "Code" in body:
        request_id = str(event.context.get("requestId") or uuid.uuid4())
        message, code = _REFUSALS.get(response.status_code, _OTHER_REFUSAL)
        response.body = error_body(message, code, request_id)
        response.headers.update({**_HEADERS, "X-Request-Id": request_id})
    return response
