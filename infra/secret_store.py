"""Secrets that an operator writes with their own credentials; deployed functions only read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_secretsmanager import SecretsManagerClient


class SecretStateError(Exception):
    """The secret is there and cannot be used as it is. fault says why, and fix what to do first."""

    def __init__(self, fault: str, fix: str) -> None:
        """Say both."""
        super().__init__(f"{fault} Fix: {fix}")
        self.fault = fault
        self.fix = fix


def read_secret(client: SecretsManagerClient, name: str) -> str | None:
    """Return the secret's current value; None when it does not exist, or has no value yet.

    Raises SecretStateError when it is to be deleted, or is no text.
    """
    try:
        answer: Mapping[str, Any] = client.get_secret_value(SecretId=name)
    except ClientError as error:
        code = _code(error)
        if code == "ResourceNotFoundException":
            return None
        if code == "InvalidRequestException":
            raise _unusable(name) from None
        raise
    if "SecretString" not in answer:
        delete = "aws secretsmanager delete-secret --force-delete-without-recovery"
        fix = f"delete it (`{delete} --secret-id {name}`), and store it anew."
        raise SecretStateError(f"The secret {name} holds bytes, not text.", fix)
    return str(answer["SecretString"])


def write_secret(client: SecretsManagerClient, name: str, value: str, *, description: str) -> None:
    """Store a value, making the secret when there is none. Safe to repeat.

    The last writer wins: Secrets Manager has no conditional write. Raises SecretStateError when the
    secret is to be deleted.
    """
    try:
        client.create_secret(Name=name, SecretString=value, Description=description)
    except ClientError as error:
        if _code(error) == "InvalidRequestException":
            raise _unusable(name) from None
        if _code(error) != "ResourceExistsException":
            raise
        _put(client, name, value)


def _put(client: SecretsManagerClient, name: str, value: str) -> None:
    try:
        client.put_secret_value(SecretId=name, SecretString=value)
    except ClientError as error:
        if _code(error) == "InvalidRequestException":
            raise _unusable(name) from None
        raise


def _unusable(name: str) -> SecretStateError:
    """Return the error for what Secrets Manager calls an invalid request about this secret."""
    fix = f"`aws secretsmanager restore-secret --secret-id {name}`, then store it anew if need be."
    return SecretStateError(f"The secret {name} is scheduled for deletion.", fix)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
