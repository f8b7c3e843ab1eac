"""The zones: read and written as the API writes them; the record that is tried is gone again."""

from __future__ import annotations

import ipaddress
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import requests

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import RecordSpec
from chalicelib.domain.errors import ApiError
from infra.doctor.findings import Finding, untold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.domain.dns import Domain
    from chalicelib.ports import Dns
    from chalicelib.settings import Settings

_SECONDS: Final = 20
_FIXES: Final = {
    "dns_auth": "create a token with Zone / DNS / Edit on it, and make store-cloudflare-token",
    "dns_zone_unknown": "correct the zone_id, and make deploy with DOMAINS=domains.json",
    "dns_misconfigured": (
        "make store-cloudflare-token < file-with-the-token; where the zone is another's, correct "
        "domains.json, and make deploy with DOMAINS=domains.json"
    ),
}
_OTHERWISE: Final = "try again; cloudflarestatus.com tells what Cloudflare knows"
_CORRECT: Final = "correct domains.json, and make deploy with DOMAINS=domains.json"
_TUNNEL_SUFFIX: Final = ".cfargotunnel.com"
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Names that no public resolver knows. Sources: RFC 6761, 6762, 8375; ICANN's "internal", 2024.
_PRIVATE_NAMES: Final = (".local", ".localhost", ".internal", ".lan", ".home.arpa")


def check_domains(settings: Settings) -> Iterator[Finding]:
    """Yield what is wrong with the domains as they are written, without asking anybody."""
    for domain in settings.domains:
        if fault := _target_fault(domain):
            yield Finding(f"domain {domain.name}", fault, f"{_CORRECT}.")


def _target_fault(domain: Domain) -> str | None:
    target = domain.target
    if target.endswith(_TUNNEL_SUFFIX) and not _UUID.fullmatch(target.removesuffix(_TUNNEL_SUFFIX)):
        return (
            "Its target names the tunnel, where Cloudflare knows it by its id alone: "
            f"<uuid>{_TUNNEL_SUFFIX}, as `cloudflared tunnel list` shows it."
        )
    if domain.proxied and _is_private(target):
        return "Its target is private, so Cloudflare's proxy cannot reach it."
    return None


def _is_private(target: str) -> bool:
    try:
        return not ipaddress.ip_address(target).is_global
    except ValueError:
        return target.endswith(_PRIVATE_NAMES)


def check_zone_names(read_token: Callable[[], str | None], settings: Settings) -> Iterator[Finding]:
    """Yield each domain that lies outside of its zone, and those of which that cannot be told.

    Cloudflare appends the zone's name to a record's that does not end in it, and says ok.
    """
    token = read_token() if settings.domains else None
    for domain in settings.domains:
        subject = f"domain {domain.name}"
        try:
            zone = _zone_name(settings.cloudflare_url, token or "", domain.zone_id)
        except _NotToldError as error:
            how = "give the token Zone / Zone / Read too, or compare the zone's overview."
            yield untold(f"{subject}: its zone's name", f"{error}.", how)
            continue
        if domain.name == zone or domain.name.endswith(f".{zone}"):
            yield Finding(f"{subject}: in the zone {zone}")
        else:
            fault = f"It is not in the zone {zone}, whose zone_id is given."
            yield Finding(subject, fault, f"{_CORRECT}.")


class _NotToldError(Exception):
    """Cloudflare did not tell; the message says why."""


def _zone_name(url: str, token: str, zone_id: str) -> str:
    """Return the zone's name. A token for records alone may not see it. Raises _NotToldError."""
    try:
        answer = requests.get(
            f"{url}/zones/{zone_id}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=_SECONDS,
            allow_redirects=False,
        )
        if answer.status_code != HTTPStatus.OK:
            msg = f"Cloudflare answers {answer.status_code}"
            raise _NotToldError(msg)
        return str(answer.json()["result"]["name"])
    except requests.RequestException as error:
        msg = f"Cloudflare does not answer ({type(error).__name__})"
        raise _NotToldError(msg) from None
    except (LookupError, TypeError, ValueError):
        msg = "Cloudflare's answer is not understood"
        raise _NotToldError(msg) from None


def check_zones(
    dns: Dns, read_token: Callable[[], str | None], settings: Settings
) -> Iterator[Finding]:
    """Yield what became of each domain's zone."""
    yield from check_zone_names(read_token, settings)
    for domain in settings.domains:
        subject = f"zone {domain.name}"
        try:
            written = _write_and_delete(dns, domain)
        except ApiError as error:
            fix = _FIXES.get(error.code, _OTHERWISE)
            yield Finding(subject, f"{error} ({error.code})", fix)
            continue
        if written.endswith(f".{domain.name}"):
            yield Finding(f"{subject}: a record was written and deleted")
        else:
            fault = "The test record got another name: the zone_id is that of another zone."
            yield Finding(subject, fault, f"{_CORRECT}.")


def _write_and_delete(dns: Dns, domain: Domain) -> str:
    """Return the name of the record as the zone has had it."""
    deadline = Deadline.after(_SECONDS)
    name = f"_friends-api-doctor-{uuid4().hex[:8]}.{domain.name}"
    # Its comment does not start as those of exposures do: no pass takes it for one.
    spec = RecordSpec(name, "TXT", '"doctor"', proxied=False, comment="doctor of friends-api")
    record = dns.create(domain.zone_id, spec, deadline)
    dns.delete(domain.zone_id, record.id, deadline)
    return record.spec.name
