"""Threats I: who gets in, with which token, to which route."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from chalicelib.domain import tokens
from chalicelib.gateways import secrets as secrets_gateway
from chalicelib.routes.table import ROUTES
from infra.local.cluster import ClusterDouble
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

SECRET = "friends/api-tokens"


def authorize(api: Api, *values: str, url: str = "/api/friends") -> Any:
    return api.get(url, token=None, headers={"Authorization": list(values)})


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YWRtaW46YWRtaW4=",
        f"bearer {ADMIN_TOKEN}",
        f"BEARER {ADMIN_TOKEN}",
        f"Bearer  {ADMIN_TOKEN}",
        f"Bearer\t{ADMIN_TOKEN}",
        f" Bearer {ADMIN_TOKEN}",
        f"Bearer {ADMIN_TOKEN} ",
        f"Bearer {ADMIN_TOKEN},Bearer {ADMIN_TOKEN}",
        f"Bearer {ADMIN_TOKEN}\n",
        f"Token {ADMIN_TOKEN}",
        ADMIN_TOKEN,
        "Bearer " + "x" * 8192,
        "Bearer unknown-token-0123456789",
        f"Bearer {ADMIN_TOKEN[:-1]}",
        f"Bearer {ADMIN_TOKEN.upper()}",
        f"Bearer {EXPIRED_TOKEN}",
    ],
)
def test_i01_anything_but_one_valid_bearer_is_401(api: Api, value: str) -> None:
    answer = authorize(api, value)
    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_i01_two_authorization_headers_are_401(api: Api) -> None:
    assert authorize(api, f"Bearer {ADMIN_TOKEN}", f"Bearer {ADMIN_TOKEN}").status == 401
    assert authorize(api).status == 401


@pytest.mark.parametrize("value", ["Bearer tökén-0123456789abcdef", "Bearer \ud800" + "x" * 20])
def test_i02_a_token_that_is_not_ascii_is_401(api: Api, value: str) -> None:
    assert authorize(api, value).status == 401


def test_i02_i07_the_token_is_compared_with_every_record(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def compare(known: bytes, presented: bytes) -> bool:
        compared.append(known)
        return known == presented

    monkeypatch.setattr("hmac.compare_digest", compare)
    records = tokens.parse_token_records(create_tokens_document())
    for token in (ADMIN_TOKEN, "unknown-token-0123456789"):
        compared.clear()
        tokens.find_token(records, token, secrets_now())
        assert len(compared) == len(records)


def secrets_now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize("name", ["token", "access_token", "authorization"])
def test_i03_a_token_in_the_query_is_never_read(api: Api, name: str) -> None:
    assert api.get(f"/api/friends?{name}={ADMIN_TOKEN}", token=None).status == 401


def test_i03_a_token_in_the_body_or_a_cookie_is_never_read(api: Api) -> None:
    cookie = {"Cookie": f"Authorization=Bearer {ADMIN_TOKEN}"}
    body = {"token": ADMIN_TOKEN}
    assert api.post("/api/friends", body, token=None, headers=cookie).status == 401


def test_i05_a_new_and_an_old_token_are_valid_at_once(api: Api) -> None:
    put_tokens(
        create_token_record("new-token-0123456789", role="agent", agent_id=AGENT_ID),
        create_token_record(
            AGENT_TOKEN, role="agent", agent_id=AGENT_ID, expires_at="2999-01-01T00:00:00+00:00"
        ),
    )
    fresh = Api()
    for token in ("new-token-0123456789", AGENT_TOKEN):
        assert fresh.get("/api/friends", token=token).status == 200


def test_i05_a_revoked_token_is_refused_within_a_minute(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(1000.0)
    monkeypatch.setattr(secrets_gateway.SecretTokens.__init__, "__defaults__", (clock,))
    api = Api()
    assert api.get("/api/friends", token=AGENT_TOKEN).status == 200
    put_tokens(create_token_record(ADMIN_TOKEN))
    clock.now += 60
    assert api.get("/api/friends", token=AGENT_TOKEN).status == 401
    assert api.get("/api/friends", token=ADMIN_TOKEN).status == 200


def test_i05_i07_a_new_token_works_within_seconds_and_guessing_stays_cheap(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(1000.0)
    monkeypatch.setattr(secrets_gateway.SecretTokens.__init__, "__defaults__", (clock,))
    api = Api()
    assert api.get("/api/friends", token="new-token-0123456789").status == 401
    put_tokens(create_token_record("new-token-0123456789"))
    reads = count_reads(monkeypatch)
    for _ in range(20):
        assert api.get("/api/friends", token="guessed-token-0123456789").status == 401
    assert len(reads) == 0
    clock.now += 5
    assert api.get("/api/friends", token="new-token-0123456789").status == 200
    assert len(reads) == 1


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{}",
        "[]",
        "canary-not-json",
        '{"tokens": {}}',
        '{"tokens": [{"sha256": "canary"}]}',
        create_tokens_document(create_token_record(ADMIN_TOKEN, role="owner")),
        create_tokens_document(create_token_record(ADMIN_TOKEN, role="agent")),
        create_tokens_document(create_token_record(ADMIN_TOKEN, agent_id="mochi")),
        create_tokens_document(create_token_record(ADMIN_TOKEN, expires_at="soon")),
        create_tokens_document(create_token_record(ADMIN_TOKEN, expires_at="2999-01-01T00:00:00")),
        create_tokens_document(create_token_record("")),
        create_tokens_document(create_token_record("changeme")),
        create_tokens_document(create_token_record(ADMIN_TOKEN, id="a#b")),
        create_tokens_document(create_token_record(ADMIN_TOKEN, id=7)),
    ],
)
def test_i06_a_tokens_document_that_is_off_lets_nobody_in(api: Api, document: str) -> None:
    boto3.client("secretsmanager").put_secret_value(SecretId=SECRET, SecretString=document or " ")
    answer = Api().get("/api/friends", token=ADMIN_TOKEN)
    assert (answer.status, answer.json["code"]) == (502, "tokens_misconfigured")
    assert "canary" not in answer.text


def test_i06_no_tokens_let_nobody_in(api: Api) -> None:
    boto3.client("secretsmanager").delete_secret(SecretId=SECRET)
    assert Api().get("/api/friends").status == 401


def test_i08_without_a_token_nobody_learns_what_exists(api: Api, kube: ClusterDouble) -> None:
    api.register_friend()
    kube.requests.clear()
    for friend_id in ("alice", "bob", "..", "A" * 50):
        for url in (f"/api/friends/{friend_id}", f"/api/friends/{friend_id}/namespace/pods"):
            assert authorize(api, url=url).status == 401
    assert api.call("POST", "/api/friends", raw_body=b"{", token=None).status == 401
    assert kube.requests == []


@dataclass
class Clock:
    """A clock that tests turn."""

    now: float

    def __call__(self) -> float:
        """Return the time."""
        return self.now


NONE, EXPIRED, AGENT, BLOCKED, RELATED, ADMIN = (
    *("none", "expired", "agent", "blocked", "related", "admin"),
)
CALLERS = {
    NONE: None,
    EXPIRED: EXPIRED_TOKEN,
    AGENT: OTHER_AGENT_TOKEN,
    BLOCKED: "fapi_blocked-token-0123456789",
    RELATED: AGENT_TOKEN,
    ADMIN: ADMIN_TOKEN,
}
PUBLIC = dict.fromkeys(CALLERS, "in")
ANY_TOKEN = PUBLIC | {NONE: "401", EXPIRED: "401"}
OF_FRIEND = ANY_TOKEN | {BLOCKED: "403"}
OWN_ONLY = OF_FRIEND | {AGENT: "403"}
FRIEND = "/api/friends/{id}"
# Every route has a row here, or the test below fails: nothing is open by forgetting it.
ROLE_MATRIX = {
    ("GET", "/api/health"): PUBLIC,
    ("GET", "/api/friends"): ANY_TOKEN,
    ("POST", "/api/friends"): ANY_TOKEN,
    ("GET", FRIEND): OF_FRIEND,
    ("PUT", FRIEND): OF_FRIEND,
    ("DELETE", FRIEND): OF_FRIEND,
    ("PUT", f"{FRIEND}/agents/{{agent_id}}"): OWN_ONLY,
    ("DELETE", f"{FRIEND}/agents/{{agent_id}}"): OWN_ONLY,
    ("GET", f"{FRIEND}/secrets"): OF_FRIEND,
    ("POST", f"{FRIEND}/namespace/provision"): OF_FRIEND,
    ("POST", f"{FRIEND}/namespace/apply"): OF_FRIEND,
    ("POST", f"{FRIEND}/namespace/expose"): OF_FRIEND,
    ("GET", f"{FRIEND}/namespace/expose"): OF_FRIEND,
    ("DELETE", f"{FRIEND}/namespace/expose/{{name}}"): OF_FRIEND,
    ("GET", "/api/domains"): ANY_TOKEN,
    ("GET", f"{FRIEND}/operations"): OF_FRIEND,
    ("GET", f"{FRIEND}/operations/{{operation_id}}"): OF_FRIEND,
    ("GET", f"{FRIEND}/namespace/pods"): OF_FRIEND,
    ("GET", f"{FRIEND}/namespace/status"): OF_FRIEND,
    ("GET", f"{FRIEND}/namespace/logs/{{pod}}"): OF_FRIEND,
    ("DELETE", f"{FRIEND}/namespace/deployments/{{name}}"): OF_FRIEND,
}
BODIES = {
    ("POST", "/api/friends"): {"id": "bob", "display_name": "Bob"},
    ("PUT", FRIEND): {"display_name": "Al"},
    ("PUT", f"{FRIEND}/agents/{{agent_id}}"): {"status": "active"},
    ("POST", f"{FRIEND}/namespace/apply"): create_config_map_manifest(),
    ("POST", f"{FRIEND}/namespace/expose"): {"name": "my-app", "service": "web"},
}
QUERIES = {("DELETE", FRIEND): "?confirm=alice"}


def test_i04_every_route_has_a_row_in_the_role_matrix() -> None:
    assert {(route.method, route.path) for route in ROUTES} == set(ROLE_MATRIX)


@pytest.mark.parametrize("route", ROLE_MATRIX, ids=" ".join)
def test_i04_the_role_matrix_holds(api: Api, route: tuple[str, str]) -> None:
    put_tokens(
        *json.loads(create_tokens_document())["tokens"],
        create_token_record(str(CALLERS[BLOCKED]), role="agent", agent_id="blocked"),
    )
    domain = {"name": "friends.example", "zone_id": "0" * 32, "target": "t.cfargotunnel.com"}
    api = Api({"DOMAINS": json.dumps([domain])})
    api.register_friend(token=AGENT_TOKEN)
    api.put("/api/friends/alice/agents/blocked", {"status": "blocked"})
    method, path = route
    parts = {"id": "alice", "agent_id": AGENT_ID, "operation_id": "19ab0000000-00000001"}
    url = path.format(**parts, pod="web", name="web") + QUERIES.get(route, "")
    body = BODIES.get(route)
    for caller, expected in ROLE_MATRIX[route].items():
        answer = api.call(method, url, json_body=body, token=CALLERS[caller])
        assert access_of(answer.status) == expected, (caller, answer.status, answer.text)


def access_of(status: int) -> str:
    return str(status) if status in {401, 403} else "in"


def put_tokens(*records: dict[str, Any]) -> None:
    boto3.client("secretsmanager").put_secret_value(
        SecretId=SECRET, SecretString=create_tokens_document(*records)
    )


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    reads: list[str] = []
    read = secrets_gateway.Secrets.read

    def counted(self: secrets_gateway.Secrets, name: str) -> str | None:
        reads.append(name)
        return read(self, name)

    monkeypatch.setattr(secrets_gateway.Secrets, "read", counted)
    return reads
