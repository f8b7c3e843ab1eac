"""Case L1: what the asking for a lease takes is time of the lease."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.deadline import Deadline
from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.gateways.cluster import KubernetesClusters
from chalicelib.gateways.exposures import DynamoExposureStore
from chalicelib.gateways.operations import DynamoOperationStore
from chalicelib.services import execution, leases
from chalicelib.services.leases import Term, new_term
from infra.local.cloudflare import CloudflareDouble
from tests.harness import Api, Clock, configure_domain
from tests.manifests import create_config_map_manifest, create_service_manifest

FRIEND = "/api/friends/alice"
EXPOSE = f"{FRIEND}/namespace/expose"
APPLY = f"{FRIEND}/namespace/apply"
SLOW_SECONDS = 1.0
LEASE_SECONDS = 20


@pytest.fixture
def api(backend: None, cloudflare: CloudflareDouble, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The app with a domain, and alice, who has a Service."""
    api = Api(configure_domain(cloudflare))
    api.register_friend()
    assert api.post(APPLY, create_service_manifest()).status == 200
    assert api.post(EXPOSE, {"name": "old", "service": "web"}).status == 200
    monkeypatch.setattr(leases, "LEASE_SECONDS", LEASE_SECONDS)
    monkeypatch.setattr(execution, "_RENEW_BELOW_SECONDS", 1)
    return api


def slowly(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    """Have a call take a while before it is answered."""
    call = getattr(owner, name)

    def wait(*arguments: Any, **options: Any) -> Any:
        answer = call(*arguments, **options)
        time.sleep(SLOW_SECONDS)
        return answer

    monkeypatch.setattr(owner, name, wait)


def deadlines(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[float]:
    """Return the seconds that each call of this name is given from now on."""
    given: list[float] = []
    call = getattr(owner, name)

    def note(*arguments: Any, **options: Any) -> Any:
        given.extend(each.remaining_seconds for each in arguments if isinstance(each, Deadline))
        return call(*arguments, **options)

    monkeypatch.setattr(owner, name, note)
    return given


WORK: dict[str, tuple[str, Callable[[Api], Any]]] = {
    "expose": ("claim", lambda api: api.post(EXPOSE, {"name": "new", "service": "web"})),
    "remove an exposure": ("lock", lambda api: api.delete(f"{EXPOSE}/old")),
}


@pytest.mark.case("L1")
@pytest.mark.parametrize("name", WORK)
def test_dns_is_written_within_the_lease_however_long_the_claim_took(
    api: Api, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    claim, work = WORK[name]
    slowly(monkeypatch, DynamoExposureStore, claim)
    found = [deadlines(monkeypatch, CloudflareDns, each) for each in ("find", "list_owned")]
    assert work(api).status == 200
    given = [seconds for one in found for seconds in one]
    assert given
    assert max(given) <= LEASE_SECONDS - SLOW_SECONDS - 8


@pytest.mark.case("L1")
@pytest.mark.parametrize("is_async", [True, False])
def test_objects_are_sent_within_the_lease_however_long_the_claim_took(
    api: Api, invocations: list[Any], monkeypatch: pytest.MonkeyPatch, *, is_async: bool
) -> None:
    monkeypatch.setattr(execution, "LONGEST_SECONDS", 999.0)
    monkeypatch.setattr(leases, "LEASE_SECONDS", 12)
    slowly(monkeypatch, DynamoOperationStore, "claim" if is_async else "accept")
    given = deadlines(monkeypatch, KubernetesClusters, "open")
    headers = {"Prefer": "respond-async"} if is_async else {}
    answer = api.post(APPLY, create_config_map_manifest(), headers=headers)
    assert answer.status == (202 if is_async else 200)
    api.deliver(invocations)
    assert given[-1] <= 12 - SLOW_SECONDS - 3


@pytest.mark.case("L1")
def test_a_lease_ends_here_no_later_than_in_its_row() -> None:
    clock = Clock()
    before = time.monotonic()
    term = new_term("me", clock.now)
    assert term.lease.until <= clock.now().timestamp() + leases.LEASE_SECONDS
    assert term.ends.at_seconds >= before + leases.LEASE_SECONDS
    work = Term(term.lease, Deadline.after(10.0)).bound(Deadline.after(100.0), slack_seconds=3)
    assert 6.5 < work.remaining_seconds <= 7
