"""What a Kubernetes API server's answers mean to us.

The server's text stays here: it may quote a manifest, a user name or a webhook's secrets. Only
the machine-readable reason decides. Source: Kubernetes API conventions, "Response status kind".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from chalicelib.domain.errors import (
    ApiError,
    Conflict,
    NotFound,
    Refused,
    UpstreamFailed,
    UpstreamUnreachable,
)
from chalicelib.domain.plan import namespace_terminating

_LONGEST_RETRY_AFTER: Final = 30


class AlreadyExists(Conflict):
    """The object that was to be created is there."""

    default_code = "already_exists"


@dataclass(frozen=True)
class ClusterAnswer:
    """One answer of the API server; status 0 is no answer at all."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        """Whether the server did what it was asked."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed a moment later."""
        return (
            self.status in {0, HTTPStatus.TOO_MANY_REQUESTS}
            or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        )

    @property
    def retry_after_seconds(self) -> int | None:
        """How long the server asks to wait, if it does."""
        value = str(self.headers.get("Retry-After", ""))
        if not (value.isascii() and value.isdigit()):
            return None
        return min(int(value[:4]), _LONGEST_RETRY_AFTER)


NO_ANSWER: Final = ClusterAnswer(0)


def cluster_error(answer: ClusterAnswer) -> ApiError:
    """Return our error for an answer that is not a success."""
    status = _status_of(answer)
    if answer.status == HTTPStatus.NOT_FOUND:
        return NotFound("The cluster has no such object.", code="object_not_found")
    if _is_terminating(status):
        return namespace_terminating()
    if answer.status == HTTPStatus.CONFLICT:
        return _conflict(status)
    if answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}:
        return Refused("The cluster refuses this object.", code="cluster_refused")
    return _failure(answer)


def _failure(answer: ClusterAnswer) -> ApiError:
    if answer.status == HTTPStatus.UNAUTHORIZED:
        msg = "The cluster refuses the API's credentials. Ask an admin to store a new kubeconfig."
        return UpstreamFailed(msg, code="cluster_auth")
    if answer.status == HTTPStatus.FORBIDDEN:
        msg = "The cluster does not permit the API to do this. Ask an admin to check its roles."
        return UpstreamFailed(msg, code="cluster_forbidden")
    if answer.status == 0:
        msg = "The cluster cannot be reached. Try again."
        return UpstreamUnreachable(msg, code="cluster_unreachable")
    if answer.may_pass and answer.status != HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = answer.retry_after_seconds or 5
        msg = "The cluster is too busy to answer. Try again."
        return UpstreamUnreachable(msg, code="cluster_unavailable", retry_after_seconds=wait)
    msg = "The cluster answered with an error of its own. Try again, or ask an admin to look at it."
    return UpstreamFailed(msg, code="cluster_failed")


def _conflict(status: dict[str, Any]) -> Conflict:
    if status.get("reason") == "AlreadyExists":
        return AlreadyExists("The object exists already.")
    msg = "The object was changed by somebody else at the same moment. Try again."
    return Conflict(msg, code="cluster_conflict", retry_after_seconds=1)


def _is_terminating(status: dict[str, Any]) -> bool:
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return any(
        isinstance(cause, dict) and cause.get("reason") == "NamespaceTerminating"
        for cause in (causes if isinstance(causes, list) else [])
    )


def _status_of(answer: ClusterAnswer) -> dict[str, Any]:
    try:
        status = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return status if isinstance(status, dict) else {}
