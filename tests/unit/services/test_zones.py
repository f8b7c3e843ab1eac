"""One pass over a zone: pages and batches, never a call for each exposure."""

import math
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Domain
from chalicelib.domain.model import Exposure
from chalicelib.domain.reconciliation import Findings
from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.gateways.dynamodb import DynamoFriendStore
from chalicelib.gateways.exposures import DynamoExposureStore
from chalicelib.gateways.table import Table
from chalicelib.services.leases import new_term
from chalicelib.services.zones import Zones, ZoneView, view_zone
from infra.local.cloudflare import CloudflareDouble
from tests.exposures import create_domain, create_exposure
from tests.factories import create_friend
from tests.harness import TABLE, create_backend

ZONE_ID = "0123456789abcdef0123456789abcdef"
DOMAIN = create_domain(zone_id=ZONE_ID)
NEVER = Deadline(math.inf)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def table(aws: None) -> Table:
    """An empty table with one friend, alice."""
    create_backend("no kubeconfig is needed here")
    table = Table(AwsClients(), TABLE)
    DynamoFriendStore(table).create(create_friend(), None)
    return table


@pytest.fixture
def zones(table: Table, cloudflare: CloudflareDouble) -> Zones:
    """The zones, through the product's own gateways."""
    dns = CloudflareDns(lambda: cloudflare.token, None, url=cloudflare.url)
    return Zones(dns, DynamoExposureStore(table), now)


def create_exposures(table: Table, count: int) -> list[Exposure]:
    """Return so many recorded exposures, without their records."""
    store, exposures = DynamoExposureStore(table), []
    for number in range(count):
        hostname = f"a{number}-alice.{DOMAIN.name}"
        exposure = create_exposure(name=f"a{number}", hostname=hostname)
        store.claim(create_friend(), exposure, new_term("test", now).lease, time.time())
        store.release(exposure, "test")
        exposures.append(exposure)
    return exposures


def recorded(table: Table) -> tuple[Exposure, ...]:
    record = DynamoFriendStore(table).load("alice")
    assert record is not None
    return record.exposures


def converge(zones: Zones, exposures: list[Exposure], domain: Domain = DOMAIN) -> ZoneView:
    """Converge what differs, and return what did."""
    observed = zones.observe(domain, NEVER)
    view = view_zone(domain, exposures, observed)
    zones.delete(domain, view.strays, NEVER)
    zones.converge(domain, view.drifted, NEVER, Findings())
    return view


@pytest.mark.parametrize(("count", "batches"), [(1, 1), (200, 1), (201, 2)])
def test_new_exposures_cost_one_page_and_a_batch_for_each_two_hundred(
    zones: Zones, table: Table, cloudflare: CloudflareDouble, count: int, batches: int
) -> None:
    view = converge(zones, create_exposures(table, count))
    assert len(view.drifted) == count
    methods = [each.method for each in cloudflare.requests]
    # A page before, and a page for each batch; and the zone's name, once.
    assert (methods.count("GET"), methods.count("POST")) == (2 + batches, batches)
    ids = {each["id"] for each in cloudflare.records(ZONE_ID)}
    assert {each.record_id for each in recorded(table)} == ids
    assert len(ids) == count


def test_a_clean_zone_costs_its_pages_and_no_write(
    zones: Zones, table: Table, cloudflare: CloudflareDouble
) -> None:
    converge(zones, create_exposures(table, 30))
    cloudflare.requests.clear()
    view = converge(zones, list(recorded(table)))
    assert (view.ours, view.drifted, view.strays, view.blocked) == (30, (), (), ())
    assert [each.method for each in cloudflare.requests] == ["GET"]


def test_what_differs_is_mended_and_what_nobody_wants_goes(
    zones: Zones, table: Table, cloudflare: CloudflareDouble
) -> None:
    exposures = create_exposures(table, 3)
    converge(zones, exposures, replace(DOMAIN, target="old.example.net"))
    converge(zones, exposures[1:])
    held = sorted((each["name"], each["content"]) for each in cloudflare.records(ZONE_ID))
    assert held == [(each.hostname, DOMAIN.target) for each in exposures[1:]]


def test_an_answer_that_was_lost_makes_no_second_record(
    zones: Zones, table: Table, cloudflare: CloudflareDouble
) -> None:
    exposures = create_exposures(table, 3)
    cloudflare.fail_next(drop=True, after=True, match="/batch")
    converge(zones, exposures)
    assert len(cloudflare.records(ZONE_ID)) == 3
    assert all(each.record_id for each in recorded(table))


def test_what_a_request_is_at_work_on_is_left_to_it(
    zones: Zones, table: Table, cloudflare: CloudflareDouble
) -> None:
    busy, idle = create_exposures(table, 2)
    DynamoExposureStore(table).lock(busy, new_term("request", now).lease, time.time())
    converge(zones, [busy, idle])
    assert [each["name"] for each in cloudflare.records(ZONE_ID)] == [idle.hostname]


def test_g12_of_two_records_of_one_name_one_stays(
    zones: Zones, table: Table, cloudflare: CloudflareDouble
) -> None:
    address = replace(DOMAIN, target="198.51.100.7")
    (exposure,) = create_exposures(table, 1)
    converge(zones, [exposure], address)
    (kept,) = cloudflare.records(ZONE_ID)
    cloudflare.seed(ZONE_ID, **{**kept, "content": "198.51.100.8"})
    assert len(cloudflare.records(ZONE_ID)) == 2
    converge(zones, list(recorded(table)), address)
    assert [each["id"] for each in cloudflare.records(ZONE_ID)] == [kept["id"]]


def test_g07_what_is_not_ours_stays_in_a_pass_too(
    zones: Zones, table: Table, cloudflare: CloudflareDouble
) -> None:
    exposures = create_exposures(table, 2)
    cloudflare.seed(ZONE_ID, type="A", name=exposures[0].hostname, content="198.51.100.7")
    cloudflare.seed(ZONE_ID, type="TXT", name=f"note.{DOMAIN.name}", content="ours", comment="x")
    before = cloudflare.records(ZONE_ID)
    view = converge(zones, exposures)
    assert (view.blocked, view.drifted) == ((exposures[0],), (exposures[1],))
    assert [each for each in cloudflare.records(ZONE_ID) if each in before] == before
