"""Errors as clients see them: one shape, one status for each class."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from chalicelib.domain import errors
from chalicelib.domain.errors import ApiError, Fault
from chalicelib.routes.http import Answer

if TYPE_CHECKING:  # A cold start does not load what only mypy and the description read.
    from chalicelib.domain import shown

STATUSES: Final[dict[type[ApiError], HTTPStatus]] = {
    errors.InvalidInput: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    errors.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.Refused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.UpstreamFailed: HTTPStatus.BAD_GATEWAY,
    errors.UpstreamUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.OutOfTime: HTTPStatus.GATEWAY_TIMEOUT,
}


_MOST_DETAILS: Final = 500


def status_of(error: ApiError) -> HTTPStatus:
    """Return the error's HTTP status: its class's, or its nearest base class's."""
    return next(STATUSES[each] for each in type(error).__mro__ if each in STATUSES)


def error_answer(error: ApiError, request_id: str) -> Answer:
    """Return the answer that tells a client what went wrong and what to do next."""
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    body = error_body(error.message, error.code, request_id)
    body["details"] = [_detail(fault) for fault in error.faults[:_MOST_DETAILS]]
    if isinstance(error, errors.ManifestsRefused):
        return Answer({**body, "results": list(error.results)}, status_of(error), headers)
    return Answer(body, status_of(error), headers)


def error_body(message: str, code: str, request_id: str) -> "shown.Error":
    """Return the one shape of an error, without details."""
    return {"error": message, "code": code, "details": [], "request_id": request_id}


def _detail(fault: Fault) -> "shown.ErrorDetail":
    if fault.fix is None:
        return {"path": fault.path, "message": fault.message}
    return {"path": fault.path, "message": fault.message, "fix": list(fault.fix)}
