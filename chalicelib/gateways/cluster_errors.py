"""What a Kubernetes API server's answers mean to us.

The server's text stays here: it may quote a manifest, a user name or a webhook's secrets. What
decides is the machine-readable reason, and what is told of the text is only what has the exact
shape of a field's path, a manager's name or a quota's figures. Source: Kubernetes API conventions,
"Response status kind".
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from chalicelib.domain.errors import (
    ApiError,
    Conflict,
    FieldConflict,
    NotFound,
    Refused,
    UpstreamFailed,
    UpstreamUnreachable,
)
from chalicelib.domain.ownership import namespace_terminating
from chalicelib.domain.refusals import IN_PLACE, explain_quota

# A policy's refusal is 422, unless it says otherwise; where it lacks its parameters, 403.
_POLICY: Final = "ValidatingAdmissionPolicy"
# Of infra/cluster/admission-policy.yaml.
_OWN_ROUTES: Final = "'friend-api-routes'"
_LONGEST_RETRY_AFTER: Final = 30
_MOST_NAMED: Final = 8
_FIELD: Final = re.compile(r"[A-Za-z0-9_.\[\]/:=\"-]{1,120}")
# What Go's own HTTP server says where no resource of a group is served; it is no Status.
_NO_SUCH_PATH: Final = b"404 page not found"
# The server fills rollingUpdate in, and no manager owns it: an apply without it keeps it.
_DEFAULTED_BOUNDS: Final = "spec.strategy.rollingUpdate (FieldValueForbidden)"
_MANAGER: Final = re.compile(r'conflict with "([A-Za-z0-9_.:/ -]{1,64})"')


class AlreadyExists(Conflict):
    """The object that was to be created is there."""

    default_code = "already_exists"


class ListExpired(UpstreamFailed):
    """The server has forgotten the place where a list was to go on."""

    default_code = "cluster_failed"


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
    def lacks_kind(self) -> bool:
        """Whether it is the kind that is not there, and not one object: a 404 that names none."""
        if self.status != HTTPStatus.NOT_FOUND:
            return False
        details = _status_of(self).get("details")
        return not (isinstance(details, dict) and details.get("name"))

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed a moment later."""
        return (
            self.status in {0, HTTPStatus.TOO_MANY_REQUESTS}
            or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or self._has_lost_race
        )

    @property
    def _has_lost_race(self) -> bool:
        """Whether somebody else wrote the object between the server's own read and write.

        A field that another manager holds is a conflict, too: that one stays.
        """
        if self.status != HTTPStatus.CONFLICT:
            return False
        status = _status_of(self)
        return status.get("reason") == "Conflict" and not _causes(status)

    @property
    def is_of_a_proxy(self) -> bool:
        """Whether something that stands before the API server has answered in its place.

        The API server refuses with a Status, and knows neither redirects nor pages. What a proxy
        says while the server restarts (5xx, 429) means what it says.
        """
        if self.status == 0 or self.may_pass:
            return False
        if "html" in str(self.headers.get("Content-Type", "")).lower():
            return True
        if self.is_success or self.status == HTTPStatus.UNAUTHORIZED:
            # Where a proxy keeps the credentials (Rancher, say), its 401 is about these.
            return False
        return _status_of(self).get("kind") != "Status" and self.body.strip() != _NO_SUCH_PATH

    @property
    def retry_after_seconds(self) -> int | None:
        """How long the server asks to wait, if it does."""
        value = str(self.headers.get("Retry-After", ""))
        if not (value.isascii() and value.isdigit()):
            return None
        return min(int(value[:4]), _LONGEST_RETRY_AFTER)


NO_ANSWER: Final = ClusterAnswer(0)


def cluster_error(answer: ClusterAnswer, *, is_read: bool) -> ApiError:
    """Return our error for an answer that is not a success.

    A read has nothing of a client's that a server could refuse, and nothing that could conflict:
    when one is invalid, it is between the server and us.
    """
    status = _status_of(answer)
    if answer.status == HTTPStatus.GONE and is_read:
        msg = "The cluster's list changed too fast to be read to its end. Try again."
        return ListExpired(msg)
    if answer.status == HTTPStatus.NOT_FOUND:
        return NotFound("The cluster has no such object.", code="object_not_found")
    if _is_terminating(status):
        return namespace_terminating()
    if answer.status == HTTPStatus.FORBIDDEN:
        return _forbidden(status)
    return _failure(answer) if is_read else _refusal_of(answer, status)


def not_an_api_server(status: int) -> UpstreamFailed:
    """Return the error for an answer that is not the API server's own."""
    msg = (
        f"A proxy or firewall answered ({status}) in place of the cluster's API server. Ask an "
        "admin to let the API through, or to store a kubeconfig with the API server's own address."
    )
    return UpstreamFailed(msg, code="cluster_misconfigured")


