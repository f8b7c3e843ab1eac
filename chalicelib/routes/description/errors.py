"""Which errors a route may answer with: a status, and the codes that tell its causes apart."""

from collections.abc import Mapping, Sequence
from typing import Final

from chalicelib.routes.declarations import IDEMPOTENCY_KEY, IF_MATCH
from chalicelib.routes.table import Access, Route

Codes = Mapping[int, Sequence[str]]

# A parameter that nobody knows is invalid everywhere; and of any request the gateway may think that
# it is wrong, that there are too many of them, or that the API is too late (infra/resources.yaml).
_ANY: Final[Codes] = {
    400: ("gateway_refused", "invalid_input"),
    429: ("gateway_throttled",),
    502: ("gateway_failed",),
    504: ("gateway_failed",),
}
GATEWAY: Final = ("gateway_failed", "gateway_refused")
_TOKEN: Final[Codes] = {
    401: ("unauthenticated",),
    429: ("throttled",),
    502: ("secrets_manager_failed", "tokens_misconfigured"),
    503: ("secrets_manager_busy", "secrets_manager_unreachable"),
}
_CHANGE: Final[Codes] = {
    400: ("malformed_json",),
    413: ("body_too_large", "gateway_refused"),
    415: ("unsupported_media_type",),
}
_ONCE: Final[Codes] = {409: ("idempotency_key_in_use",), 422: ("idempotency_key_reused",)}
_IF_MATCH: Final[Codes] = {412: ("precondition_failed",)}

TABLE: Final[Codes] = {
    502: ("damaged_row", "dynamodb_failed"),
    503: ("dynamodb_busy", "dynamodb_unreachable"),
}
FRIEND: Final[Codes] = {403: ("relationship_required",), 404: ("friend_not_found",), **TABLE}
WORKSPACE: Final[Codes] = {502: ("s3_failed",), 503: ("s3_busy", "s3_unreachable")}
STAYING: Final[Codes] = {409: ("friend_deleting",)}
STALE: Final[Codes] = {409: ("busy",)}
OWN: Final[Codes] = {409: ("namespace_not_ours",)}
NAMESPACE: Final[Codes] = {409: (*OWN[409], "namespace_terminating")}
CLUSTER: Final[Codes] = {
    404: ("object_not_found",),
    502: ("cluster_auth", "cluster_failed", "cluster_forbidden", "cluster_misconfigured"),
    503: ("cluster_unavailable", "cluster_unreachable"),
    504: ("out_of_time",),
}
WRITES: Final[Codes] = {
    409: ("cluster_conflict", "field_conflict", "namespace_terminating"),
    422: ("cluster_policy", "cluster_refused", "quota_exceeded"),
}
DNS: Final[Codes] = {
    502: ("dns_auth", "dns_failed", "dns_misconfigured", "dns_zone_unknown"),
    503: ("dns_rate_limited", "dns_unavailable", "dns_unreachable"),
    504: ("out_of_time",),
}


def codes_of(route: Route, own: Codes) -> dict[int, list[str]]:
    """Return all codes by status: what the route's declaration implies, and its own."""
    parts: list[Codes] = [_ANY]
    if route.access is not Access.PUBLIC:
        parts.append(_TOKEN)
    if route.access is Access.FRIEND:
        parts.append(FRIEND)
    if route.method != "GET":
        parts.append(_CHANGE)
    if IDEMPOTENCY_KEY in route.takes:
        parts += [_ONCE, TABLE]
    if IF_MATCH in route.takes:
        parts.append(_IF_MATCH)
    return merge(*parts, own)


def merge(*parts: Codes) -> dict[int, list[str]]:
    """Return all of the parts' codes, by status, each in order and once."""
    statuses = sorted({status for part in parts for status in part})
    return {
        status: sorted({code for part in parts for code in part.get(status, ())})
        for status in statuses
    }
