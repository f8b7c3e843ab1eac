"""One budget for every instance of every function, counted in the table. Field case H5."""

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import UpstreamUnreachable
from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.gateways.cloudflare_budget import COUNTER, Purpose, RequestBudget
from chalicelib.gateways.table import Table
from infra.local.cloudflare import CloudflareDouble
from tests.aws_double import AwsDouble
from tests.exposures import HOST, create_domain
from tests.harness import TABLE, Clock, create_backend

ZONE_ID = create_domain().zone_id
NEVER = Deadline(math.inf)
CLOUDFLARE_TAKES = 1200


@pytest.fixture
def clock(aws: AwsDouble) -> Clock:
    """The time, at the start of a minute, beside an empty table."""
    create_backend("no kubeconfig is needed here")
    clock = Clock()
    clock.moment = datetime(2026, 11, 28, 17, 36, tzinfo=UTC)
    return clock


def create_budget(clock: Clock) -> RequestBudget:
    """Return the budget as another instance has it."""
    return RequestBudget(Table(AwsClients(), TABLE), clock.now)


def use_up(budget: RequestBudget, purpose: Purpose) -> int:
    """Send requests until no more may be sent; return how many."""
    for sent in range(CLOUDFLARE_TAKES + 1):
        try:
            budget.take(purpose)
        except UpstreamUnreachable:
            return sent
    raise AssertionError


@pytest.mark.case("H5")
def test_all_instances_together_never_send_more_than_cloudflare_takes(clock: Clock) -> None:
    sent = []
    for _ in range(7):
        sent.append(use_up(create_budget(clock), Purpose.RECONCILE))
        assert use_up(create_budget(clock), Purpose.RECONCILE) == 0
        clock.pass_seconds(60)
    # Six windows are what 300 s can touch, seven where counts and requests are a moment apart.
    assert sum(sent) == 7 * 170 <= CLOUDFLARE_TAKES


@pytest.mark.case("H5")
def test_reads_leave_half_to_writes_and_writes_leave_some_to_reconcile(clock: Clock) -> None:
    budget = create_budget(clock)
    assert use_up(budget, Purpose.READ) == 85
    assert use_up(budget, Purpose.WRITE) == 140 - 85
    assert use_up(budget, Purpose.READ) == 0
    assert use_up(budget, Purpose.RECONCILE) == 170 - 140


@pytest.mark.case("H5")
@pytest.mark.parametrize(("into", "wait"), [(0, 60), (0.5, 60), (59, 1), (59.9, 1)])
def test_a_budget_that_is_used_up_says_when_the_next_minute_begins(
    clock: Clock, into: float, wait: int
) -> None:
    use_up(create_budget(clock), Purpose.RECONCILE)
    clock.pass_seconds(into)
    with pytest.raises(UpstreamUnreachable) as raised:
        create_budget(clock).take(Purpose.RECONCILE)
    assert (raised.value.code, raised.value.retry_after_seconds) == ("dns_rate_limited", wait)
    clock.pass_seconds(wait)
    create_budget(clock).take(Purpose.RECONCILE)


@pytest.mark.case("H5")
def test_threads_share_the_budget(clock: Clock) -> None:
    budgets = [create_budget(clock) for _ in range(2)]
    for _ in range(75):
        budgets[0].take(Purpose.READ)

    def take(number: int) -> bool:
        try:
            budgets[number % 2].take(Purpose.READ)
        except UpstreamUnreachable:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(40))) == 10


def test_counts_go_away_by_themselves(aws: AwsDouble, clock: Clock) -> None:
    create_budget(clock).take(Purpose.READ)
    (item,) = aws.items(TABLE)
    assert (item["pk"], item["sk"], item["sent"]) == (COUNTER, "2026-11-28T17:36:00Z", 1)
    expiry = datetime.fromtimestamp(int(item["expires_at"]), UTC)
    assert expiry - clock.now() == timedelta(hours=1)


@pytest.mark.case("H5")
def test_every_request_is_counted_before_it_is_sent(
    clock: Clock, cloudflare: CloudflareDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    budget = create_budget(clock)
    dns = create_dns(cloudflare, budget).acting_for(Purpose.READ)
    for _ in range(82):
        budget.take(Purpose.READ)
    cloudflare.fail_next(status=503, times=5)
    with pytest.raises(UpstreamUnreachable) as raised:
        dns.find(ZONE_ID, HOST, NEVER)
    assert raised.value.code == "dns_rate_limited"
    assert len(cloudflare.requests) == 3
    cloudflare.clear()
    assert create_dns(cloudflare, budget).acting_for(Purpose.WRITE).find(ZONE_ID, HOST, NEVER) == []


@pytest.mark.case("H5")
def test_where_the_table_cannot_count_nothing_is_sent(
    clock: Clock, cloudflare: CloudflareDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise UpstreamUnreachable("DynamoDB is away.", code="dynamodb_unavailable")

    monkeypatch.setattr(Table, "update", fail)
    with pytest.raises(UpstreamUnreachable, match="DynamoDB"):
        create_dns(cloudflare, create_budget(clock)).find(ZONE_ID, HOST, NEVER)
    assert cloudflare.requests == []


def create_dns(cloudflare: CloudflareDouble, budget: RequestBudget) -> CloudflareDns:
    """Return the gateway, as a cold start leaves it."""
    return CloudflareDns(lambda: cloudflare.token, budget, url=cloudflare.url)
