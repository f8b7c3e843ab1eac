"""Store a cluster's kubeconfig where the API reads it, with the operator's own AWS credentials.

The API accepts one plain kind of kubeconfig (chalicelib.gateways.kubeconfig), and its own parser
decides here too. What refers to files on the operator's machine is made inline here, where those
files are; what can never be accepted is refused with a sentence about what to do instead.
"""

from __future__ import annotations

import argparse
import base64
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.errors import UpstreamFailed
from chalicelib.gateways.kubeconfig import parse_kubeconfig
from infra.region import adopt_region
from infra.secret_store import SecretStateError, write_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_secretsmanager import SecretsManagerClient

SECRET_PREFIX: Final = "friends/kubeconfig/"  # noqa: S105 (the secrets' names)

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SERVICE_ACCOUNT: Final = "Use the kubeconfig of a service account, which holds a token."
_REFUSED: Final = {
    "exec": f"runs a program to log in, which the API never does. {_SERVICE_ACCOUNT}",
    "auth-provider": f"logs in through a plug-in, which the API does not have. {_SERVICE_ACCOUNT}",
    "username": f"logs in with a password, which Kubernetes no longer accepts. {_SERVICE_ACCOUNT}",
    "as": "impersonates somebody else, which the API never does. Use the account's own kubeconfig.",
    "insecure-skip-tls-verify": (
        "skips the check of the server's certificate. Give the authority's certificate instead."
    ),
    "proxy-url": "goes through a proxy, which the API never does. Give the server's own address.",
    "tls-server-name": (
        "checks the server's certificate against another name. Use the name that it holds."
    ),
}
# field that names a file -> field that holds its content in base64
_FILES: Final = {
    "certificate-authority": "certificate-authority-data",
    "client-certificate": "client-certificate-data",
    "client-key": "client-key-data",
}
_CLUSTER_FIELDS: Final = ("server", "certificate-authority-data")
_TOKEN_FIELDS: Final = ("token",)
_CERTIFICATE_FIELDS: Final = ("client-certificate-data", "client-key-data")


class KubeconfigError(Exception):
    """The kubeconfig is not one that the API would accept; the message says why and what to do."""


def put_kubeconfig(
    client: SecretsManagerClient, name: str, path: Path, *, allow_loopback: bool = False
) -> datetime | None:
    """Store the current context of a kubeconfig file under a cluster's name. Safe to repeat.

    Returns when its token ends, where it says so. Nothing is stored that the API would refuse, nor
    a token that has ended. allow_loopback is for local runs alone. Raises KubeconfigError and
    SecretStateError.
    """
    if not _NAME.fullmatch(name):
        raise KubeconfigError(
            f"{name!r} cannot name a cluster: use lower-case letters, digits and dashes."
        )
    flat = yaml.safe_dump(flatten(path), sort_keys=False)
    try:
        ends_at = parse_kubeconfig(flat, allow_loopback=allow_loopback).ends_at
    except UpstreamFailed as refusal:
        raise KubeconfigError(f"{path} was not stored. {refusal}") from None
    if ends_at is not None and ends_at <= datetime.now(UTC):
        raise KubeconfigError(
            f"{path} was not stored. Its token ended at {ends_at:%Y-%m-%d %H:%M} UTC: make a new "
            "one for the service account (docs/deploy.md, step 1)."
        )
    description = f"How the Friends API reaches the cluster {name}."
    write_secret(client, SECRET_PREFIX + name, flat, description=description)
    return ends_at


def flatten(path: Path) -> dict[str, Any]:
    """Return the file's current context as a kubeconfig that refers to no file.

    Raises KubeconfigError.
    """
    config = _read(path)
    context_name = config.get("current-context")
    if not context_name:
        raise KubeconfigError(
            f"{path} has no current context: choose one with `kubectl config use-context`."
        )
    context = _named(config, "contexts", context_name, path)["context"]
    cluster = _named(config, "clusters", context.get("cluster"), path)["cluster"]
    user = _named(config, "users", context.get("user"), path)["user"]
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "main", "user": "main"}}],
        "clusters": [{"name": "main", "cluster": _flat(cluster, _CLUSTER_FIELDS, path)}],
        "users": [{"name": "main", "user": _flat_user(user, path)}],
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text())
    except OSError as error:
        raise KubeconfigError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise KubeconfigError(f"{path} is not YAML.") from None
    if not isinstance(config, dict):
        raise KubeconfigError(f"{path} is not a kubeconfig.")
    return config


def _named(config: Mapping[str, Any], kind: str, name: object, path: Path) -> Mapping[str, Any]:
    """Return the entry of that name. It is known to hold a mapping."""
    entries = config.get(kind)
    for entry in entries if isinstance(entries, list) else ():
        if (
            isinstance(entry, dict)
            and entry.get("name") == name
            and isinstance(entry.get(kind[:-1]), dict)
        ):
            return entry
    raise KubeconfigError(f"{path} names {name!r}, which is not among its {kind}.")


def _flat_user(user: Mapping[str, Any], path: Path) -> dict[str, str]:
    """Return one credential: of a token and a client certificate, the token."""
    if user.get("tokenFile") and not user.get("token"):
        user = {**user, "token": _content(path, user["tokenFile"]).decode().strip()}
    return _flat(user, _TOKEN_FIELDS if user.get("token") else _CERTIFICATE_FIELDS, path)


def _flat(entry: Mapping[str, Any], fields: Sequence[str], path: Path) -> dict[str, str]:
    """Return the accepted fields of an entry, with the content of files in place of their names."""
    for field, reason in _REFUSED.items():
        if entry.get(field):
            raise KubeconfigError(f"{path} {reason}")
    inlined = {
        data: _content(path, entry[field]) for field, data in _FILES.items() if entry.get(field)
    }
    files = {data: base64.b64encode(content).decode() for data, content in inlined.items()}
    # As kubectl reads it: content that is there goes before a file, and an empty one does not.
    values = {**entry, **files, **{key: value for key, value in entry.items() if value}}
    return {field: str(values[field]) for field in fields if values.get(field) is not None}


def _content(kubeconfig: Path, name: str) -> bytes:
    path = kubeconfig.parent / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise KubeconfigError(
            f"{kubeconfig} refers to {path}, which cannot be read: {error.strerror}."
        ) from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Store the kubeconfig of a cluster for the Friends API."""
    parser = argparse.ArgumentParser(prog="python -m infra.kubeconfig", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    putting = commands.add_parser(
        "put", help="store the file's current context, as one that refers to no file"
    )
    putting.add_argument("name", help="the cluster's name, as in CLUSTERS")
    putting.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    adopt_region()
    try:
        ends_at = put_kubeconfig(boto3.client("secretsmanager"), options.name, options.file)
    except (KubeconfigError, SecretStateError, ClientError, BotoCoreError) as error:
        sys.exit(str(error))
    until = f" Its token ends at {ends_at:%Y-%m-%d %H:%M} UTC." if ends_at else ""
    print(f"Stored {SECRET_PREFIX}{options.name}.{until}")  # noqa: T201 (a command's output)


if __name__ == "__main__":
    main()
