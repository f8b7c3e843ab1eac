"""Everything that can go wrong, named once.

An error says what the caller can do next. The routes map each class to one HTTP status;
nothing below them knows about HTTP.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

LONGEST_ECHO: Final = 64
"""How many characters of the caller's input an error may repeat."""


@dataclass(frozen=True)
class Fault:
    """One fault in the caller's input.

    path is a JSON pointer into the body ("/display_name"), "?name" for a query parameter,
    "path:name" for a part of the URL, or the name of a header.
    fix, where one exists, is a JSON Patch that mends the input.
    """

    path: str
    message: str
    fix: tuple[dict[str, object], ...] | None = None


class ApiError(Exception):
    """The base of every expected failure.

    code is stable and machine-readable; the message is one plain sentence that is safe to show:
    it never holds a secret, an upstream's text or more than LONGEST_ECHO characters of the caller's
    input.
    """

    default_code: ClassVar[str]

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        faults: tuple[Fault, ...] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        """Say what went wrong, and when trying again makes sense."""
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.faults = faults
        self.retry_after_seconds = retry_after_seconds


class InvalidInput(ApiError):
    """A malformed or invalid field, parameter, path or body."""

    default_code = "invalid_input"


class Unauthenticated(ApiError):
    """No valid token came with the request."""

    default_code = "unauthenticated"


class Forbidden(ApiError):
    """The token is valid, but its owner may not do this."""

    default_code = "forbidden"


class NotFound(ApiError):
    """What the path names does not exist."""

    default_code = "not_found"


class Conflict(ApiError):
    """The name is taken, the thing is not ours, or it is on its way out."""

    default_code = "conflict"


class FieldConflict(Conflict):
    """Another manager owns fields of the object. The message names it, and no next step."""

    default_code = "field_conflict"


class PreconditionFailed(ApiError):
    """If-Match does not name the current version."""

    default_code = "precondition_failed"


class BodyTooLarge(ApiError):
    """The request body is over the limit."""

    default_code = "body_too_large"


class UnsupportedMediaType(ApiError):
    """The body is not plain UTF-8 JSON."""

    default_code = "unsupported_media_type"


class Refused(ApiError):
    """Well-formed, but it cannot be accepted: admission, or a reused idempotency key."""

    default_code = "refused"


class ManifestsRefused(Refused):
    """Admission refuses the request. results names each of its objects, in order, with an error."""

    default_code = "manifest_refused"

    def __init__(
        self,
        message: str,
        *,
        faults: tuple[Fault, ...],
        results: tuple[dict[str, str | None], ...],
    ) -> None:
        """Say what is wrong, and what became of each object: nothing."""
        super().__init__(message, faults=faults)
        self.results = results


class TooManyRequests(ApiError):
    """So much is under way for this caller or friend that nothing more is begun now."""

    default_code = "too_many_requests"


class UpstreamFailed(ApiError):
    """An upstream answered, and the answer is wrong."""

    default_code = "upstream_failed"


class UpstreamUnreachable(ApiError):
    """An upstream cannot be reached, or is too busy to answer."""

    default_code = "upstream_unreachable"

    def __init__(
        self, message: str, *, code: str | None = None, retry_after_seconds: int = 5
    ) -> None:
        """Say what went wrong; trying again always makes sense."""
        super().__init__(message, code=code, retry_after_seconds=retry_after_seconds)


def not_understood() -> UpstreamFailed:
    """Return the error for an answer of the cluster that has not the shape of its kind."""
    msg = "The cluster answered with something that is no Kubernetes object. Ask an admin to look."
    return UpstreamFailed(msg, code="cluster_failed")


class OutOfTime(ApiError):
    """The request's time ran out before an upstream answered."""

    default_code = "out_of_time"
