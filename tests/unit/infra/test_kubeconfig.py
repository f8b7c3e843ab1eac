"""Storing a kubeconfig: flattened, or refused with a sentence about what to do."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError

from chalicelib.gateways.kubeconfig import parse_kubeconfig
from infra.kubeconfig import SECRET_PREFIX, KubeconfigError, main, put_kubeconfig
from infra.secret_store import SecretStateError
from tests.factories import KUBECONFIG_SECRETS

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_secretsmanager import SecretsManagerClient

CA = KUBECONFIG_SECRETS["authority"].encode()


@pytest.fixture
def client(aws: None) -> SecretsManagerClient:
    """Secrets Manager without any secret."""
    del aws
    return boto3.client("secretsmanager")


def create_kubeconfig(
    directory: Path, user: dict[str, Any] | None = None, **cluster: object
) -> Path:
    """Write a kubeconfig with two contexts, the current one with this user and cluster."""
    (directory / "ca.crt").write_bytes(CA)
    server = {"server": "https://k8s.example:6443", "certificate-authority": "ca.crt", **cluster}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "ours",
        "contexts": [
            {"name": "ours", "context": {"cluster": "c", "user": "u"}},
            {"name": "other", "context": {"cluster": "c", "user": "root"}},
        ],
        "clusters": [{"name": "c", "cluster": server}],
        "users": [
            {"name": "root", "user": {"token": "not-to-be-stored"}},
            {"name": "u", "user": user or {"token": "abc"}},
        ],
    }
    path = directory / "config"
    path.write_text(yaml.safe_dump(config))
    return path


def stored_text(client: SecretsManagerClient) -> str:
    return client.get_secret_value(SecretId=f"{SECRET_PREFIX}main")["SecretString"]


def test_files_that_it_refers_to_are_made_inline(
    client: SecretsManagerClient, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    put_kubeconfig(client, "main", create_kubeconfig(tmp_path, {"tokenFile": "token"}))
    access = parse_kubeconfig(stored_text(client), allow_loopback=False)
    assert (access.server, access.token) == ("https://k8s.example:6443", "from-a-file")
    assert access.ca_pem == CA.decode()


def test_a_client_certificate_is_stored_with_its_key(
    client: SecretsManagerClient, tmp_path: Path
) -> None:
    (tmp_path / "key").write_bytes(b"key")
    user = {
        "client-certificate-data": base64.b64encode(b"cert").decode(),
        "client-key": str(tmp_path / "key"),
    }
    put_kubeconfig(client, "main", create_kubeconfig(tmp_path, user))
    access = parse_kubeconfig(stored_text(client), allow_loopback=False)
    assert (access.client_certificate_pem, access.client_key_pem) == (b"cert", b"key")


def test_only_the_current_context_leaves_the_machine(
    client: SecretsManagerClient, tmp_path: Path
) -> None:
    put_kubeconfig(client, "main", create_kubeconfig(tmp_path))
    assert "not-to-be-stored" not in stored_text(client)


def test_storing_again_replaces_it(client: SecretsManagerClient, tmp_path: Path) -> None:
    for token in ("first", "second"):
        put_kubeconfig(client, "main", create_kubeconfig(tmp_path, {"token": token}))
    assert parse_kubeconfig(stored_text(client), allow_loopback=False).token == "second"


@pytest.mark.parametrize(
    ("user", "cluster", "reason"),
    [
        ({"exec": {"command": "aws"}}, {}, "runs a program"),
        ({"auth-provider": {"name": "oidc"}}, {}, "plug-in"),
        ({"username": "root", "password": "x"}, {}, "password"),
        ({"token": "abc", "as": "root"}, {}, "impersonates"),
        ({"tokenFile": "nowhere"}, {}, "cannot be read"),
        ({"client-key-data": "a2V5"}, {}, "client-certificate-data|token"),
        ({}, {"insecure-skip-tls-verify": True}, "skips the check"),
        ({}, {"proxy-url": "http://proxy"}, "proxy"),
        ({}, {"server": "http://k8s.example"}, "https"),
        ({}, {"server": "https://127.0.0.1:6443"}, "loopback, link-local or metadata"),
    ],
)
def test_what_the_api_would_not_accept_is_refused_and_not_stored(
    client: SecretsManagerClient,
    tmp_path: Path,
    user: dict[str, Any],
    cluster: dict[str, Any],
    reason: str,
) -> None:
    with pytest.raises(KubeconfigError, match=reason):
        put_kubeconfig(client, "main", create_kubeconfig(tmp_path, user, **cluster))
    assert client.list_secrets()["SecretList"] == []


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.case("W6")
@pytest.mark.parametrize(
    ("cluster", "reason"),
    [
        ({"certificate-authority-data": b64(b64(CA).encode())}, "is encoded twice"),
        ({"certificate-authority-data": b64(b"-----BEGIN PRIVATE KEY-----")}, "a private key"),
        ({"certificate-authority": "", "certificate-authority-data": ""}, "is empty"),
        ({"certificate-authority": "empty"}, "is empty"),
        ({"certificate-authority": "config"}, "is not a certificate in PEM"),
    ],
)
def test_an_authority_that_is_no_certificate_is_not_stored(
    client: SecretsManagerClient, tmp_path: Path, cluster: dict[str, Any], reason: str
) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(KubeconfigError, match=f"certificate-authority-data .*{reason}"):
        put_kubeconfig(client, "main", create_kubeconfig(tmp_path, **cluster))
    assert client.list_secrets()["SecretList"] == []


@pytest.mark.case("W6")
@pytest.mark.parametrize(
    ("cluster", "stored"),
    [
        ({"certificate-authority-data": base64.encodebytes(CA).decode()}, CA.decode()),
        ({"certificate-authority-data": ""}, CA.decode()),
        ({"certificate-authority": None}, None),
    ],
    ids=["in lines", "a file, and nothing beside it", "a public certificate"],
)
def test_an_authority_is_stored_as_kubectl_reads_it(
    client: SecretsManagerClient, tmp_path: Path, cluster: dict[str, Any], stored: str | None
) -> None:
    put_kubeconfig(client, "main", create_kubeconfig(tmp_path, **cluster))
    assert parse_kubeconfig(stored_text(client), allow_loopback=False).ca_pem == stored


def token_that_ends(ends_in: timedelta) -> str:
    claims = json.dumps({"exp": int((datetime.now(UTC) + ends_in).timestamp())}).encode()
    return f"e30.{b64(claims).rstrip('=')}.c2ln"


@pytest.mark.case("W7")
@pytest.mark.parametrize("ends_in", [timedelta(days=-1), timedelta(seconds=-1)])
def test_a_token_that_has_ended_is_not_stored(
    client: SecretsManagerClient, tmp_path: Path, ends_in: timedelta
) -> None:
    path = create_kubeconfig(tmp_path, {"token": token_that_ends(ends_in)})
    with pytest.raises(KubeconfigError, match=r"was not stored\. Its token ended at 20"):
        put_kubeconfig(client, "main", path)
    assert client.list_secrets()["SecretList"] == []


@pytest.mark.case("W7")
@pytest.mark.parametrize(
    ("token", "says"),
    [
        (token_that_ends(timedelta(days=1)), "Stored friends/kubeconfig/main. Its token ends at 2"),
        ("opaque", "Stored friends/kubeconfig/main.\n"),
    ],
    ids=["a day", "a token that says nothing"],
)
def test_storing_a_token_prints_when_it_expires(
    client: SecretsManagerClient,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    token: str,
    says: str,
) -> None:
    main(["put", "main", str(create_kubeconfig(tmp_path, {"token": token}))])
    assert capsys.readouterr().out.startswith(says)


@pytest.mark.case("W3")
def test_a_secret_that_is_to_be_deleted_is_told_with_its_fix(
    client: SecretsManagerClient, tmp_path: Path
) -> None:
    # As AWS answers, and moto does not: it makes another of that name.
    refusal = ClientError({"Error": {"Code": "InvalidRequestException"}}, "CreateSecret")
    restore = "restore-secret --secret-id friends/kubeconfig/main"
    with (
        mock.patch.object(client, "create_secret", side_effect=refusal),
        pytest.raises(SecretStateError, match=restore),
    ):
        put_kubeconfig(client, "main", create_kubeconfig(tmp_path))
