"""Traefik's IngressRoutes: what is made of an exposure, and what a route's rule says.

Traefik reads a rule as code, and a backend's name as an address ("api@internal" is its own
console). Both are built from what has passed the rules of exposures.py, and from nothing else.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from chalicelib.domain import kinds
from chalicelib.domain.backends import find_port, is_inside, lacks_port
from chalicelib.domain.errors import LONGEST_ECHO
from chalicelib.domain.exposures import require_valid
from chalicelib.domain.kube_json import cut, dig, name_of
from chalicelib.domain.model import Exposure, Friend, JsonObject
from chalicelib.domain.namespace import build_object

# A visitor's TLS ends at Cloudflare. A tunnel or its Flexible mode goes on to "web", its Full modes
# to "websecure" with that entry point's own certificate. Traefik skips one that it does not have.
ENTRY_POINTS: Final = ("web", "websecure")
_HOST_RULE: Final = re.compile(r"Host\(`([^`]{1,253})`\)")


def build_ingress_route(friend: Friend, exposure: Exposure) -> JsonObject:
    """Return the route of a friend's exposure.

    Raises ValueError for an exposure that is not this friend's, or that no request could have made.
    """
    if (exposure.friend_id, exposure.uid) != (friend.id, friend.uid):
        msg = "The recorded exposure is another friend's, so no route is made from it."
        raise ValueError(msg)
    spec = build_route_spec(exposure)
    return build_object(friend, kinds.INGRESS_ROUTE, route_name(exposure), {"spec": spec})


def build_route_spec(exposure: Exposure) -> JsonObject:
    """Return what the route of an exposure says. Raises ValueError."""
    return {"entryPoints": list(ENTRY_POINTS), "routes": build_rules(exposure)}


def build_rules(exposure: Exposure) -> list[JsonObject]:
    """Return the rules of an exposure's route: its host name leads to its Service.

    The Service has no namespace, which is the route's own. Raises ValueError.
    """
    require_valid(exposure)
    service = {"kind": "Service", "name": exposure.service, "port": exposure.port}
    return [{"kind": "Rule", "match": f"Host(`{exposure.hostname}`)", "services": [service]}]


def route_name(exposure: Exposure) -> str:
    """Return the name of an exposure's route."""
    return route_name_of(exposure.name)


def route_name_of(name: str) -> str:
    """Return the name of the route of an exposure with this name."""
    return f"expose-{name}"


def match_host(rule: str) -> str | None:
    """Return the first host that a rule names, or None."""
    host = _HOST_RULE.search(rule)
    return host[1] if host else None


def route_problem(route: JsonObject, services: Sequence[JsonObject]) -> str | None:
    """Return why a route leads nowhere, in one sentence, or None.

    services are all of the route's namespace; what a route says of another is not judged.
    """
    by_name = {name_of(each): each for each in services}
    problems = (_backend_problem(each, by_name) for each in _backends(route))
    return next((problem for problem in problems if problem), None)


def _backends(route: JsonObject) -> Iterator[JsonObject]:
    own = route["metadata"].get("namespace")
    for rule in dig(route, "spec", "routes") or []:
        for backend in rule.get("services") or []:
            is_service = backend.get("kind", "Service") == "Service"
            if is_service and backend.get("namespace", own) == own:
                yield backend


def _backend_problem(backend: JsonObject, services: Mapping[str, JsonObject]) -> str | None:
    name, port = str(backend.get("name")), backend.get("port")
    service = services.get(name)
    shown = cut(name, LONGEST_ECHO)
    if service is None:
        return f"The Service {shown} is not there: apply it, or delete the exposure."
    if not is_inside(service):
        return f"The Service {shown} is not of type ClusterIP: it leads elsewhere."
    if find_port(service, port) is None:
        return f"The Service {shown} {lacks_port(service, port)}"
    return None
