"""Store Cloudflare's API token where the API reads it, with the operator's own AWS credentials.

The token is read from standard input, so that it stands in no shell's history and no process list.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.region import adopt_region
from infra.secret_store import SecretStateError, write_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_secretsmanager import SecretsManagerClient

SECRET: Final = "friends/cloudflare"  # noqa: S105 (the secret's name)

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{20,200}")


class CloudflareTokenError(Exception):
    """This is no API token; the message says what to do."""


def put_token(client: SecretsManagerClient, token: str) -> None:
    """Store the token. Safe to repeat. Raises CloudflareTokenError."""
    require_token(token)
    write_secret(client, SECRET, token, description="Cloudflare API token: Zone.DNS:Edit")


def require_token(token: str) -> None:
    """Raise CloudflareTokenError for what cannot be an API token."""
    if not _TOKEN.fullmatch(token):
        raise CloudflareTokenError(
            "This is no API token of Cloudflare's. Create one with the permission Zone / DNS / "
            "Edit on your zones (dash.cloudflare.com, My Profile, API Tokens), and pipe it in."
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Store Cloudflare's API token for the Friends API."""
    parser = argparse.ArgumentParser(prog="python -m infra.cloudflare", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("put", help="store the token that standard input holds")
    parser.parse_args(arguments)
    adopt_region()
    try:
        put_token(boto3.client("secretsmanager"), sys.stdin.read().strip())
    except (CloudflareTokenError, SecretStateError, ClientError, BotoCoreError) as error:
        sys.exit(str(error))
    print(f"Stored {SECRET}.")  # noqa: T201 (a command's output)


if __name__ == "__main__":
    main()
