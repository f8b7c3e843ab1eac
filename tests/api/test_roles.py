"""Threat I04: who gets in where, as a matrix of every route and every kind of caller."""

import json

import boto3
import pytest

from chalicelib.routes.table import ROUTES, Access, Route
from tests.factories import (
    ADMIN_TOKEN,
    AGENT_ID,
    AGENT_TOKEN,
    EXPIRED_TOKEN,
    OTHER_AGENT_TOKEN,
    create_token_record,
    create_tokens_document,
)
from tests.harness import Api
from tests.manifests import create_config_map_manifest

CALLERS = {
    "none": None,
    "bad": "fapi_unknown-token-0123456789",
    "expired": EXPIRED_TOKEN,
    "stranger": OTHER_AGENT_TOKEN,
    "blocked": "fapi_blocked-token-0123456789",
    "related": AGENT_TOKEN,
    "admin": ADMIN_TOKEN,
}
PUBLIC = dict.fromkeys(CALLERS, "in")
ANY_TOKEN = PUBLIC | dict.fromkeys(("none", "bad", "expired"), "401")
OF_FRIEND = ANY_TOKEN | {"blocked": "403"}
# An agent may say only of itself what it is to a friend.
OWN_ONLY = OF_FRIEND | {"stranger": "403"}
FRIEND = "/api/friends/{id}"
AGENT = f"{FRIEND}/agents/{{agent_id}}"
NAMESPACE = f"{FRIEND}/namespace"
# Every route has a row here, or the test below fails: nothing is open by forgetting it.
ROLE_MATRIX = {
    ("GET", "/api/health"): PUBLIC,
    ("GET", "/api/openapi.json"): PUBLIC,
    ("GET", "/api/docs"): PUBLIC,
    ("GET", "/api/friends"): ANY_TOKEN,
    ("POST", "/api/friends"): ANY_TOKEN,
    ("GET", FRIEND): OF_FRIEND,
    ("PUT", FRIEND): OF_FRIEND,
    ("DELETE", FRIEND): OF_FRIEND,
    ("GET", f"{FRIEND}/agents"): OF_FRIEND,
    ("PUT", AGENT): OWN_ONLY,
    ("DELETE", AGENT): OWN_ONLY,
    ("GET", f"{FRIEND}/secrets"): OF_FRIEND,
    ("POST", f"{NAMESPACE}/provision"): OF_FRIEND,
    ("POST", f"{NAMESPACE}/apply"): OF_FRIEND,
    ("POST", f"{NAMESPACE}/expose"): OF_FRIEND,
    ("GET", f"{NAMESPACE}/expose"): OF_FRIEND,
    ("DELETE", f"{NAMESPACE}/expose/{{name}}"): OF_FRIEND,
    ("GET", "/api/domains"): ANY_TOKEN,
    ("GET", f"{FRIEND}/operations"): OF_FRIEND,
    ("GET", f"{FRIEND}/operations/{{operation_id}}"): OF_FRIEND,
    ("GET", f"{NAMESPACE}/pods"): OF_FRIEND,
    ("GET", f"{NAMESPACE}/status"): OF_FRIEND,
    ("GET", f"{NAMESPACE}/logs/{{pod}}"): OF_FRIEND,
    ("DELETE", f"{NAMESPACE}/deployments/{{name}}"): OF_FRIEND,
}
BODIES = {
    ("POST", "/api/friends"): {"id": "bob", "display_name": "Bob"},
    ("PUT", FRIEND): {"display_name": "Al"},
    ("PUT", AGENT): {"status": "active"},
    ("POST", f"{NAMESPACE}/apply"): create_config_map_manifest(),
    ("POST", f"{NAMESPACE}/expose"): {"name": "my-app", "service": "web"},
}
QUERIES = {("DELETE", FRIEND): "?confirm=alice&dry_run=true"}
DECLARED = {
    Access.PUBLIC: [PUBLIC],
    Access.TOKEN: [ANY_TOKEN],
    Access.FRIEND: [OF_FRIEND, OWN_ONLY],
}


def test_i04_every_route_has_a_row_in_the_role_matrix() -> None:
    assert [*ROLE_MATRIX] == [key_of(route) for route in ROUTES]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_i04_the_role_matrix_holds(api: Api, route: Route) -> None:
    boto3.client("secretsmanager").put_secret_value(
        SecretId="friends/api-tokens",
        SecretString=create_tokens_document(
            *json.loads(create_tokens_document())["tokens"],
            create_token_record(str(CALLERS["blocked"]), role="agent", agent_id="blocked"),
        ),
    )
    domain = {"name": "friends.example", "zone_id": "0" * 32, "target": "t.cfargotunnel.com"}
    api = Api({"DOMAINS": json.dumps([domain])})
    api.register_friend(token=AGENT_TOKEN)
    api.put("/api/friends/alice/agents/blocked", {"status": "blocked"})
    parts = {"id": "alice", "agent_id": AGENT_ID, "operation_id": "19ab0000000-00000001"}
    key = key_of(route)
    url = route.path.format(**parts, pod="web", name="web") + QUERIES.get(key, "")
    row = ROLE_MATRIX[key]
    assert row in DECLARED[route.access]
    for caller, expected in row.items():
        answer = api.call(route.method, url, json_body=BODIES.get(key), token=CALLERS[caller])
        assert access_of(answer.status) == expected, (caller, answer.status, answer.text)


def key_of(route: Route) -> tuple[str, str]:
    return route.method, route.path


def access_of(status: int) -> str:
    return str(status) if status in {401, 403} or status >= 500 else "in"
