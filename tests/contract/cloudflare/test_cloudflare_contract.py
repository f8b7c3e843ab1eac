"""What the product relies on of Cloudflare's DNS API, on the double and on the real thing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

import cloudflare
import pytest
import requests

if TYPE_CHECKING:
    from tests.contract.cloudflare.conftest import Target

SdkValue: TypeAlias = Any  # the client types records and their fields as unions of twenty types

GATEWAY = "192.0.2.10"


def create_record(target: Target, name: str, **fields: SdkValue) -> SdkValue:
    """Create an A record for a host of this run."""
    wanted: dict[str, Any] = {
        "name": target.host(name),
        "type": "A",
        "content": GATEWAY,
        "ttl": 1,
        **fields,
    }
    return target.client.dns.records.create(zone_id=target.zone_id, **wanted)


def list_records(target: Target, **filters: SdkValue) -> list[Any]:
    """List records through every page."""
    return list(target.client.dns.records.list(zone_id=target.zone_id, **filters))


def code_of(error: pytest.ExceptionInfo[cloudflare.APIStatusError]) -> int:
    """Return Cloudflare's own code of an error."""
    return int(error.value.errors[0].code or 0)


def call(target: Target, method: str, path: str, **arguments: SdkValue) -> requests.Response:
    """Send a request past the client, to see the envelope itself."""
    headers = {"authorization": f"Bearer {target.token}"}
    return requests.request(
        method, target.url + path, timeout=10, **{"headers": headers, **arguments}
    )


def test_a_valid_token_is_reported_active(target: Target) -> None:
    verified = target.client.user.tokens.verify()
    assert verified is not None
    assert verified.status == "active"


def test_a_wrong_token_may_not_read_records(target: Target) -> None:
    answer = call(
        target,
        "GET",
        f"/zones/{target.zone_id}/dns_records",
        headers={"authorization": f"Bearer {'x' * 40}"},
    )
    assert answer.status_code in {400, 401, 403}
    assert answer.json()["success"] is False
    assert answer.json()["errors"][0]["code"] in {10000, 9109}


def test_a_request_without_a_token_is_refused(target: Target) -> None:
    answer = call(target, "GET", f"/zones/{target.zone_id}/dns_records", headers={})
    assert answer.status_code in {400, 401, 403}
    assert answer.json()["result"] is None


def test_a_zone_is_found_by_its_domain(target: Target) -> None:
    assert [zone.id for zone in target.client.zones.list(name=target.domain)] == [target.zone_id]


def test_a_zone_is_read_by_its_id(target: Target) -> None:
    zone = target.client.zones.get(zone_id=target.zone_id)
    assert zone is not None
    assert zone.name == target.domain


def test_an_unknown_domain_lists_no_zone(target: Target) -> None:
    assert list(target.client.zones.list(name="nobody-has-this-zone.example")) == []


def test_a_malformed_zone_id_cannot_be_routed(target: Target) -> None:
    with pytest.raises(cloudflare.APIStatusError) as error:
        target.client.dns.records.list(zone_id="not-a-zone")
    assert error.value.status_code in {400, 404}
    assert code_of(error) == 7003


def test_a_record_is_created_with_every_field_of_the_api(target: Target) -> None:
    created = create_record(target, "app", proxied=True, comment="friends-api alice/app")
    assert re.fullmatch(r"[0-9a-f]{32}", created.id)
    assert (created.name, created.type, created.content) == (target.host("app"), "A", GATEWAY)
    assert (created.proxied, created.proxiable, created.ttl) == (True, True, 1)
    assert (created.comment, created.tags) == ("friends-api alice/app", [])
    assert created.created_on <= created.modified_on


def test_a_record_is_read_back_as_it_was_created(target: Target) -> None:
    created = create_record(target, "app")
    assert target.client.dns.records.get(created.id, zone_id=target.zone_id) == created


def test_a_record_keeps_what_a_patch_does_not_name(target: Target) -> None:
    created = create_record(target, "app", comment="kept")
    patched = target.client.dns.records.edit(
        created.id,
        zone_id=target.zone_id,
        name=created.name,
        type="A",
        content="192.0.2.11",
        ttl=1,
    )
    assert patched is not None
    assert (patched.id, patched.content, patched.comment) == (created.id, "192.0.2.11", "kept")


def test_a_record_loses_what_a_put_does_not_name(target: Target) -> None:
    created = create_record(target, "app", comment="lost")
    put = target.client.dns.records.update(
        created.id,
        zone_id=target.zone_id,
        name=created.name,
        type="A",
        content=GATEWAY,
        ttl=300,
    )
    assert put is not None
    assert (put.ttl, put.comment) == (300, None)


def test_a_record_is_gone_once_deleted(target: Target) -> None:
    created = create_record(target, "app")
    deleted = target.client.dns.records.delete(created.id, zone_id=target.zone_id)
    assert deleted is not None
    assert deleted.id == created.id
    with pytest.raises(cloudflare.NotFoundError) as error:
        target.client.dns.records.delete(created.id, zone_id=target.zone_id)
    assert code_of(error) == 81044


def test_a_record_is_reported_missing_by_a_read(target: Target) -> None:
    with pytest.raises(cloudflare.NotFoundError) as error:
        target.client.dns.records.get("0" * 32, zone_id=target.zone_id)
    assert code_of(error) == 81044


