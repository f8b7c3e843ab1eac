"""Every route of the API: the one list that the app, the tests and the reader go by."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from chalicelib.domain.exposures import EXPOSE
from chalicelib.domain.fields import CONTACT_CHANGES, FRIENDSHIP, NEW_FRIEND
from chalicelib.domain.rules import Field
from chalicelib.routes import exposures, friends, namespaces, operations, reference
from chalicelib.routes.declarations import (
    AGENT_ID,
    DRY_RUN,
    FRIEND_ID,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    PREFER,
)
from chalicelib.routes.http import Answer, Request
from chalicelib.routes.parameters import Parameter
from chalicelib.routes.services import Services


class Access(Enum):
    """Who may call a route. There is no default: a route without one cannot be written."""

    PUBLIC = "anybody"
    TOKEN = "any valid token"  # noqa: S105 - not a password
    FRIEND = "an admin, or an agent that the friend's relationships permit"


class Manifests(Enum):
    """The one body without fields of its own: admission reads it (domain/admission/shapes.py)."""

    BODY = "manifests"


MANIFESTS: Final = Manifests.BODY
Body = tuple[Field, ...] | Manifests


@dataclass(frozen=True)
class Route:
    """One method on one path, in Chalice's spelling, and what a request may carry.

    takes is checked before the view runs. Without body, one that says anything is refused.
    """

    method: str
    path: str
    view: Callable[[Services, Request], Answer]
    access: Access
    takes: tuple[Parameter[object], ...] = ()
    body: Body | None = None


_FRIEND: Final = "/api/friends/{id}"
_NAMESPACE: Final = f"{_FRIEND}/namespace"
_EXPOSE: Final = f"{_NAMESPACE}/expose"
_OPERATIONS: Final = f"{_FRIEND}/operations"
_AGENT: Final = f"{_FRIEND}/agents/{{agent_id}}"

ROUTES: Final = (
    Route("GET", "/api/health", reference.health, Access.PUBLIC, takes=(IF_NONE_MATCH,)),
    Route("GET", "/api/openapi.json", reference.openapi, Access.PUBLIC, takes=(IF_NONE_MATCH,)),
    Route("GET", "/api/docs", reference.docs, Access.PUBLIC, takes=(IF_NONE_MATCH,)),
    Route(
        "GET",
        "/api/friends",
        friends.list_friends,
        Access.TOKEN,
        takes=(friends.LIMIT, friends.CURSOR, *friends.IDENTITIES),
    ),
    Route(
        "POST",
        "/api/friends",
        friends.create_friend,
        Access.TOKEN,
        takes=(IDEMPOTENCY_KEY,),
        body=NEW_FRIEND,
    ),
    Route("GET", _FRIEND, friends.get_friend, Access.FRIEND, takes=(FRIEND_ID,)),
    Route(
        "PUT",
        _FRIEND,
        friends.update_friend,
        Access.FRIEND,
        takes=(FRIEND_ID, IF_MATCH),
        body=CONTACT_CHANGES,
    ),
    Route(
        "DELETE",
        _FRIEND,
        operations.delete_friend,
        Access.FRIEND,
        takes=(FRIEND_ID, operations.CONFIRM, DRY_RUN, PREFER),
    ),
    Route(
        "GET",
        f"{_FRIEND}/agents",
        friends.list_friendships,
        Access.FRIEND,
        takes=(FRIEND_ID,),
    ),
    Route(
        "PUT",
        _AGENT,
        friends.put_friendship,
        Access.FRIEND,
        takes=(FRIEND_ID, AGENT_ID),
        body=FRIENDSHIP,
    ),
    Route("DELETE", _AGENT, friends.delete_friendship, Access.FRIEND, takes=(FRIEND_ID, AGENT_ID)),
    Route("GET", f"{_FRIEND}/secrets", namespaces.list_secrets, Access.FRIEND, takes=(FRIEND_ID,)),
    Route(
        "POST",
        f"{_NAMESPACE}/provision",
        namespaces.provision,
        Access.FRIEND,
        takes=(FRIEND_ID, DRY_RUN, IDEMPOTENCY_KEY),
    ),
    Route(
        "POST",
        f"{_NAMESPACE}/apply",
        operations.apply,
        Access.FRIEND,
        takes=(
            *(FRIEND_ID, DRY_RUN, operations.HARDEN, operations.WAIT, operations.FORCE),
            *(IDEMPOTENCY_KEY, PREFER),
        ),
        body=MANIFESTS,
    ),
    Route(
        "POST",
        _EXPOSE,
        exposures.expose,
        Access.FRIEND,
        takes=(FRIEND_ID, DRY_RUN, IDEMPOTENCY_KEY),
        body=EXPOSE,
    ),
    Route(
        "GET",
        _EXPOSE,
        exposures.list_exposures,
        Access.FRIEND,
        takes=(FRIEND_ID, exposures.CHECK),
    ),
    Route(
        "DELETE",
        f"{_EXPOSE}/{{name}}",
        exposures.unexpose,
        Access.FRIEND,
        takes=(FRIEND_ID, exposures.NAME, DRY_RUN),
    ),
    Route("GET", "/api/domains", exposures.list_domains, Access.TOKEN),
    Route(
        "GET",
        _OPERATIONS,
        operations.list_operations,
        Access.FRIEND,
        takes=(FRIEND_ID, operations.LIMIT, operations.CURSOR),
    ),
    Route(
        "GET",
        f"{_OPERATIONS}/{{operation_id}}",
        operations.get_operation,
        Access.FRIEND,
        takes=(FRIEND_ID, operations.OPERATION),
    ),
    Route("GET", f"{_NAMESPACE}/pods", namespaces.list_pods, Access.FRIEND, takes=(FRIEND_ID,)),
    Route("GET", f"{_NAMESPACE}/status", namespaces.status, Access.FRIEND, takes=(FRIEND_ID,)),
    Route(
        "GET",
        f"{_NAMESPACE}/logs/{{pod}}",
        namespaces.read_log,
        Access.FRIEND,
        takes=(
            *(FRIEND_ID, namespaces.POD, namespaces.TAIL, namespaces.CONTAINER),
            *(namespaces.PREVIOUS, namespaces.SINCE_SECONDS),
        ),
    ),
    Route(
        "DELETE",
        f"{_NAMESPACE}/deployments/{{name}}",
        operations.delete_deployment,
        Access.FRIEND,
        takes=(FRIEND_ID, operations.DEPLOYMENT, DRY_RUN, PREFER),
    ),
)
