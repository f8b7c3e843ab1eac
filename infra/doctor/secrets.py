"""The secrets of a deployment: there, well-formed, not placeholders, and not about to end.

A deployment without them would come up and serve nobody, so `make deploy` insists on them too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from cryptography import x509

from chalicelib.domain.errors import UpstreamFailed
from chalicelib.domain.model import Role
from chalicelib.domain.tokens import parse_token_records
from chalicelib.gateways.kubeconfig import ClusterAccess, parse_kubeconfig
from infra.cloudflare import CloudflareTokenError, require_token
from infra.doctor.findings import Finding, Outcome
from infra.doctor.placeholders import is_placeholder
from infra.secret_store import SecretStateError, read_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_secretsmanager import SecretsManagerClient

    from chalicelib.settings import Settings

    # What a secret's text comes to, found under that subject.
    Examine = Callable[[str, str], Finding]

_MINT: Final = "make mint-token ROLE=admin"
_STORE_CLOUDFLARE: Final = "make store-cloudflare-token < file-with-the-token"
# As the stack's parameter CredentialDays has it: the alarm and the doctor say the same.
_SOON: Final = timedelta(days=7)


def check_secrets(client: SecretsManagerClient, settings: Settings) -> Iterator[Finding]:
    """Yield what became of each secret that the settings name."""
    missing = "It is missing, so no caller could log in."
    yield _check(client, settings.api_tokens_secret, _examine_tokens, missing, _MINT)
    for name in settings.cluster_names:
        secret, fix = f"{settings.kubeconfig_secret_prefix}{name}", _store_kubeconfig(name)
        examine = partial(_examine_kubeconfig, settings, fix)
        yield _check(client, secret, examine, "It is missing.", fix)
    if settings.domains:
        missing = "It is missing, and there are Domains to expose on."
        secret = settings.cloudflare_secret
        yield _check(client, secret, _examine_cloudflare, missing, _STORE_CLOUDFLARE)


def _check(
    client: SecretsManagerClient, secret: str, examine: Examine, missing: str, fix: str
) -> Finding:
    """Return what a secret's text comes to; where it cannot be read, that is the finding."""
    subject = f"secret {secret}"
    try:
        text = read_secret(client, secret)
    except SecretStateError as error:
        return Finding(subject, error.fault, error.fix)
    except ClientError as error:
        return Finding(subject, f"{error}", "use credentials that may read it.")
    if text is None:
        return Finding(subject, missing, fix)
    return examine(subject, text)


def _store_kubeconfig(name: str) -> str:
    return f"make store-kubeconfig CLUSTER={name} FILE=/path"


def _examine_tokens(subject: str, text: str) -> Finding:
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


def _examine_kubeconfig(settings: Settings, fix: str, subject: str, text: str) -> Finding:
    try:
        access = parse_kubeconfig(text, allow_loopback=settings.allow_loopback_cluster)
    except UpstreamFailed as refusal:
        return Finding(subject, str(refusal), fix)
    if is_placeholder(access.token or ""):
        return Finding(subject, "Its token is a placeholder.", fix)
    return _examine_end(subject, access, f"{fix}, with a new token or certificate.")


def _examine_end(subject: str, access: ClusterAccess, fix: str) -> Finding:
    what = "token" if access.token is not None else "client certificate"
    ends_at, now = _end_of(access), datetime.now(UTC)
    if ends_at is None:
        return Finding(subject)
    moment = f"{ends_at:%Y-%m-%d %H:%M} UTC"
    if ends_at <= now:
        return Finding(subject, f"Its {what} ended at {moment}.", fix)
    if ends_at <= now + _SOON:
        return Finding(subject, f"Its {what} ends at {moment}.", fix, Outcome.SOON)
    return Finding(f"{subject}: its {what} ends at {moment}")


def _end_of(access: ClusterAccess) -> datetime | None:
    """Return when the credential ends; of a certificate that cannot be read, the cluster tells."""
    if access.client_certificate_pem is None:
        return access.ends_at
    try:
        return x509.load_pem_x509_certificate(access.client_certificate_pem).not_valid_after_utc
    except ValueError:
        return None


def _examine_cloudflare(subject: str, text: str) -> Finding:
    try:
        require_token(text)
    except CloudflareTokenError:
        return Finding(subject, "It holds no API token of Cloudflare's.", _STORE_CLOUDFLARE)
    if is_placeholder(text):
        return Finding(subject, "It is a placeholder.", _STORE_CLOUDFLARE)
    return Finding(subject)