@pytest.mark.case("W2")
def test_a_name_that_does_not_end_in_the_zones_gets_it_behind(target: Target) -> None:
    name = f"app-{target.label}.elsewhere.example"
    fields: dict[str, Any] = {"name": name, "type": "A", "content": GATEWAY, "ttl": 1}
    record = target.client.dns.records.create(zone_id=target.zone_id, **fields)
    assert record is not None
    assert record.name == f"{name}.{target.domain}"
    assert [each.name for each in list_records(target)] == [f"{name}.{target.domain}"]
    batch = run_batch(target, deletes=[{"id": record.id}], posts=[fields])
    assert [each.name for each in batch.posts] == [f"{name}.{target.domain}"]


def test_the_same_record_twice_is_refused(target: Target) -> None:
    create_record(target, "app")
    with pytest.raises(cloudflare.BadRequestError) as error:
        create_record(target, "app")
    assert code_of(error) in {81057, 81058}


def test_a_cname_beside_an_address_is_refused(target: Target) -> None:
    create_record(target, "app")
    with pytest.raises(cloudflare.BadRequestError) as error:
        create_record(target, "app", type="CNAME", content="edge.example.net")
    assert code_of(error) == 81053


def test_an_address_beside_a_cname_is_refused(target: Target) -> None:
    create_record(target, "app", type="CNAME", content="edge.example.net")
    with pytest.raises(cloudflare.BadRequestError) as error:
        create_record(target, "app")
    assert code_of(error) in {81053, 81054}


def test_two_addresses_of_one_host_stand_side_by_side(target: Target) -> None:
    create_record(target, "app")
    create_record(target, "app", content="192.0.2.11")
    assert len(list_records(target, name={"exact": target.host("app")})) == 2


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"content": "not-an-address"}, 9005),
        ({"type": "AAAA", "content": GATEWAY}, 9006),
        ({"ttl": 59}, 9021),
        ({"type": "TXT", "content": '"text"', "proxied": True}, 9004),
        ({"comment": "x" * 501}, 9313),
    ],
    ids=["content-of-a", "content-of-aaaa", "ttl", "proxied-text", "comment-too-long"],
)
def test_a_bad_field_is_refused_with_its_code(
    target: Target, fields: dict[str, Any], code: int
) -> None:
    with pytest.raises(cloudflare.BadRequestError) as error:
        create_record(target, "app", **fields)
    assert code_of(error) in {code, 1004}


def test_a_newline_in_a_comment_is_refused(target: Target) -> None:
    with pytest.raises(cloudflare.BadRequestError):
        create_record(target, "app", comment="one\ntwo")


def test_a_refused_record_is_not_there(target: Target) -> None:
    with pytest.raises(cloudflare.BadRequestError):
        create_record(target, "app", ttl=59)
    assert list_records(target, name={"exact": target.host("app")}) == []


def test_lists_filter_by_name_type_and_content(target: Target) -> None:
    wanted = create_record(target, "app", content="192.0.2.20")
    create_record(target, "app", type="TXT", content='"text"')
    create_record(target, "other", content="192.0.2.20")
    found = list_records(
        target, name={"exact": target.host("app")}, type="A", content={"exact": "192.0.2.20"}
    )
    assert [record.id for record in found] == [wanted.id]


def test_lists_filter_by_part_of_a_comment(target: Target) -> None:
    wanted = create_record(target, "mine", comment=f"friends-api {target.label} alice")
    create_record(target, "theirs", comment="somebody else")
    found = list_records(target, comment={"contains": target.label})
    assert [record.id for record in found] == [wanted.id]


def test_lists_are_read_through_every_page(target: Target) -> None:
    created = {create_record(target, f"app{number}").id for number in range(12)}
    found = list_records(target, name={"contains": target.label}, per_page=5)
    assert {record.id for record in found} == created


def test_a_page_past_the_end_is_empty(target: Target) -> None:
    create_record(target, "app")
    answer = call(
        target,
        "GET",
        f"/zones/{target.zone_id}/dns_records?name.contains={target.label}&page=9",
    ).json()
    assert (answer["success"], answer["result"]) == (True, [])
    assert answer["result_info"]["total_count"] == 1


def run_batch(target: Target, **changes: SdkValue) -> SdkValue:
    """Send a batch of changes."""
    return target.client.dns.records.batch(zone_id=target.zone_id, **changes)


def test_in_a_batch_deletes_come_before_posts_of_the_same_host(target: Target) -> None:
    old = create_record(target, "app")
    post = {
        "name": target.host("app"),
        "type": "CNAME",
        "content": "edge.example.net",
        "ttl": 1,
    }
    done = run_batch(target, deletes=[{"id": old.id}], posts=[post])
    assert [record.id for record in done.deletes] == [old.id]
    assert [record.type for record in list_records(target, name={"exact": target.host("app")})] == [
        "CNAME"
    ]


def test_in_a_batch_patches_change_records_in_place(target: Target) -> None:
    old = create_record(target, "app", comment="kept")
    done = run_batch(target, patches=[{"id": old.id, "content": "192.0.2.30"}])
    assert [(record.id, record.content, record.comment) for record in done.patches] == [
        (old.id, "192.0.2.30", "kept")
    ]


def test_in_a_batch_one_refused_change_undoes_all(target: Target) -> None:
    old = create_record(target, "app")
    post = {"name": target.host("new"), "type": "A", "content": "not-an-address", "ttl": 1}
    with pytest.raises(cloudflare.BadRequestError):
        run_batch(target, deletes=[{"id": old.id}], posts=[post])
    assert [record.id for record in list_records(target, name={"contains": target.label})] == [
        old.id
    ]
