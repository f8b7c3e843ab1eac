"""The secrets of a deployment: there, well-formed, and not placeholders.

A deployment without them would come up and serve nobody, so `make deploy` insists on them too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from chalicelib.domain.errors import UpstreamFailed
from chalicelib.domain.model import Role
from chalicelib.domain.tokens import parse_token_records
from chalicelib.gateways.kubeconfig import parse_kubeconfig
from infra.cloudflare import CloudflareTokenError, require_token
from infra.doctor.findings import Finding
from infra.secret_store import read_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_secretsmanager import SecretsManagerClient

    from chalicelib.settings import Settings

_PLACEHOLDER: Final = re.compile(
    r"(change|replace)[-_ ]?me|placeholder|todo|your[-_ ]|<[^>]*>|(.)\2{15}", re.IGNORECASE
)
_MINT: Final = "make mint-token ROLE=admin"
_STORE_CLOUDFLARE: Final = "make store-cloudflare-token < file-with-the-token"


def check_secrets(client: SecretsManagerClient, settings: Settings) -> Iterator[Finding]:
    """Yield what became of each secret that the settings name."""
    yield _check_tokens(client, settings.api_tokens_secret)
    for name in settings.cluster_names:
        yield _check_kubeconfig(client, settings, name)
    if settings.domains:
        yield _check_cloudflare(client, settings.cloudflare_secret)


def _check_tokens(client: SecretsManagerClient, secret: str) -> Finding:
    subject = f"secret {secret}"
    text = read_secret(client, secret)
    if text is None:
        return Finding(subject, "It is missing, so nobody could get in.", _MINT)
    try:
        records = parse_token_records(text)
    except UpstreamFailed:
        fix = f"delete the secret and mint tokens anew: {_MINT}"
        return Finding(subject, "It holds no tokens as the API reads them, or placeholders.", fix)
    now = datetime.now(UTC)
    valid = [each for each in records if each.expires_at is None or each.expires_at > now]
    if not any(each.principal.role is Role.ADMIN for each in valid):
        return Finding(subject, "No admin's token in it is valid.", _MINT)
    return Finding(f"{subject}: {len(valid)} valid tokens")


def _check_kubeconfig(client: SecretsManagerClient, settings: Settings, name: str) -> Finding:
    secret = f"{settings.kubeconfig_secret_prefix}{name}"
    subject, fix = f"secret {secret}", f"make store-kubeconfig CLUSTER={name} FILE=/path"
    text = read_secret(client, secret)
    if text is None:
        return Finding(subject, "It is missing.", fix)
    try:
        access = parse_kubeconfig(text, allow_loopback=settings.allow_loopback_cluster)
    except UpstreamFailed as refusal:
        return Finding(subject, str(refusal), fix)
    if _PLACEHOLDER.search(access.token or ""):
        return Finding(subject, "Its token is a placeholder.", fix)
    return Finding(subject)


def _check_cloudflare(client: SecretsManagerClient, secret: str) -> Finding:
    subject = f"secret {secret}"
    token = read_secret(client, secret)
    if token is None:
        fault = "It is missing, and there are Domains to expose on."
        return Finding(subject, fault, _STORE_CLOUDFLARE)
    try:
        require_token(token)
    except CloudflareTokenError:
        return Finding(subject, "It holds no API token of Cloudflare's.", _STORE_CLOUDFLARE)
    if _PLACEHOLDER.search(token):
        return Finding(subject, "It is a placeholder.", _STORE_CLOUDFLARE)
    return Finding(subject)
