"""The targets of Cloudflare's contract: the double, and the real API if the environment names one.

CLOUDFLARE_CONTRACT_URL, _TOKEN, _ZONE_ID and _DOMAIN name a real zone. The suite creates records
under a random label there and removes them again.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from cloudflare import Cloudflare, NotFoundError

from infra.local.cloudflare import CloudflareDouble, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

REAL = all(
    os.environ.get(f"CLOUDFLARE_CONTRACT_{name}") for name in ("URL", "TOKEN", "ZONE_ID", "DOMAIN")
)


@dataclass(frozen=True)
class Target:
    """A zone to try the contract on, and the official client that checks every answer's shape."""

    client: Cloudflare
    url: str
    token: str
    zone_id: str
    domain: str
    label: str = field(default_factory=lambda: f"contract-{secrets.token_hex(5)}")

    def host(self, name: str) -> str:
        """Return a host name that no other run of the suite uses."""
        return f"{name}-{self.label}.{self.domain}"

    def clean(self) -> None:
        """Remove what the suite has left in the zone."""
        for record in list(
            self.client.dns.records.list(zone_id=self.zone_id, name={"contains": self.label})
        ):
            try:
                self.client.dns.records.delete(record.id, zone_id=self.zone_id)
            except NotFoundError:
                continue


def create_target(url: str, token: str, zone_id: str, domain: str) -> Target:
    """Return a target whose client refuses answers that are not shaped as Cloudflare says."""
    client = Cloudflare(
        api_token=token, base_url=url, max_retries=0, _strict_response_validation=True
    )
    return Target(client, url, token, zone_id, domain)


@pytest.fixture
def double() -> Iterator[CloudflareDouble]:
    """A double with one empty zone."""
    with serve() as cloudflare:
        yield cloudflare


@pytest.fixture(params=["double", *(["real"] if REAL else [])])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """Each system that the contract is held against."""
    if request.param == "real":
        names = ("URL", "TOKEN", "ZONE_ID", "DOMAIN")
        target = create_target(*(os.environ[f"CLOUDFLARE_CONTRACT_{name}"] for name in names))
    else:
        cloudflare: CloudflareDouble = request.getfixturevalue("double")
        zone_id, domain = next(iter(cloudflare.zones.items()))
        target = create_target(cloudflare.url, cloudflare.token, zone_id, domain)
    with target.client:
        yield target
        target.clean()
