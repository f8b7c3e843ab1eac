"""Threats I: who gets in, with which token, to which route."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from chalicelib.domain import tokens
from chalicelib.domain.errors import UpstreamFailed
from chalicelib.domain.model import Principal, Role
from chalicelib.gateways import secrets as secrets_gateway
from chalicelib.gateways.aws import AwsClients
from infra.local.cluster import ClusterDouble
from tests.factories import (
    ADMIN_TOKEN,
    AGENT_ID,
    AGENT_TOKEN,
    EXPIRED_TOKEN,
    create_token_record,
    create_tokens_document,
)
from tests.harness import Api

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


@pytest.mark.parametrize("position", [0, 15, 31])
def test_i01_i02_a_digest_that_differs_in_one_byte_is_another(position: int) -> None:
    digest = bytearray(tokens.digest_of(ADMIN_TOKEN))
    digest[position] ^= 1
    principal = Principal(Role.ADMIN, "12345678", None)
    near = tokens.TokenRecord(bytes(digest), principal)
    assert tokens.find_token([near], ADMIN_TOKEN, datetime.now(UTC)) is None


def test_i07_while_tokens_cannot_be_read_guessing_costs_a_call_a_second() -> None:
    reads, seconds = [], 1000.0

    class Broken(secrets_gateway.Secrets):
        def read(self, name: str) -> str:
            reads.append(name)
            return "no tokens document"

    source = secrets_gateway.SecretTokens(Broken(AwsClients()), SECRET, lambda: seconds)
    for _ in range(100):
        with pytest.raises(UpstreamFailed):
            source.records(fresher_than_seconds=60)
    assert len(reads) == 1
    seconds += 1
    with pytest.raises(UpstreamFailed):
        source.records(fresher_than_seconds=60)
    assert len(reads) == 2


def test_tokens_that_are_known_stay_valid_while_a_guess_finds_the_secret_unreadable() -> None:
    texts, seconds = [create_tokens_document()], 1000.0

    class Broken(secrets_gateway.Secrets):
        def read(self, name: str) -> str:
            del name
            return texts.pop(0) if texts else "no tokens document"

    source = secrets_gateway.SecretTokens(Broken(AwsClients()), SECRET, lambda: seconds)
    known = source.records(fresher_than_seconds=60)
    seconds += 10
    with pytest.raises(UpstreamFailed):
        source.records(fresher_than_seconds=5)
    assert source.records(fresher_than_seconds=60) == known
