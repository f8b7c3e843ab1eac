"""A secret that is missing, malformed or a placeholder is named with what stores it."""

from typing import Any

import boto3
import pytest

from chalicelib.settings import Settings
from infra.cloudformation import DeployError
from infra.deploy import require_secrets
from infra.doctor.secrets import check_secrets
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


def test_a_stage_that_is_not_configured_is_refused() -> None:
    with pytest.raises(StageError, match="local, prod"):
        load_settings("nowhere", {})
