"""A secret that is missing, malformed or a placeholder is named with what stores it."""

import base64
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError

from chalicelib.settings import Settings
from infra.cloudformation import DeployError
from infra.deploy import require_secrets
from infra.doctor.placeholders import is_placeholder
from infra.doctor.secrets import check_secrets
from infra.local.certificates import Validity, build_server_tls
from infra.local.cluster import ClusterDouble
from infra.stages import StageError, load_settings
from tests.factories import EXPIRED_TOKEN, create_token_record, create_tokens_document
from tests.harness import create_backend

DOMAINS = (
    '[{"name": "example.net", "zone_id": "0123456789abcdef0123456789abcdef", "target": "x.y"}]'
)
TOKEN = "Zm9vYmFyLWZvb2Jhci1mb29iYXIgQ2xvdWRmbGFyZQ"


@pytest.fixture
def settings(aws: None, kube: ClusterDouble) -> Settings:
    """The local stage's, with a domain; its secrets are stored, but for Cloudflare's."""
    create_backend(kube.kubeconfig())
    return load_settings("local", {"Domains": DOMAINS})


def store(name: str, value: str) -> None:
    client = boto3.client("secretsmanager")
    try:
        client.create_secret(Name=name, SecretString=value)
    except client.exceptions.ResourceExistsException:
        client.put_secret_value(SecretId=name, SecretString=value)


def faults(settings: Settings) -> list[str]:
    findings = check_secrets(boto3.client("secretsmanager"), settings)
    return [str(each) for each in findings if not each.is_well]


def test_stored_secrets_are_well(settings: Settings) -> None:
    store("friends/cloudflare", TOKEN)
    assert faults(settings) == []
    require_secrets(settings)


def test_cloudflares_token_is_wanted_where_there_are_domains(settings: Settings) -> None:
    (fault,) = faults(settings)
    assert fault == (
        "FAIL  secret friends/cloudflare: It is missing, and there are Domains to expose on. "
        "Fix: make store-cloudflare-token < file-with-the-token"
    )
    assert faults(load_settings("local", {})) == []


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("friends/api-tokens", "{}", "make mint-token ROLE=admin"),
        ("friends/api-tokens", '{"tokens": []}', "make mint-token ROLE=admin"),
        (
            "friends/api-tokens",
            create_tokens_document(
                create_token_record(EXPIRED_TOKEN, expires_at="2026-01-01T00:00:00Z")
            ),
            "make mint-token ROLE=admin",
        ),
        (
            "friends/api-tokens",
            create_tokens_document(create_token_record("changeme")),
            "make mint-token ROLE=admin",
        ),
        ("friends/kubeconfig/main", "REPLACE_ME", "make store-kubeconfig CLUSTER=main FILE=/path"),
        ("friends/cloudflare", "changeme-changeme-changeme", "make store-cloudflare-token"),
        ("friends/cloudflare", "x" * 40, "make store-cloudflare-token"),
        ("friends/cloudflare", "<token>", "make store-cloudflare-token"),
    ],
)
def test_a_placeholder_is_refused_with_what_stores_the_real_one(
    settings: Settings, name: str, value: str, fix: str
) -> None:
    store("friends/cloudflare", TOKEN)
    store(name, value)
    (fault,) = faults(settings)
    assert name in fault
    assert fix in fault
    assert value not in fault
    with pytest.raises(DeployError, match="Nothing was deployed"):
        require_secrets(settings)


def test_a_placeholder_in_a_well_formed_kubeconfig_is_noticed(
    settings: Settings, kube: ClusterDouble
) -> None:
    store("friends/cloudflare", TOKEN)
    kubeconfig: Any = kube.kubeconfig()
    (line,) = (each for each in kubeconfig.splitlines() if "token:" in each)
    store("friends/kubeconfig/main", kubeconfig.replace(line.split()[-1], "REPLACE-ME"))
    (fault,) = faults(settings)
    assert fault == (
        "FAIL  secret friends/kubeconfig/main: Its token is a placeholder. "
        "Fix: make store-kubeconfig CLUSTER=main FILE=/path"
    )


@pytest.mark.case("W9")
@pytest.mark.parametrize(
    "token",
    [
        "Zm9vtodoYmFyLWZvb2Jhci1mb29iYXIgQ2xvdWRm",
        "x7Kp2todoQ9vLm4RtY8bNc3WzT6uJh5gFd1sAe0P",
        "q8Zr1v-todo-T5mWc9Lx2Nk7Ye4Bh6Jp3Fd0Gs8A",
        "a1B2c3D4e5_TODO_f6G7h8J9k0L1m2N3p4Q5r6S7",
        "pLaCeHoLdEr9x8Y7w6V5u4T3s2R1q0P9o8N7m6L5",
        "YourExampleDummy7f3K9qX2vB8nM4cL6zT1wR5j",
    ],
)
def test_a_random_token_that_spells_a_word_is_no_placeholder(
    settings: Settings, token: str
) -> None:
    store("friends/cloudflare", token)
    assert faults(settings) == []