def credential_ended(ended_at: datetime) -> UpstreamFailed:
    """Return the error for a token whose own date says why it is refused."""
    msg = (
        f"The API's token for the cluster expired at {ended_at:%Y-%m-%d %H:%M} UTC. Ask an admin "
        "to store a kubeconfig with a new one."
    )
    return UpstreamFailed(msg, code="cluster_auth")


def _refusal_of(answer: ClusterAnswer, status: dict[str, Any]) -> ApiError:
    if answer.status == HTTPStatus.CONFLICT:
        return _conflict(status)
    if answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}:
        return _invalid(status)
    return _failure(answer)


def _failure(answer: ClusterAnswer) -> ApiError:
    if answer.status == HTTPStatus.UNAUTHORIZED:
        msg = "The cluster refuses the API's credentials. Ask an admin to store a new kubeconfig."
        return UpstreamFailed(msg, code="cluster_auth")
    if answer.status == 0:
        msg = "The cluster cannot be reached. Try again."
        return UpstreamUnreachable(msg, code="cluster_unreachable")
    if answer.may_pass and answer.status != HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = answer.retry_after_seconds or 5
        msg = "The cluster is too busy to answer. Try again."
        return UpstreamUnreachable(msg, code="cluster_unavailable", retry_after_seconds=wait)
    msg = "The cluster answered with an error of its own. Try again, or ask an admin to look at it."
    return UpstreamFailed(msg, code="cluster_failed")


def _invalid(status: dict[str, Any]) -> Refused:
    if _POLICY in str(status.get("message")):
        return _refused_by_policy(status)
    faults = [
        f"{field} ({cause.get('reason')})"
        for cause in _causes(status)
        if _FIELD.fullmatch(field := str(cause.get("field")))
        and _FIELD.fullmatch(str(cause.get("reason")))
    ]
    if not faults:
        return Refused("The cluster refuses this object.", code="cluster_refused")
    if faults == [_DEFAULTED_BOUNDS]:
        msg = (
            "A Deployment that runs with RollingUpdate cannot be given Recreate in one step. Use "
            f"{IN_PLACE}: it ends old pods first, too. After that, Recreate is accepted as well."
        )
        return Refused(msg, code="cluster_refused")
    if "spec.selector (FieldValueInvalid)" in faults:
        msg = (
            "spec.selector cannot change in an object that exists. Send the selector that it has, "
            "give it another name, or delete it first."
        )
        return Refused(msg, code="cluster_refused")
    msg = (
        f"The cluster refuses this object because of {_listed(faults)}. Correct that; what cannot "
        "change in an existing object can in one with another name."
    )
    return Refused(msg, code="cluster_refused")


def _forbidden(status: dict[str, Any]) -> ApiError:
    message = str(status.get("message"))
    if quota := explain_quota(message):
        return Refused(quota.message, code=quota.reason)
    if 'admission webhook "' in message or _POLICY in message:
        return _refused_by_policy(status)
    msg = "The cluster does not permit the API to do this. Ask an admin to check its roles."
    return UpstreamFailed(msg, code="cluster_forbidden")


def _refused_by_policy(status: dict[str, Any]) -> Refused:
    msg = "A policy of the cluster refuses this object. Ask an admin which policy, and why."
    if _OWN_ROUTES in str(status.get("message")):
        msg = (
            "The cluster does not allow exposures on this domain yet. Ask an admin to run "
            "make route-domains (docs/deploy.md)."
        )
    return Refused(msg, code="cluster_policy")


def _conflict(status: dict[str, Any]) -> Conflict:
    if status.get("reason") == "AlreadyExists":
        return AlreadyExists("The object exists already.")
    held = [cause for cause in _causes(status) if cause.get("reason") == "FieldManagerConflict"]
    if held:
        return _field_conflict(held)
    msg = "The object was changed by somebody else at the same moment. Try again."
    return Conflict(msg, code="cluster_conflict", retry_after_seconds=1)


def _field_conflict(causes: list[dict[str, Any]]) -> FieldConflict:
    fields = [field for cause in causes if _FIELD.fullmatch(field := str(cause.get("field")))]
    managers = {
        found[1] for cause in causes if (found := _MANAGER.search(str(cause.get("message"))))
    }
    msg = (
        f"Another field manager ({_listed(sorted(managers)) or 'unknown'}) holds "
        f"{_listed(fields) or 'fields of this object'}."
    )
    return FieldConflict(msg)


def _listed(words: list[str]) -> str:
    more = len(words) - _MOST_NAMED
    return ", ".join(words[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _is_terminating(status: dict[str, Any]) -> bool:
    return any(cause.get("reason") == "NamespaceTerminating" for cause in _causes(status))


def _causes(status: dict[str, Any]) -> list[dict[str, Any]]:
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return [each for each in causes if isinstance(each, dict)] if isinstance(causes, list) else []


def _status_of(answer: ClusterAnswer) -> dict[str, Any]:
    try:
        status = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return status if isinstance(status, dict) else {}
