"""What each route answers with: its successes, and the errors that its declaration does not imply.

By the view's name. A view that is not here cannot be described, and an answer that is not here
fails the tests that see it (tests/described.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chalicelib.domain import shown, shown_objects, shown_work
from chalicelib.routes.description.errors import (
    CLUSTER,
    DNS,
    NAMESPACE,
    OWN,
    STALE,
    STAYING,
    TABLE,
    WORKSPACE,
    WRITES,
    Codes,
    merge,
)

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Reply:
    """One success. body is a type of domain/shown, or a schema; text maps other content types.

    leads_to names the routes that can follow, each with where its parameters come from.
    """

    status: int
    means: str
    body: Any
    headers: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    leads_to: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    """What one route answers with."""

    replies: tuple[Reply, ...]
    errors: Codes = field(default_factory=dict)


_PAGE: Final = ("Link",)
_SAME_FRIEND: Final = {"id": "$request.path.id"}
_NEW_FRIEND: Final = {"id": "$response.body#/id"}
_FRIEND_LINKS: Final = {
    "get_friend": _NEW_FRIEND,
    "update_friend": _NEW_FRIEND,
    "provision": _NEW_FRIEND,
    "apply": _NEW_FRIEND,
    "list_operations": _NEW_FRIEND,
    "delete_friend": {**_NEW_FRIEND, "confirm": "$response.body#/id"},
}
_OPERATION_LINKS: Final = {
    "get_operation": {**_SAME_FRIEND, "operation_id": "$response.body#/operation/id"}
}
_ACCEPTED_HEADERS: Final = ("Location", "Retry-After", "Preference-Applied")

# What may be kept, and for how long.
_KEPT: Final = ("Cache-Control", "ETag", "Vary")
_NOT_MODIFIED: Final = Reply(304, "The copy that If-None-Match names is current.", None, _KEPT)

ANSWERS: Final[Mapping[str, Answers]] = {
    "health": Answers((Reply(200, "The API is up.", shown.Health, _KEPT), _NOT_MODIFIED)),
    "openapi": Answers((Reply(200, "The description.", {"type": "object"}, _KEPT), _NOT_MODIFIED)),
    "docs": Answers(
        (
            Reply(
                200,
                "The page.",
                None,
                ("Content-Security-Policy", "Referrer-Policy", *_KEPT),
                (HTML,),
            ),
            _NOT_MODIFIED,
        )
    ),
    "list_friends": Answers(
        (
            Reply(
                200,
                "The friends that the caller may act for, sorted by id.",
                list[shown.Friend],
                _PAGE,
            ),
        ),
        merge(TABLE),
    ),
    "create_friend": Answers(
        (
            Reply(
                201,
                "The friend is registered, and everything is there.",
                shown.ChangedFriend,
                ("Location", "ETag"),
                leads_to=_FRIEND_LINKS,
            ),
            Reply(
                202,
                "The friend is registered; pending says what reconciliation has still to do.",
                shown.PendingFriend,
                ("Location", "ETag"),
                leads_to=_FRIEND_LINKS,
            ),
        ),
        merge(
            TABLE,
            STAYING,
            NAMESPACE,
            {
                403: ("relationship_required",),
                409: ("id_taken", "platform_id_taken", "too_many_friends"),
            },
        ),
    ),
    "get_friend": Answers(
        (Reply(200, "Everything recorded about the friend.", shown.FriendRecord, ("ETag",)),)
    ),
    "update_friend": Answers(
        (
            Reply(200, "The friend as it is now.", shown.ChangedFriend, ("ETag",)),
            Reply(
                202,
                "Recorded; reconciliation writes the profile that the workspace lacks.",
                shown.PendingFriend,
                ("ETag",),
            ),
        ),
        merge(STAYING, STALE, {409: ("platform_id_taken",)}),
    ),
    "delete_friend": Answers(
        (
            Reply(
                202,
                "The deletion is recorded and under way; with dry_run, it would be.",
                shown_work.Accepted | shown_work.RehearsedDeletion,
                _ACCEPTED_HEADERS,
                leads_to=_OPERATION_LINKS,
            ),
        ),
        merge(STALE),
    ),
    "list_friendships": Answers(
        (Reply(200, "The friend's agents, with the status of each.", list[shown.Friendship]),)
    ),
    "put_friendship": Answers(
        (
            Reply(
                200,
                "The relationship as it is now.",
                shown.ChangedFriendship,
                leads_to={
                    "delete_friendship": {**_SAME_FRIEND, "agent_id": "$request.path.agent_id"}
                },
            ),
        ),
        merge(STAYING, STALE, {403: ("forbidden",)}),
    ),
    "delete_friendship": Answers(
        (Reply(200, "The agent is nothing to the friend from now on.", shown.Ok),),
        merge(STALE, {403: ("forbidden",), 404: ("relationship_not_found",)}),
    ),
    "list_secrets": Answers(
        (Reply(200, "The Secrets' names, types and keys.", list[shown_work.Secret]),),
        merge(OWN, CLUSTER),
    ),
    "provision": Answers(
        (Reply(200, "What became of each object.", shown_work.Provisioned),),
        merge(STAYING, NAMESPACE, CLUSTER, WRITES, WORKSPACE),
    ),
    "apply": Answers(
        (
            Reply(
                200,
                "All is applied; with dry_run, it would be.",
                shown_work.Applied | shown_work.RehearsedApply,
                leads_to=_OPERATION_LINKS,
            ),
            Reply(
                202,
                "The operation is recorded, and runs in the background.",
                shown_work.AcceptedApply,
                _ACCEPTED_HEADERS,
                leads_to=_OPERATION_LINKS,
            ),
        ),
        merge(
            STAYING,
            STALE,
            NAMESPACE,
            CLUSTER,
            {
                409: ("namespace_missing", "gave_up", "internal_error"),
                422: ("manifest_refused", "objects_refused"),
                429: ("too_many_requests",),
            },
        ),
    ),
    "expose": Answers(
        (
            Reply(
                200,
                "On the web, or would be with dry_run; checks says whether it works.",
                shown.Exposed | shown.RehearsedExposure,
                leads_to={"unexpose": {**_SAME_FRIEND, "name": "$response.body#/name"}},
            ),
        ),
        merge(
            STAYING,
            STALE,
            NAMESPACE,
            CLUSTER,
            WRITES,
            DNS,
            {
                400: ("no_domain_configured",),
                404: ("service_not_found", "port_not_found"),
                409: (
                    *("exposure_busy", "exposure_elsewhere", "hostname_taken", "namespace_missing"),
                    *("record_busy", "record_not_ours", "route_not_ours", "service_not_exposable"),
                    "too_many_exposures",
                ),
            },
        ),
    ),
    "list_exposures": Answers(
        (
            Reply(
                200,
                "The friend's exposures, with the last recorded checks.",
                list[shown.CheckedExposure],
            ),
        ),
        merge(CLUSTER, DNS),
    ),
    "unexpose": Answers(
        (
            Reply(
                200,
                "Record, route and claim are gone; with dry_run, they would be.",
                shown.Ok | shown.RehearsedRemoval,
            ),
        ),
        merge(
            STALE,
            CLUSTER,
            WRITES,
            DNS,
            {404: ("exposure_not_found",), 409: ("exposure_busy", "record_busy")},
        ),
    ),
    "list_domains": Answers(
        (Reply(200, "The domains; the first is the default.", list[shown.Domain]),)
    ),
    "list_operations": Answers(
        (
            Reply(
                200,
                "The newest operations of the last 30 days; Link leads to older ones.",
                list[shown_work.Operation],
                _PAGE,
            ),
        ),
    ),
    "get_operation": Answers(
        (
            Reply(
                200,
                "How far it is. Retry-After comes until it has succeeded or failed.",
                shown_work.Operation,
                ("Retry-After",),
            ),
        ),
        {404: ("operation_not_found",)},
    ),
    "list_pods": Answers((Reply(200, "The pods.", list[shown_objects.Pod]),), merge(OWN, CLUSTER)),
    "status": Answers(
        (Reply(200, "Everything about the namespace.", shown_objects.NamespaceStatus),),
        merge(OWN, CLUSTER),
    ),
    "read_log": Answers(
        (
            Reply(
                200,
                "The end of the log; the text alone where Accept asks for text/plain.",
                shown_work.Log,
                headers=("X-Log-Truncated",),
                text=(TEXT,),
            ),
        ),
        merge(
            OWN,
            CLUSTER,
            {
                404: ("pod_not_found", "container_not_found", "previous_log_not_found"),
                409: ("container_not_started",),
            },
        ),
    ),
    "delete_deployment": Answers(
        (
            Reply(
                200,
                "The Deployment and its pods are deleted; with dry_run, they would be.",
                shown_work.Accepted | shown_work.RehearsedDeletion,
                leads_to=_OPERATION_LINKS,
            ),
            Reply(
                202,
                "The operation is recorded and queued; with dry_run, it would be.",
                shown_work.Accepted | shown_work.RehearsedDeletion,
                _ACCEPTED_HEADERS,
                leads_to=_OPERATION_LINKS,
            ),
        ),
        merge(
            STAYING,
            STALE,
            OWN,
            CLUSTER,
            WRITES,
            {
                404: ("deployment_not_found",),
                429: ("too_many_requests",),
            },
        ),
    ),
}
