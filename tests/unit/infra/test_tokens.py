"""Minting, listing and revoking tokens, as an operator does."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
import pytest

from chalicelib.domain.model import Role
from chalicelib.domain.tokens import find_token, parse_token_records
from infra.tokens import SECRET, TokenError, load, main, mint, revoke

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


@pytest.fixture
def client(aws: None) -> SecretsManagerClient:
    """Secrets Manager without any secret."""
    del aws
    return boto3.client("secretsmanager")


def stored_text(client: SecretsManagerClient) -> str:
    return client.get_secret_value(SecretId=SECRET)["SecretString"]


def test_a_minted_token_is_known_to_the_api_as_its_agent(client: SecretsManagerClient) -> None:
    token, _ = mint(client, Role.AGENT, "mochi")
    caller = find_token(parse_token_records(stored_text(client)), token, datetime.now(UTC))
    assert caller is not None
    assert (caller.role, caller.agent_id) == (Role.AGENT, "mochi")


def test_only_a_digest_of_a_token_is_kept(client: SecretsManagerClient) -> None:
    token, stored = mint(client, Role.ADMIN)
    assert re.fullmatch(r"fapi_[A-Za-z0-9_-]{43}", token)
    assert token not in stored_text(client)
    assert re.fullmatch(r"[0-9a-f]{64}", stored.sha256)


def test_two_tokens_of_one_agent_are_valid_side_by_side(client: SecretsManagerClient) -> None:
    tokens = [mint(client, Role.AGENT, "mochi")[0] for _ in range(2)]
    records = parse_token_records(stored_text(client))
    assert all(find_token(records, token, datetime.now(UTC)) for token in tokens)


def test_a_revoked_token_is_nobodys(client: SecretsManagerClient) -> None:
    token, stored = mint(client, Role.ADMIN)
    mint(client, Role.AGENT, "mochi")
    revoke(client, stored.id)
    records = parse_token_records(stored_text(client))
    assert find_token(records, token, datetime.now(UTC)) is None
    assert [kept.agent_id for kept in load(client)] == ["mochi"]


def test_an_unknown_token_cannot_be_revoked(client: SecretsManagerClient) -> None:
    with pytest.raises(TokenError, match="no token 'ffffffff'"):
        revoke(client, "ffffffff")


@pytest.mark.parametrize(
    ("role", "agent_id"),
    [(Role.ADMIN, "mochi"), (Role.AGENT, None), (Role.AGENT, "Not An Id")],
    ids=["admin-with-an-agent", "agent-without-one", "bad-agent-id"],
)
def test_a_token_that_the_api_would_refuse_is_not_minted(
    client: SecretsManagerClient, role: Role, agent_id: str | None
) -> None:
    with pytest.raises(TokenError):
        mint(client, role, agent_id)
    assert load(client) == []


def test_a_document_of_somebody_elses_is_not_overwritten(client: SecretsManagerClient) -> None:
    client.create_secret(Name=SECRET, SecretString=json.dumps({"tokens": [{"token": "plain"}]}))
    with pytest.raises(TokenError):
        mint(client, Role.ADMIN)
    assert "plain" in stored_text(client)


def test_the_command_prints_the_token_and_nothing_else_on_stdout(
    client: SecretsManagerClient, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["mint", "--role", "agent", "--agent-id", "mochi", "--expires-in-days", "30"])
    assert re.fullmatch(r"fapi_[A-Za-z0-9_-]{43}\n", capsys.readouterr().out)
    main(["list"])
    assert "until" in capsys.readouterr().out
    assert len(load(client)) == 1
