"""The gateway and the official client see the same zone, on the double and on the real thing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Record, RecordChanges, RecordSpec
from chalicelib.domain.errors import UpstreamFailed
from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.ports import Dns, RecordTaken
from tests.factories import create_record_spec

if TYPE_CHECKING:
    from tests.contract.cloudflare.conftest import Target


@pytest.fixture
def dns(target: Target) -> Dns:
    """The gateway to the target's zone."""
    return CloudflareDns(lambda: target.token, None, url=target.url)


@pytest.fixture
def deadline() -> Deadline:
    """Long enough for the real thing."""
    return Deadline.after(60)


def create_spec(target: Target, name: str, **fields: Any) -> RecordSpec:
    """Return a record of this run."""
    comment = f"friends-api/{target.label}/{name}"
    return create_record_spec(**{"name": target.host(name), "comment": comment, **fields})


def read_by_client(target: Target) -> dict[str, RecordSpec]:
    """Return this run's records by id, as the official client sees them."""
    listed = target.client.dns.records.list(zone_id=target.zone_id, name={"contains": target.label})
    return {
        each.id: RecordSpec(
            each.name, each.type, str(each.content), bool(each.proxied), each.comment or ""
        )
        for each in listed
    }


def test_what_the_gateway_creates_the_client_sees(
    target: Target, dns: Dns, deadline: Deadline
) -> None:
    spec = create_spec(target, "app")
    created = dns.create(target.zone_id, spec, deadline)
    assert created.spec == spec
    assert read_by_client(target) == {created.id: spec}
    assert dns.find(target.zone_id, spec.name, deadline) == [created]


@pytest.mark.case("W2")
@pytest.mark.parametrize(
    "domain", ["elsewhere.example", "elsewhere.example.net", "{}.net", "not{}", "a{}.org"]
)
def test_a_name_outside_the_zone_leaves_no_record(
    target: Target, dns: Dns, deadline: Deadline, domain: str
) -> None:
    name = f"app-{target.label}.{domain.format(target.domain)}"
    spec = replace(create_spec(target, "app"), name=name)
    with pytest.raises(UpstreamFailed) as raised:
        dns.create(target.zone_id, spec, deadline)
    assert raised.value.code == "dns_misconfigured"
    assert target.domain in raised.value.message
    assert read_by_client(target) == {}


@pytest.mark.case("W2")
def test_the_zone_tells_its_name(target: Target, dns: Dns, deadline: Deadline) -> None:
    assert dns.zone_name(target.zone_id, deadline) == target.domain


def test_what_the_client_creates_the_gateway_sees(
    target: Target, dns: Dns, deadline: Deadline
) -> None:
    name = target.host("app")
    for kind, content in (("A", "192.0.2.10"), ("AAAA", "2001:db8::1"), ("TXT", '"text"')):
        wanted: Any = {"name": name, "type": kind, "content": content, "ttl": 300}
        target.client.dns.records.create(zone_id=target.zone_id, **wanted)
    found = dns.find(target.zone_id, name, deadline)
    assert {each.id: each.spec for each in found} == read_by_client(target)
    assert {(each.spec.type, each.spec.comment) for each in found} == {
        ("A", ""),
        ("AAAA", ""),
        ("TXT", ""),
    }


def test_what_the_gateway_changes_and_deletes_the_client_sees(
    target: Target, dns: Dns, deadline: Deadline
) -> None:
    created = dns.create(target.zone_id, create_spec(target, "app"), deadline)
    changed = Record(created.id, create_spec(target, "app", content="new.example.net"))
    assert dns.update(target.zone_id, changed, deadline) == changed
    assert read_by_client(target) == {changed.id: changed.spec}
    dns.delete(target.zone_id, changed.id, deadline)
    assert read_by_client(target) == {}
    assert dns.update(target.zone_id, changed, deadline) is None
    dns.delete(target.zone_id, changed.id, deadline)


def test_what_is_owned_is_listed_by_its_prefix(
    target: Target, dns: Dns, deadline: Deadline
) -> None:
    ours = dns.create(target.zone_id, create_spec(target, "app"), deadline)
    dns.create(target.zone_id, create_spec(target, "other", comment="somebody else"), deadline)
    prefix = f"friends-api/{target.label}/"
    assert dns.list_owned(target.zone_id, prefix, deadline) == [ours]


def test_a_batch_of_the_gateways_is_what_the_client_sees(
    target: Target, dns: Dns, deadline: Deadline
) -> None:
    gone = dns.create(target.zone_id, create_spec(target, "gone"), deadline)
    kept = dns.create(target.zone_id, create_spec(target, "kept"), deadline)
    changed = Record(kept.id, create_spec(target, "kept", content="new.example.net"))
    new = create_spec(target, "gone", type="A", content="192.0.2.10")
    changes = RecordChanges(deleted=[gone.id], changed=[changed], created=[new])
    dns.write(target.zone_id, changes, deadline)
    seen = read_by_client(target)
    assert seen.pop(changed.id) == changed.spec
    assert list(seen.values()) == [new]


def test_a_taken_name_and_a_batch_that_is_out_of_date_are_told(
    target: Target, dns: Dns, deadline: Deadline
) -> None:
    spec = create_spec(target, "app")
    created = dns.create(target.zone_id, spec, deadline)
    with pytest.raises(RecordTaken):
        dns.create(target.zone_id, spec, deadline)
    with pytest.raises(RecordTaken):
        dns.write(target.zone_id, RecordChanges(created=[spec]), deadline)
    dns.delete(target.zone_id, created.id, deadline)
    with pytest.raises(RecordTaken):
        dns.write(target.zone_id, RecordChanges(deleted=[created.id]), deadline)


def test_a_zone_that_is_not_there_and_a_wrong_token_are_told(
    target: Target, dns: Dns, deadline: Deadline
) -> None:
    with pytest.raises(UpstreamFailed) as unknown:
        dns.find("0" * 32, target.host("app"), deadline)
    assert unknown.value.code in {"dns_zone_unknown", "dns_auth"}
    wrong = CloudflareDns(lambda: "x" * 40, None, url=target.url)
    with pytest.raises(UpstreamFailed) as refused:
        wrong.find(target.zone_id, target.host("app"), deadline)
    assert refused.value.code == "dns_auth"
