"""Mint, list and revoke the API's bearer tokens, with the operator's own AWS credentials.

A token is shown once, when it is minted; only its SHA-256 digest is kept. Several tokens of one
agent are valid side by side, so that one can be replaced without a pause: mint, change the client,
revoke. The deployed API notices a change within its cache's lifetime.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.errors import UpstreamFailed
from chalicelib.domain.fields import AGENT_ID
from chalicelib.domain.model import Role
from chalicelib.domain.tokens import digest_of, parse_token_records
from infra.region import adopt_region
from infra.secret_store import SecretStateError, read_secret, write_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_secretsmanager import SecretsManagerClient

SECRET: Final = "friends/api-tokens"  # noqa: S105 (the secret's name)
PREFIX: Final = "fapi_"
_TOKEN_BYTES: Final = 32
_DESCRIPTION: Final = "Digests of the Friends API's bearer tokens."


class TokenError(Exception):
    """The command cannot be carried out; the message says why."""


@dataclass(frozen=True)
class StoredToken:
    """What is kept of a token. Times are UTC, as in 2026-11-24T09:00:00Z."""

    id: str
    sha256: str
    role: str
    agent_id: str | None
    created_at: str
    expires_at: str | None


def mint(
    client: SecretsManagerClient,
    role: Role,
    agent_id: str | None = None,
    *,
    expires_in_days: int | None = None,
    secret: str = SECRET,
) -> tuple[str, StoredToken]:
    """Store a new token's digest and return the token itself, which nothing can show again.

    An agent's token names its agent; an admin's names none. Raises TokenError.
    """
    if (role is Role.AGENT) != (agent_id is not None):
        raise TokenError("A token of role agent needs an agent id, and one of role admin has none.")
    if agent_id is not None and not AGENT_ID.fullmatch(agent_id):
        raise TokenError(f"{agent_id!r} is not an agent id.")
    if expires_in_days is not None and expires_in_days < 1:
        raise TokenError("A token must be valid for at least one day.")
    now = datetime.now(UTC)
    expires_at = (
        None if expires_in_days is None else _timestamp(now + timedelta(days=expires_in_days))
    )
    token = PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    digest = digest_of(token).hex()
    stored = StoredToken(
        secrets.token_hex(4), digest, role.value, agent_id, _timestamp(now), expires_at
    )
    _save(client, secret, [*load(client, secret=secret), stored])
    return token, stored


def revoke(client: SecretsManagerClient, token_id: str, *, secret: str = SECRET) -> None:
    """Forget a token. Raises TokenError when there is none of that id."""
    tokens = load(client, secret=secret)
    kept = [token for token in tokens if token.id != token_id]
    if len(kept) == len(tokens):
        raise TokenError(f"There is no token {token_id!r}; `list` shows them.")
    _save(client, secret, kept)


def load(client: SecretsManagerClient, *, secret: str = SECRET) -> list[StoredToken]:
    """Return the stored tokens, oldest first.

    Raises TokenError for a document that the API would refuse.
    """
    text = read_secret(client, secret)
    if text is None:
        return []
    try:
        parse_token_records(text)
        return [StoredToken(**record) for record in json.loads(text)["tokens"]]
    except (UpstreamFailed, TypeError):
        raise TokenError(
            f"The secret {secret} does not hold tokens as this command writes them."
        ) from None


def _save(client: SecretsManagerClient, secret: str, tokens: Sequence[StoredToken]) -> None:
    document = json.dumps({"tokens": [asdict(token) for token in tokens]})
    write_secret(client, secret, document, description=_DESCRIPTION)


def _timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _describe(token: StoredToken) -> str:
    expired = token.expires_at is not None and datetime.fromisoformat(
        token.expires_at
    ) <= datetime.now(UTC)
    until = "no end" if token.expires_at is None else f"until {token.expires_at}"
    whose = f"{token.role:5}  {token.agent_id or '-':20}"
    return f"{token.id}  {whose}  {token.created_at}  {until}{' (expired)' if expired else ''}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Mint, list or revoke bearer tokens of the Friends API."""
    options = _parser().parse_args(arguments)
    adopt_region()
    try:
        _carry_out(options, boto3.client("secretsmanager"))
    except (TokenError, SecretStateError, ClientError, BotoCoreError) as error:
        sys.exit(str(error))


def _carry_out(options: argparse.Namespace, client: SecretsManagerClient) -> None:
    if options.command == "mint":
        token, stored = mint(
            client,
            options.role,
            options.agent_id,
            expires_in_days=options.expires_in_days,
            secret=options.secret,
        )
        print(f"Minted token {stored.id}. Keep it: it is not shown again.", file=sys.stderr)  # noqa: T201 (output)
        print(token)  # noqa: T201 (output)
    elif options.command == "revoke":
        revoke(client, options.id, secret=options.secret)
        print(f"Revoked token {options.id}.", file=sys.stderr)  # noqa: T201 (output)
    else:
        for each in load(client, secret=options.secret):
            print(_describe(each))  # noqa: T201 (output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.tokens", description=main.__doc__)
    parser.add_argument("--secret", default=SECRET, help=f"the secret's name (default: {SECRET})")
    commands: Any = parser.add_subparsers(dest="command", required=True)
    minting = commands.add_parser("mint", help="make a token and print it, once")
    minting.add_argument(
        "--role", type=Role, choices=list(Role), required=True, metavar="admin|agent"
    )
    minting.add_argument("--agent-id", help="whose token it is; for role agent")
    minting.add_argument("--expires-in-days", type=int, help="default: it does not expire")
    revoking = commands.add_parser("revoke", help="forget a token")
    revoking.add_argument("id", help="as `list` shows it")
    commands.add_parser("list", help="show what is known of each token")
    return parser


if __name__ == "__main__":
    main()
