"""One pass over a zone: pages and batches, never a call for each exposure."""

from dataclasses import replace

import pytest

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.model import Exposure
from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.services.zones import converge_zone
from infra.local.cloudflare import CloudflareDouble
from tests.exposures import create_domain, create_exposure

ZONE_ID = "0123456789abcdef0123456789abcdef"
DOMAIN = create_domain(zone_id=ZONE_ID)
SOON = Deadline.after(60)


@pytest.fixture
def dns(cloudflare: CloudflareDouble) -> CloudflareDns:
    """The zones, through the product's own gateway."""
    return CloudflareDns(lambda: cloudflare.token, url=cloudflare.url)


def create_exposures(count: int) -> list[Exposure]:
    return [
        create_exposure(name=f"a{number}", hostname=f"a{number}-alice.{DOMAIN.name}")
        for number in range(count)
    ]


@pytest.mark.parametrize(("count", "batches"), [(1, 1), (200, 1), (201, 2), (500, 3)])
def test_new_exposures_cost_one_page_and_a_batch_for_each_two_hundred(
    dns: CloudflareDns, cloudflare: CloudflareDouble, count: int, batches: int
) -> None:
    exposures = create_exposures(count)
    changes = converge_zone(dns, DOMAIN, exposures, SOON)
    assert len(changes.created) == count
    methods = [each.method for each in cloudflare.requests]
    assert (methods.count("GET"), methods.count("POST")) == (1, batches)
    assert len(cloudflare.records(ZONE_ID)) == count


def test_a_clean_zone_costs_its_pages_and_no_write(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    exposures = create_exposures(500)
    converge_zone(dns, DOMAIN, exposures, SOON)
    cloudflare.requests.clear()
    assert converge_zone(dns, DOMAIN, exposures, SOON).is_empty
    assert [each.method for each in cloudflare.requests] == ["GET"]


def test_what_differs_is_mended_and_what_nobody_wants_goes(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    exposures = create_exposures(3)
    converge_zone(dns, replace(DOMAIN, target="old.example.net"), exposures, SOON)
    converge_zone(dns, DOMAIN, exposures[1:], SOON)
    held = sorted((each["name"], each["content"]) for each in cloudflare.records(ZONE_ID))
    assert held == [(each.hostname, DOMAIN.target) for each in exposures[1:]]


def test_g07_what_is_not_ours_stays_in_a_pass_too(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    exposures = create_exposures(2)
    cloudflare.seed(ZONE_ID, type="A", name=exposures[0].hostname, content="198.51.100.7")
    cloudflare.seed(ZONE_ID, type="TXT", name=f"note.{DOMAIN.name}", content="ours", comment="x")
    before = cloudflare.records(ZONE_ID)
    changes = converge_zone(dns, DOMAIN, exposures, SOON)
    assert [each.name for each in changes.created] == [exposures[1].hostname]
    assert [each for each in cloudflare.records(ZONE_ID) if each in before] == before