def test_random_tokens_are_no_placeholders() -> None:
    numbers = random.Random(9)  # noqa: S311 - the same tokens each time
    tokens = (base64.urlsafe_b64encode(numbers.randbytes(30)).decode() for _ in range(20_000))
    assert [each for each in tokens if is_placeholder(each)] == []


@pytest.mark.case("W9")
@pytest.mark.parametrize(
    "text",
    [
        "todo-todo-todo-todo-todo",
        "your-cloudflare-api-token-goes-here",
        "PASTE_YOUR_TOKEN_HERE_0123456789",
        "replace-this-with-your-own-token",
        "Change-Me-Change-Me-Change-Me",
        "<the token>",
        "0" * 40,
    ],
)
def test_a_placeholder_says_so_in_whole_words(text: str) -> None:
    assert is_placeholder(text)


def token_that_ends(ends_in: timedelta) -> str:
    claims = json.dumps({"exp": int((datetime.now(UTC) + ends_in).timestamp())}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


def with_user(kube: ClusterDouble, user: dict[str, str]) -> str:
    config = yaml.safe_load(kube.kubeconfig())
    config["users"][0]["user"] = user
    return yaml.safe_dump(config)


def finding_of_kubeconfig(settings: Settings) -> str:
    findings = map(str, check_secrets(boto3.client("secretsmanager"), settings))
    return next(each for each in findings if "friends/kubeconfig/main" in each)


@pytest.mark.case("W7")
@pytest.mark.parametrize(
    ("ends_in", "line"),
    [
        (timedelta(days=-1), "FAIL  secret friends/kubeconfig/main: Its token ended at 20"),
        (timedelta(days=1), "warn  secret friends/kubeconfig/main: Its token ends at 20"),
        (timedelta(seconds=-1), "FAIL  secret friends/kubeconfig/main: Its token ended at 20"),
        (timedelta(days=6), "warn  secret friends/kubeconfig/main: Its token ends at 20"),
        (timedelta(days=89), "ok    secret friends/kubeconfig/main: its token ends at 20"),
    ],
)
def test_a_token_that_ends_is_told(
    settings: Settings, kube: ClusterDouble, ends_in: timedelta, line: str
) -> None:
    store("friends/kubeconfig/main", with_user(kube, {"token": token_that_ends(ends_in)}))
    finding = finding_of_kubeconfig(settings)
    assert finding.startswith(line)
    assert finding.startswith("ok") or "make store-kubeconfig CLUSTER=main" in finding


@pytest.mark.case("W7")
@pytest.mark.parametrize(("days", "line"), [(-1, "FAIL"), (1, "warn"), (90, "ok "), (None, "ok ")])
def test_a_client_certificate_that_ends_is_told(
    settings: Settings, kube: ClusterDouble, days: int | None, line: str
) -> None:
    certificate = "no certificate"
    if days is not None:
        validity = Validity(-9, days)
        _, certificate = build_server_tls(validity=validity, is_self_signed=True)
    pem = base64.b64encode(certificate.encode()).decode()
    user = {"client-certificate-data": pem, "client-key-data": "eA=="}
    store("friends/kubeconfig/main", with_user(kube, user))
    assert finding_of_kubeconfig(settings).startswith(line)


@pytest.mark.case("W3")
@pytest.mark.parametrize(
    "name", ["friends/api-tokens", "friends/kubeconfig/main", "friends/cloudflare"]
)
def test_a_secret_in_no_state_to_be_read_is_a_line_and_the_others_are_tried(
    settings: Settings, name: str
) -> None:
    store("friends/cloudflare", TOKEN)
    client = boto3.client("secretsmanager")
    client.put_secret_value(SecretId=name, SecretBinary=b"\x00")
    (fault,) = faults(settings)
    assert f"{name} holds bytes, not text. Fix: delete it" in fault
    client.delete_secret(SecretId=name)
    (fault,) = faults(settings)
    assert "is scheduled for deletion. Fix: `aws secretsmanager restore-secret" in fault
    assert len(list(check_secrets(client, settings))) == 3


@pytest.mark.case("W3")
def test_a_secret_that_the_operator_may_not_read_is_a_line(settings: Settings) -> None:
    client = boto3.client("secretsmanager")
    refusal = ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetSecretValue")
    with mock.patch.object(client, "get_secret_value", side_effect=refusal):
        found = [str(each) for each in check_secrets(client, settings)]
    assert [each.endswith("Fix: use credentials that may read it.") for each in found] == [True] * 3


def test_a_stage_that_is_not_configured_is_refused() -> None:
    with pytest.raises(StageError, match="local, prod"):
        load_settings("nowhere", {})
