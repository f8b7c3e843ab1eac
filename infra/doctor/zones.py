"""The zones: read and written as the API writes them; the record that is tried is gone again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid4

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import RecordSpec
from chalicelib.domain.errors import ApiError
from infra.doctor.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.domain.dns import Domain
    from chalicelib.ports import Dns
    from chalicelib.settings import Settings

_SECONDS: Final = 20
_FIXES: Final = {
    "dns_auth": "create a token with Zone / DNS / Edit on it, and make store-cloudflare-token",
    "dns_zone_unknown": "correct the zone_id, and make deploy with DOMAINS=domains.json",
    "dns_misconfigured": "make store-cloudflare-token < file-with-the-token",
}
_OTHERWISE: Final = "try again; cloudflarestatus.com tells what Cloudflare knows"


def check_zones(dns: Dns, settings: Settings) -> Iterator[Finding]:
    """Yield what became of each domain's zone."""
    for domain in settings.domains:
        subject = f"zone {domain.name}"
        try:
            _write_and_delete(dns, domain)
        except ApiError as error:
            fix = _FIXES.get(error.code, _OTHERWISE)
            yield Finding(subject, f"{error} ({error.code})", fix)
        else:
            yield Finding(f"{subject}: a record was written and deleted")


def _write_and_delete(dns: Dns, domain: Domain) -> None:
    deadline = Deadline.after(_SECONDS)
    name = f"_friends-api-doctor-{uuid4().hex[:8]}.{domain.name}"
    # Its comment does not start as those of exposures do: no pass takes it for one.
    spec = RecordSpec(name, "TXT", '"doctor"', proxied=False, comment="doctor of friends-api")
    record = dns.create(domain.zone_id, spec, deadline)
    dns.delete(domain.zone_id, record.id, deadline)
