"""Secrets that an operator writes with their own credentials; deployed functions only read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def read_secret(client: SecretsManagerClient, name: str) -> str | None:
    """Return the secret's current value; None when it does not exist, or has no value yet."""
    try:
        return client.get_secret_value(SecretId=name)["SecretString"]
    except ClientError as error:
        if _code(error) == "ResourceNotFoundException":
            return None
        raise


def write_secret(client: SecretsManagerClient, name: str, value: str, *, description: str) -> None:
    """Store a value, making the secret when there is none. Safe to repeat.

    The last writer wins: Secrets Manager has no conditional write.
    """
    try:
        client.create_secret(Name=name, SecretString=value, Description=description)
    except ClientError as error:
        if _code(error) != "ResourceExistsException":
            raise
        client.put_secret_value(SecretId=name, SecretString=value)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
