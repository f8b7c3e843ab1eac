"""Every route of the API: the one list that the app, the tests and the reader go by."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from chalicelib.routes import exposures, friends, namespaces, operations
from chalicelib.routes.http import Answer, Request
from chalicelib.routes.services import Services


class Access(Enum):
    """Who may call a route. There is no default: a route without one cannot be written."""

    PUBLIC = "anybody"
    TOKEN = "any valid token"  # noqa: S105 - not a password
    FRIEND = "an admin, or an agent that the friend's relationships permit"


@dataclass(frozen=True)
class Route:
    """One method on one path, in Chalice's spelling."""

    method: str
    path: str
    view: Callable[[Services, Request], Answer]
    access: Access


def health(_: Services, request: Request) -> Answer:
    """GET /api/health: the API is awake. It asks nobody, so that it stays true of itself."""
    request.only_parameters()
    return Answer({"ok": True})


_FRIEND: Final = "/api/friends/{id}"
_NAMESPACE: Final = f"{_FRIEND}/namespace"
_EXPOSE: Final = f"{_NAMESPACE}/expose"
_OPERATIONS: Final = f"{_FRIEND}/operations"
_AGENT: Final = f"{_FRIEND}/agents/{{agent_id}}"

ROUTES: Final = (
    Route("GET", "/api/health", health, Access.PUBLIC),
    Route("GET", "/api/friends", friends.list_friends, Access.TOKEN),
    Route("POST", "/api/friends", friends.create_friend, Access.TOKEN),
    Route("GET", _FRIEND, friends.get_friend, Access.FRIEND),
    Route("PUT", _FRIEND, friends.update_friend, Access.FRIEND),
    Route("DELETE", _FRIEND, operations.delete_friend, Access.FRIEND),
    Route("PUT", _AGENT, friends.put_friendship, Access.FRIEND),
    Route("DELETE", _AGENT, friends.delete_friendship, Access.FRIEND),
    Route("GET", f"{_FRIEND}/secrets", namespaces.list_secrets, Access.FRIEND),
    Route("POST", f"{_NAMESPACE}/provision", namespaces.provision, Access.FRIEND),
    Route("POST", f"{_NAMESPACE}/apply", operations.apply, Access.FRIEND),
    Route("POST", _EXPOSE, exposures.expose, Access.FRIEND),
    Route("GET", _EXPOSE, exposures.list_exposures, Access.FRIEND),
    Route("DELETE", f"{_EXPOSE}/{{name}}", exposures.unexpose, Access.FRIEND),
    Route("GET", "/api/domains", exposures.list_domains, Access.TOKEN),
    Route("GET", _OPERATIONS, operations.list_operations, Access.FRIEND),
    Route("GET", f"{_OPERATIONS}/{{operation_id}}", operations.get_operation, Access.FRIEND),
    Route("GET", f"{_NAMESPACE}/pods", namespaces.list_pods, Access.FRIEND),
    Route("GET", f"{_NAMESPACE}/status", namespaces.status, Access.FRIEND),
    Route("GET", f"{_NAMESPACE}/logs/{{pod}}", namespaces.read_log, Access.FRIEND),
    Route(
        "DELETE",
        f"{_NAMESPACE}/deployments/{{name}}",
        namespaces.delete_deployment,
        Access.FRIEND,
    ),
)
