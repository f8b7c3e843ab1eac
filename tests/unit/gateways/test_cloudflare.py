"""The gateway to Cloudflare, over HTTP. Threats F03, G07, G08, L06 and L07."""

import gc
import json
import logging
import math
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Record, RecordChanges
from chalicelib.domain.errors import ApiError, OutOfTime, UpstreamFailed, UpstreamUnreachable
from chalicelib.gateways import cloudflare as gateway
from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.logs import JsonFormatter
from chalicelib.ports import RecordTaken
from infra.local.cloudflare import CloudflareDouble
from tests.exposures import create_domain
from tests.factories import create_record_spec

DOMAIN = create_domain()
ZONE_ID = DOMAIN.zone_id
SPEC = create_record_spec()
NO_RECORD_ID = "0" * 32
CANARY = "canary-8f1c"
HTML = f"<html><body>{CANARY} 502 Bad Gateway</body></html>".encode()
EMPTY_LIST = b'{"success": true, "result": [], "result_info": {"total_count": 0}}'
ATTEMPTS = 5
NEVER = Deadline(math.inf)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        """Start somewhere."""
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.now += seconds


class Secret:
    """A secret that counts how often it is read."""

    def __init__(self, *values: str | None) -> None:
        """Hold one value after the other."""
        self.values = list(values)
        self.reads = 0

    def __call__(self) -> str | None:
        """Return the next value, and the last one for ever."""
        self.reads += 1
        return self.values.pop(0) if len(self.values) > 1 else self.values[0]


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """Have no finalizer run while a parser is as deep as Python goes: it would fail there."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The gateway's time."""
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    return clock


@pytest.fixture
def dns(cloudflare: CloudflareDouble, clock: Clock) -> CloudflareDns:
    """The gateway, as a cold start leaves it."""
    return create_dns(cloudflare, clock=clock)


def create_dns(cloudflare: CloudflareDouble, token: Any = None, **options: Any) -> CloudflareDns:
    return CloudflareDns(token or (lambda: cloudflare.token), None, url=cloudflare.url, **options)


def seed(cloudflare: CloudflareDouble, **fields: Any) -> str:
    """Put a record of this name into the zone, and return its id."""
    defaults = {"name": SPEC.name, "type": "CNAME", "content": SPEC.content}
    return str(cloudflare.seed(ZONE_ID, **{**defaults, **fields})["id"])


def rejection(*codes: int, success: Any = False) -> dict[str, Any]:
    """Return an error envelope of Cloudflare's."""
    errors = [{"code": code, "message": CANARY} for code in codes]
    return {"result": None, "success": success, "errors": errors, "messages": [CANARY]}


def sent(cloudflare: CloudflareDouble) -> list[str]:
    """Return the methods that arrived, in their order."""
    return [request.method for request in cloudflare.requests]


# What each call does


def test_find_returns_every_record_of_the_name_and_no_other(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    ours = seed(cloudflare, type="A", content="192.0.2.1", comment=SPEC.comment)
    theirs = seed(cloudflare, type="TXT", content='"theirs"')
    seed(cloudflare, name=f"x{SPEC.name}")
    found = dns.find(ZONE_ID, SPEC.name, NEVER)
    assert [(each.id, each.spec.type, each.spec.comment) for each in found] == [
        (ours, "A", SPEC.comment),
        (theirs, "TXT", ""),
    ]
    assert [each.is_owned_by(SPEC.comment) for each in found] == [True, False]


def test_find_reads_one_page_for_a_name(dns: CloudflareDns, cloudflare: CloudflareDouble) -> None:
    assert dns.find(ZONE_ID, SPEC.name, NEVER) == []
    (request,) = cloudflare.requests
    assert request.path == f"/client/v4/zones/{ZONE_ID}/dns_records"
    assert dict(request.query) == {"name.exact": SPEC.name, "per_page": "100", "page": "1"}


def test_find_compares_names_without_case(dns: CloudflareDns, cloudflare: CloudflareDouble) -> None:
    seed(cloudflare)
    (found,) = dns.find(ZONE_ID, SPEC.name.upper(), NEVER)
    assert found.spec.name == SPEC.name


def test_find_does_not_trust_the_filter(dns: CloudflareDns, cloudflare: CloudflareDouble) -> None:
    record = {"id": "a" * 32, "name": "another.friends.example", "type": "A", "content": "x"}
    body = {"success": True, "result": [record], "result_info": {"total_count": 1}}
    cloudflare.fail_next(status=200, body=body)
    assert dns.find(ZONE_ID, SPEC.name, NEVER) == []


def test_find_follows_pages(dns: CloudflareDns, cloudflare: CloudflareDouble) -> None:
    for number in range(101):
        seed(cloudflare, type="TXT", content=f'"{number}"')
    assert len(dns.find(ZONE_ID, SPEC.name, NEVER)) == 101
    assert [request.query["page"] for request in cloudflare.requests] == ["1", "2"]


def test_create_makes_the_record_and_returns_it(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    created = dns.create(ZONE_ID, SPEC, NEVER)
    (record,) = cloudflare.records(ZONE_ID)
    assert created == Record(record["id"], SPEC)
    assert (record["ttl"], record["proxied"], record["comment"]) == (1, True, SPEC.comment)
    assert dns.find(ZONE_ID, SPEC.name, NEVER) == [created]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"content": "elsewhere.example.net"},
        {"type": "A", "content": "192.0.2.1"},
        {"type": "AAAA", "content": "2001:db8::1"},
    ],
    ids=["identical", "another-target", "address", "address-v6"],
)
def test_g08_create_refuses_where_a_record_is_in_the_way_and_leaves_it(
    dns: CloudflareDns, cloudflare: CloudflareDouble, fields: dict[str, Any]
) -> None:
    seed(cloudflare, **fields)
    before = cloudflare.records(ZONE_ID)
    with pytest.raises(RecordTaken):
        dns.create(ZONE_ID, SPEC, NEVER)
    assert cloudflare.records(ZONE_ID) == before


def test_update_changes_the_record_with_this_id_and_no_other(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    ours = seed(cloudflare, content="old.example.net", ttl=300, comment=SPEC.comment)
    seed(cloudflare, type="TXT", content='"theirs"')
    _, theirs = cloudflare.records(ZONE_ID)
    assert dns.update(ZONE_ID, Record(ours, SPEC), NEVER) == Record(ours, SPEC)
    changed, untouched = cloudflare.records(ZONE_ID)
    assert (changed["content"], changed["proxied"], changed["ttl"]) == (SPEC.content, True, 1)
    assert untouched == theirs


def test_update_returns_none_where_there_is_no_such_record(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    assert dns.update(ZONE_ID, Record(NO_RECORD_ID, SPEC), NEVER) is None
    assert cloudflare.records(ZONE_ID) == []


def test_update_refuses_where_another_record_is_in_the_way(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    ours = seed(cloudflare, name="old.friends.example")
    seed(cloudflare)
    with pytest.raises(RecordTaken):
        dns.update(ZONE_ID, Record(ours, SPEC), NEVER)


def test_delete_takes_the_record_with_this_id_and_may_be_repeated(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    ours = seed(cloudflare)
    theirs = seed(cloudflare, type="TXT", content='"theirs"')
    dns.delete(ZONE_ID, ours, NEVER)
    dns.delete(ZONE_ID, ours, NEVER)
    assert [record["id"] for record in cloudflare.records(ZONE_ID)] == [theirs]


def test_list_owned_returns_what_the_prefix_owns(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    ours = seed(cloudflare, name="a", comment="friends-api/1/a")
    seed(cloudflare, name="b", comment="friends-api/2/b")
    seed(cloudflare, name="c", comment="Friends-API/1/c")
    seed(cloudflare, name="d", comment="not friends-api/1/d")
    seed(cloudflare, name="e")
    assert [each.id for each in dns.list_owned(ZONE_ID, "friends-api/1/", NEVER)] == [ours]
    assert [each.spec.name for each in dns.list_owned(ZONE_ID, "friends-api/", NEVER)] == [
        "a.friends.example",
        "b.friends.example",
    ]


def test_list_owned_reads_a_thousand_records_a_page(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    for number in range(1001):
        seed(cloudflare, name=f"app{number}", comment=SPEC.comment)
    assert len(dns.list_owned(ZONE_ID, "friends-api/", NEVER)) == 1001
    assert [request.query["page"] for request in cloudflare.requests] == ["1", "2"]


def test_a_list_without_an_end_is_an_error_and_not_a_short_list(
    dns: CloudflareDns,
    cloudflare: CloudflareDouble,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateway, "_LIST_PAGE", 1)
    for number in range(51):
        seed(cloudflare, name=f"app{number}", comment=SPEC.comment)
    with pytest.raises(UpstreamFailed) as failed:
        dns.list_owned(ZONE_ID, "friends-api/", NEVER)
    assert failed.value.code == "dns_failed"
    assert len(cloudflare.requests) == 50


def test_a_list_that_shrinks_meanwhile_ends_with_an_empty_page(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    seed(cloudflare)
    record = cloudflare.records(ZONE_ID)[0]
    page = {"success": True, "result": [record], "result_info": {"total_count": 2}}
    cloudflare.fail_next(status=200, body=page)
    cloudflare.fail_next(status=200, body={**page, "result": []})
    assert len(dns.find(ZONE_ID, SPEC.name, NEVER)) == 1
    assert len(cloudflare.requests) == 2


def test_a_record_that_moves_to_the_next_page_is_listed_once(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    seed(cloudflare)
    record = cloudflare.records(ZONE_ID)[0]
    page = {"success": True, "result": [record], "result_info": {"total_count": 2}}
    cloudflare.fail_next(status=200, body=page, times=2)
    assert len(dns.find(ZONE_ID, SPEC.name, NEVER)) == 1


def test_a_record_of_a_type_without_content_is_found(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    record: dict[str, Any] = {"id": "a" * 32, "name": SPEC.name, "type": "LOC", "data": {}}
    body = {"success": True, "result": [record], "result_info": {"total_count": 1}}
    cloudflare.fail_next(status=200, body=body)
    (found,) = dns.find(ZONE_ID, SPEC.name, NEVER)
    assert (found.spec.type, found.spec.content, found.spec.proxied) == ("LOC", "", False)


def test_write_makes_all_changes_in_one_call(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    gone = seed(cloudflare)
    kept = seed(cloudflare, name="kept", content="old.example.net", comment="kept")
    changed = Record(kept, create_record_spec(name="kept.friends.example"))
    address = create_record_spec(type="A", content="192.0.2.1")
    changes = RecordChanges(deleted=[gone], changed=[changed], created=[address])
    dns.write(ZONE_ID, changes, NEVER)
    assert sent(cloudflare) == ["POST"]
    assert cloudflare.requests[0].path.endswith("/dns_records/batch")
    assert dns.find(ZONE_ID, "kept.friends.example", NEVER) == [changed]
    assert [each.spec for each in dns.find(ZONE_ID, SPEC.name, NEVER)] == [address]


def test_write_of_nothing_sends_nothing(dns: CloudflareDns, cloudflare: CloudflareDouble) -> None:
    dns.write(ZONE_ID, RecordChanges(), NEVER)
    assert cloudflare.requests == []


@pytest.mark.parametrize(("number", "calls"), [(200, 1), (201, 2)])
def test_write_splits_what_one_batch_cannot_hold(
    dns: CloudflareDns, cloudflare: CloudflareDouble, number: int, calls: int
) -> None:
    old = [seed(cloudflare, name=f"old{each}") for each in range(100)]
    new = [
        create_record_spec(name=f"old{each}.friends.example", content="new.example.net")
        for each in range(number - 100)
    ]
    dns.write(ZONE_ID, RecordChanges(deleted=old, created=new), NEVER)
    assert len(cloudflare.requests) == calls
    contents = {record["content"] for record in cloudflare.records(ZONE_ID)}
    assert (len(cloudflare.records(ZONE_ID)), contents) == (number - 100, {"new.example.net"})


def test_write_is_all_or_nothing(dns: CloudflareDns, cloudflare: CloudflareDouble) -> None:
    old = seed(cloudflare, name="old")
    seed(cloudflare)
    before = cloudflare.records(ZONE_ID)
    with pytest.raises(RecordTaken):
        dns.write(ZONE_ID, RecordChanges(deleted=[old], created=[SPEC]), NEVER)
    assert cloudflare.records(ZONE_ID) == before


def test_write_says_when_what_it_was_to_delete_is_gone(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    with pytest.raises(RecordTaken):
        dns.write(ZONE_ID, RecordChanges(deleted=[NO_RECORD_ID], created=[SPEC]), NEVER)
    assert cloudflare.records(ZONE_ID) == []


# A zone that cannot hold the name

OTHER_ZONE = "f" * 32


@pytest.mark.case("W2")
@pytest.mark.parametrize(
    "name",
    [
        SPEC.name,
        "my-app-alice.second.example.org",
        "my-app-alice.notsecond.example",
        "my-app-alice.example",
    ],
)
def test_a_record_that_gets_another_name_is_removed_again(
    dns: CloudflareDns, cloudflare: CloudflareDouble, name: str
) -> None:
    spec = create_record_spec(name=name)
    calls: list[Callable[[], object]] = [
        lambda: dns.create(OTHER_ZONE, spec, NEVER),
        lambda: dns.write(OTHER_ZONE, RecordChanges(created=[spec]), NEVER),
        lambda: dns.write(OTHER_ZONE, RecordChanges(changed=[Record(ours(), spec)]), NEVER),
        lambda: dns.update(OTHER_ZONE, Record(ours(), spec), NEVER),
    ]

    def ours() -> str:
        return str(cloudflare.seed(OTHER_ZONE, name="a.second.example", **fields)["id"])

    fields = {"type": "CNAME", "content": SPEC.content}
    for call in calls:
        with pytest.raises(UpstreamFailed) as raised:
            call()
        assert raised.value.code == "dns_misconfigured"
        assert f"for {name.partition('.')[2]} is that of second.example," in raised.value.message
        assert cloudflare.records(OTHER_ZONE) == []


@pytest.mark.case("W2")
def test_of_a_batch_what_got_the_right_name_stays(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    right = create_record_spec(name="b-alice.second.example")
    with pytest.raises(UpstreamFailed):
        dns.write(OTHER_ZONE, RecordChanges(created=[right, SPEC]), NEVER)
    assert [each["name"] for each in cloudflare.records(OTHER_ZONE)] == [right.name]


@pytest.mark.case("W2")
def test_a_zones_name_is_read_by_its_id(dns: CloudflareDns, cloudflare: CloudflareDouble) -> None:
    assert dns.zone_name(OTHER_ZONE, NEVER) == "second.example"
    cloudflare.fail_next(status=403, body=rejection(9109))
    assert dns.zone_name(OTHER_ZONE, NEVER) is None
    with pytest.raises(UpstreamFailed) as raised:
        dns.zone_name("0" * 32, NEVER)
    assert raised.value.code == "dns_zone_unknown"


@pytest.mark.parametrize("result", [None, [], {}, {"name": 7}], ids=json.dumps)
def test_a_zone_without_a_name_is_an_error(
    dns: CloudflareDns, cloudflare: CloudflareDouble, result: Any
) -> None:
    cloudflare.fail_next(status=200, body={"success": True, "result": result})
    with pytest.raises(UpstreamFailed) as raised:
        dns.zone_name(OTHER_ZONE, NEVER)
    assert raised.value.code == "dns_failed"


# What may go wrong

ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "no-answer": ({"drop": True}, "dns_unreachable"),
    "429": ({"status": 429, "body": rejection(971)}, "dns_rate_limited"),
    "429-html": ({"status": 429, "body": HTML}, "dns_rate_limited"),
    "500": ({"status": 500, "body": rejection(10000)}, "dns_unavailable"),
    "502-html": ({"status": 502, "body": HTML}, "dns_unavailable"),
    "503": ({"status": 503, "body": rejection()}, "dns_unavailable"),
    "504-empty": ({"status": 504, "body": b""}, "dns_unavailable"),
    "522-html": ({"status": 522, "body": HTML}, "dns_unavailable"),
    "zone-7003": ({"status": 404, "body": rejection(7003, 7000)}, "dns_zone_unknown"),
    "zone-7003-bad-request": ({"status": 400, "body": rejection(7003)}, "dns_zone_unknown"),
    "zone-1049": ({"status": 400, "body": rejection(1049)}, "dns_zone_unknown"),
    "token-10000": ({"status": 403, "body": rejection(10000)}, "dns_auth"),
    "token-9109": ({"status": 403, "body": rejection(9109)}, "dns_auth"),
    "token-9103": ({"status": 401, "body": rejection(9103)}, "dns_auth"),
    "token-6003": ({"status": 400, "body": rejection(6003)}, "dns_auth"),
    "token-without-code": ({"status": 401, "body": rejection()}, "dns_auth"),
    "firewall-page": ({"status": 403, "body": HTML}, "dns_failed"),
    "zone-full": ({"status": 400, "body": rejection(81045)}, "dns_failed"),
    "refused-record": ({"status": 400, "body": rejection(9007)}, "dns_failed"),
    "unknown-404": ({"status": 404, "body": rejection(4242)}, "dns_failed"),
    "404-html": ({"status": 404, "body": HTML}, "dns_failed"),
    "405": ({"status": 405, "body": rejection(10405)}, "dns_failed"),
    "200-html": ({"status": 200, "body": HTML}, "dns_failed"),
    "200-empty": ({"status": 200, "body": b""}, "dns_failed"),
    "200-not-success": ({"status": 200, "body": rejection()}, "dns_failed"),
    "200-success-is-text": ({"status": 200, "body": rejection(success="true")}, "dns_failed"),
    "200-success-missing": ({"status": 200, "body": {"result": {}}}, "dns_failed"),
    "200-list": ({"status": 200, "body": [CANARY]}, "dns_failed"),
    "200-null": ({"status": 200, "body": None}, "dns_failed"),
    "200-deep": ({"status": 200, "body": b"[" * 100_000}, "dns_failed"),
    "200-not-unicode": ({"status": 200, "body": b'{"success": "\xff\xfe"}'}, "dns_failed"),
    "200-huge": ({"status": 200, "body": EMPTY_LIST + b" " * (9 * 1024 * 1024)}, "dns_failed"),
    "200-errors-are-wrong": (
        {"status": 200, "body": {"success": False, "errors": [7, {"code": "81057"}, {}]}},
        "dns_failed",
    ),
    "200-errors-are-text": (
        {"status": 200, "body": {"success": False, "errors": CANARY}},
        "dns_failed",
    ),
    "redirect": ({"status": 302, "headers": {"location": "/elsewhere"}}, "dns_failed"),
    "redirect-308": ({"status": 308, "headers": {"location": "/elsewhere"}}, "dns_failed"),
}
PASSING = {"dns_unreachable", "dns_unavailable", "dns_rate_limited"}


EVERY_ERROR = pytest.mark.parametrize(("fault", "code"), ERRORS.values(), ids=list(ERRORS))


@EVERY_ERROR
def test_l07_every_error_has_its_code(
    dns: CloudflareDns,
    cloudflare: CloudflareDouble,
    fault: dict[str, Any],
    code: str,
) -> None:
    cloudflare.fail_next(**fault, times=ATTEMPTS)
    with pytest.raises(ApiError) as raised:
        dns.find(ZONE_ID, SPEC.name, NEVER)
    assert raised.value.code == code
    is_passing = code in PASSING
    assert isinstance(raised.value, UpstreamUnreachable if is_passing else UpstreamFailed)
    assert len(cloudflare.requests) == (ATTEMPTS if is_passing else 1)


@EVERY_ERROR
def test_l07_no_write_takes_an_error_for_a_success(
    dns: CloudflareDns,
    cloudflare: CloudflareDouble,
    fault: dict[str, Any],
    code: str,
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: dns.create(ZONE_ID, SPEC, NEVER),
        lambda: dns.update(ZONE_ID, Record(NO_RECORD_ID, SPEC), NEVER),
        lambda: dns.delete(ZONE_ID, NO_RECORD_ID, NEVER),
        lambda: dns.write(ZONE_ID, RecordChanges(created=[SPEC]), NEVER),
    ]
    for call in calls:
        cloudflare.reset()
        cloudflare.fail_next(**fault, times=ATTEMPTS)
        with pytest.raises(ApiError) as raised:
            call()
        assert raised.value.code == code


@EVERY_ERROR
def test_f03_nothing_tells_the_token_or_what_cloudflare_wrote(
    cloudflare: CloudflareDouble,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, Any],
    code: str,
) -> None:
    caplog.set_level(logging.DEBUG, "chalicelib")
    cloudflare.fail_next(**fault, times=ATTEMPTS)
    with pytest.raises(ApiError) as raised:
        create_dns(cloudflare, clock=clock).create(ZONE_ID, SPEC, NEVER)
    told = [str(raised.value), *traceback.format_exception(raised.value)]
    told += [JsonFormatter().format(record) for record in caplog.records]
    assert len(caplog.records) > 0
    assert not [line for line in told if CANARY in line or cloudflare.token in line]


@pytest.mark.case("W10")
@pytest.mark.parametrize(
    ("status", "number", "text", "code", "cause"),
    [
        (403, 9109, "Cannot use the access token from location: 203.0.113.9", "dns_auth", "filter"),
        (400, 9109, "Cannot use the access token from location: ::1", "dns_auth", "IP filter"),
        (403, 9109, "Invalid access token", "dns_auth", "does not know the API's token"),
        (401, 1000, "Invalid API Token", "dns_auth", "does not know the API's token"),
        (403, 9109, "Unauthorized to access requested resource", "dns_auth", "Zone / DNS / Edit"),
        (403, 10000, "Authentication error", "dns_auth", "Zone / DNS / Edit"),
        (403, 9109, "Max auth failures reached, please check", "dns_unavailable", "too many"),
        (400, 10502, "Too many authentication failures.", "dns_unavailable", "too many"),
        (403, 0, None, "dns_failed", "firewall"),
    ],
)
def test_a_refusal_names_its_own_cause(  # noqa: PLR0913, PLR0917 - what is answered, and what is told
    dns: CloudflareDns,
    cloudflare: CloudflareDouble,
    status: int,
    number: int,
    text: str | None,
    code: str,
    cause: str,
) -> None:
    body: Any = HTML if text is None else rejection(number)
    if text is not None:
        body["errors"][0]["message"] = text
    cloudflare.fail_next(status=status, body=body)
    with pytest.raises(ApiError) as raised:
        dns.find(ZONE_ID, SPEC.name, NEVER)
    assert raised.value.code == code
    assert cause in raised.value.message
    assert "203.0.113.9" not in raised.value.message


@pytest.mark.case("W10")
def test_a_token_with_an_ip_filter_is_told_as_one(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    cloudflare.lets_in = False
    with pytest.raises(UpstreamFailed, match="client IP filter") as raised:
        dns.list_all(ZONE_ID, NEVER)
    assert raised.value.code == "dns_auth"


@pytest.mark.parametrize(
    "codes", [(81053,), (81054,), (81057,), (81058,), (4242, 81058)], ids=lambda codes: codes[-1]
)
@pytest.mark.parametrize("status", [400, 409, 200])
def test_every_code_of_a_taken_name_is_known(
    dns: CloudflareDns,
    cloudflare: CloudflareDouble,
    codes: tuple[int, ...],
    status: int,
) -> None:
    cloudflare.fail_next(status=status, body=rejection(*codes))
    with pytest.raises(RecordTaken):
        dns.create(ZONE_ID, SPEC, NEVER)
    assert len(cloudflare.requests) == 1


def test_a_code_that_is_wrapped_in_a_validation_error_is_seen(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    body = rejection(1004)
    body["errors"][0]["error_chain"] = [{"code": 81053, "message": CANARY}]
    cloudflare.fail_next(status=400, body=body)
    with pytest.raises(RecordTaken):
        dns.create(ZONE_ID, SPEC, NEVER)


RECORD = {"id": "a" * 32, "name": SPEC.name, "type": "A", "content": "192.0.2.1"}


@pytest.mark.parametrize(
    "body",
    [
        {"result": None},
        {"result": {}},
        {"result": [None]},
        {"result": [{**RECORD, "id": 7}]},
        {"result": [{**RECORD, "name": None}]},
        {"result": [{**RECORD, "type": ["A"]}]},
        {"result": [{**RECORD, "content": {"a": 1}}]},
        {"result": [{**RECORD, "comment": 7}]},
        {"result": [{**RECORD, "proxied": "true"}]},
        {"result": [RECORD], "result_info": None},
        {"result": [RECORD], "result_info": {}},
        {"result": [RECORD], "result_info": {"total_count": "1"}},
        {"result": [RECORD], "result_info": {"total_count": True}},
    ],
    ids=json.dumps,
)
def test_a_list_of_the_wrong_shape_is_an_error(
    dns: CloudflareDns, cloudflare: CloudflareDouble, body: dict[str, Any]
) -> None:
    defaults = {"success": True, "result_info": {"total_count": 1}}
    cloudflare.fail_next(status=200, body={**defaults, **body})
    with pytest.raises(UpstreamFailed) as failed:
        dns.find(ZONE_ID, SPEC.name, NEVER)
    assert failed.value.code == "dns_failed"


@pytest.mark.parametrize("result", [None, [], "x", {}, {"id": "a" * 32}], ids=json.dumps)
def test_a_written_record_of_the_wrong_shape_is_an_error(
    dns: CloudflareDns, cloudflare: CloudflareDouble, result: object
) -> None:
    cloudflare.fail_next(status=200, body={"success": True, "result": result}, times=2)
    with pytest.raises(UpstreamFailed) as created:
        dns.create(ZONE_ID, SPEC, NEVER)
    with pytest.raises(UpstreamFailed) as updated:
        dns.update(ZONE_ID, Record(NO_RECORD_ID, SPEC), NEVER)
    assert (created.value.code, updated.value.code) == ("dns_failed", "dns_failed")


# What is sent again, and for how long


@pytest.mark.parametrize(
    "fault",
    [
        {"drop": True},
        {"status": 429},
        {"status": 500},
        {"status": 502, "body": HTML},
        {"status": 503},
        {"status": 504},
    ],
    ids=["no-answer", "429", "500", "502-html", "503", "504"],
)
def test_l07_what_may_pass_is_tried_again(
    dns: CloudflareDns,
    cloudflare: CloudflareDouble,
    clock: Clock,
    fault: dict[str, Any],
) -> None:
    cloudflare.fail_next(**fault, times=ATTEMPTS - 1)
    assert dns.create(ZONE_ID, SPEC, NEVER).spec == SPEC
    assert len(cloudflare.requests) == ATTEMPTS
    assert len(clock.slept) == ATTEMPTS - 1
    assert all(0 < seconds <= 0.1 * 2**tries for tries, seconds in enumerate(clock.slept, 1))


@pytest.mark.parametrize("status", [429, 503])
def test_l07_retry_after_is_heeded(
    dns: CloudflareDns,
    cloudflare: CloudflareDouble,
    clock: Clock,
    status: int,
) -> None:
    cloudflare.fail_next(status=status, headers={"Retry-After": "7"})
    dns.find(ZONE_ID, SPEC.name, NEVER)
    assert clock.slept == [7]


@pytest.mark.parametrize(("told", "expected"), [("31", 31), ("300", 300), ("99999999", 300)])
def test_a_long_retry_after_is_told_and_not_slept_through(
    dns: CloudflareDns,
    cloudflare: CloudflareDouble,
    clock: Clock,
    told: str,
    expected: int,
) -> None:
    cloudflare.fail_next(status=429, headers={"Retry-After": told})
    with pytest.raises(UpstreamUnreachable) as raised:
        dns.find(ZONE_ID, SPEC.name, NEVER)
    assert raised.value.retry_after_seconds == expected
    assert (clock.slept, len(cloudflare.requests)) == ([], 1)


@pytest.mark.parametrize(
    "told", ["", "0", "-1", "soon", "1.5", "٣", "Wed, 21 Oct 2026 07:28:00 GMT"]
)
def test_a_retry_after_that_is_no_number_of_seconds_is_not_heeded(
    dns: CloudflareDns, cloudflare: CloudflareDouble, clock: Clock, told: str
) -> None:
    header = told.encode().decode("latin-1")
    cloudflare.fail_next(status=429, headers={"Retry-After": header})
    dns.find(ZONE_ID, SPEC.name, NEVER)
    assert len(clock.slept) == 1
    assert 0 < clock.slept[0] <= 0.2


def test_a_retry_after_beyond_the_deadline_ends_the_tries(
    dns: CloudflareDns, cloudflare: CloudflareDouble, clock: Clock
) -> None:
    cloudflare.fail_next(status=429, headers={"Retry-After": "7"})
    with pytest.raises(UpstreamUnreachable) as raised:
        dns.find(ZONE_ID, SPEC.name, Deadline.after(7, clock))
    assert (raised.value.code, raised.value.retry_after_seconds) == ("dns_rate_limited", 7)
    assert clock.slept == []


def test_the_tries_end_with_the_deadline(
    dns: CloudflareDns, cloudflare: CloudflareDouble, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "backoff_seconds", lambda _: 0.4)
    cloudflare.fail_next(status=503, times=ATTEMPTS)
    deadline = Deadline.after(1, clock)
    with pytest.raises(UpstreamUnreachable):
        dns.find(ZONE_ID, SPEC.name, deadline)
    assert len(cloudflare.requests) == 3
    assert deadline.remaining_seconds > 0


def test_nothing_is_sent_once_time_is_up(
    dns: CloudflareDns, cloudflare: CloudflareDouble, clock: Clock
) -> None:
    with pytest.raises(OutOfTime):
        dns.find(ZONE_ID, SPEC.name, Deadline.after(0, clock))
    assert cloudflare.requests == []


def test_an_answer_that_comes_too_late_is_not_waited_for(cloudflare: CloudflareDouble) -> None:
    cloudflare.latency_seconds = 3
    started = time.monotonic()
    with pytest.raises(UpstreamUnreachable) as raised:
        create_dns(cloudflare).find(ZONE_ID, SPEC.name, Deadline.after(0.2))
    assert time.monotonic() - started < 2
    assert raised.value.code == "dns_unreachable"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@contextmanager
def serve_by_hand(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Yield the URL of a server that answers each connection with the test's own bytes."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=_accept, args=(listener, talk))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _accept(listener: socket.socket, talk: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with closing(connection), suppress(OSError):
                connection.recv(65536)
                connection.sendall(HEAD)
                talk(connection)


def trickle(connection: socket.socket) -> None:
    """Send a byte now and then."""
    for _ in range(100):
        connection.sendall(b" ")
        time.sleep(0.05)


def break_off(connection: socket.socket) -> None:
    """Send less than was announced."""
    connection.sendall(b'{"success": true}')


def test_a_body_that_trickles_in_is_not_waited_for() -> None:
    started = time.monotonic()
    with serve_by_hand(trickle) as url, pytest.raises(UpstreamUnreachable) as raised:
        CloudflareDns(lambda: "token", None, url=url).find(ZONE_ID, SPEC.name, Deadline.after(0.3))
    assert time.monotonic() - started < 2
    assert raised.value.code == "dns_unreachable"


def test_a_body_that_breaks_off_is_no_answer(clock: Clock) -> None:
    with serve_by_hand(break_off) as url, pytest.raises(UpstreamUnreachable) as raised:
        CloudflareDns(lambda: "token", None, url=url).delete(ZONE_ID, NO_RECORD_ID, NEVER)
    assert raised.value.code == "dns_unreachable"
    assert len(clock.slept) == ATTEMPTS - 1


def test_nobody_there_is_unreachable(clock: Clock) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(UpstreamUnreachable) as raised:
        CloudflareDns(lambda: "token", None, url=f"http://127.0.0.1:{port}").find(
            ZONE_ID, SPEC.name, NEVER
        )
    assert raised.value.code == "dns_unreachable"
    assert len(clock.slept) == ATTEMPTS - 1


# L06: the reply is lost


def test_l06_a_create_whose_reply_was_lost_says_look_again(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    cloudflare.fail_next(drop=True, after=True, match="^POST ")
    with pytest.raises(RecordTaken):
        dns.create(ZONE_ID, SPEC, NEVER)
    assert [each.spec for each in dns.find(ZONE_ID, SPEC.name, NEVER)] == [SPEC]


def test_l06_an_update_whose_reply_was_lost_is_made_again(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    ours = seed(cloudflare, content="old.example.net")
    cloudflare.fail_next(drop=True, after=True, match="^PATCH ")
    assert dns.update(ZONE_ID, Record(ours, SPEC), NEVER) == Record(ours, SPEC)
    assert sent(cloudflare) == ["PATCH", "PATCH"]


def test_l06_a_delete_whose_reply_was_lost_is_done(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    ours = seed(cloudflare)
    cloudflare.fail_next(drop=True, after=True, match="^DELETE ")
    dns.delete(ZONE_ID, ours, NEVER)
    assert sent(cloudflare) == ["DELETE", "DELETE"]
    assert cloudflare.records(ZONE_ID) == []


def test_l06_a_batch_whose_reply_was_lost_says_look_again(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    old = seed(cloudflare, name="old")
    for changes in (RecordChanges(created=[SPEC]), RecordChanges(deleted=[old])):
        cloudflare.fail_next(drop=True, after=True, match="^POST ")
        with pytest.raises(RecordTaken):
            dns.write(ZONE_ID, changes, NEVER)
    assert [record["name"] for record in cloudflare.records(ZONE_ID)] == [SPEC.name]


def test_l06_a_batch_of_changes_whose_reply_was_lost_is_made_again(
    dns: CloudflareDns, cloudflare: CloudflareDouble
) -> None:
    ours = seed(cloudflare, content="old.example.net")
    cloudflare.fail_next(drop=True, after=True, match="^POST ")
    dns.write(ZONE_ID, RecordChanges(changed=[Record(ours, SPEC)]), NEVER)
    assert dns.find(ZONE_ID, SPEC.name, NEVER) == [Record(ours, SPEC)]


# The token


def test_the_token_is_read_once_in_five_minutes(cloudflare: CloudflareDouble, clock: Clock) -> None:
    secret = Secret(cloudflare.token)
    dns = create_dns(cloudflare, secret, clock=clock)
    assert secret.reads == 0
    for seconds, reads in ((0, 1), (299, 1), (1, 2)):
        clock.now += seconds
        dns.find(ZONE_ID, SPEC.name, NEVER)
        assert secret.reads == reads


def test_a_token_that_was_replaced_is_read_again_at_once(
    cloudflare: CloudflareDouble, clock: Clock
) -> None:
    secret = Secret("old-token", cloudflare.token)
    dns = create_dns(cloudflare, secret, clock=clock)
    for _ in range(2):
        dns.find(ZONE_ID, SPEC.name, NEVER)
    assert secret.reads == 2
    assert [request.headers["authorization"] for request in cloudflare.requests] == [
        "Bearer old-token",
        f"Bearer {cloudflare.token}",
        f"Bearer {cloudflare.token}",
    ]
    assert clock.slept == []


def test_a_token_that_was_replaced_is_read_again_once_for_all_threads(
    cloudflare: CloudflareDouble,
) -> None:
    secret = Secret("old-token", cloudflare.token)
    dns = create_dns(cloudflare, secret)
    cloudflare.latency_seconds = 0.1
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: dns.find(ZONE_ID, SPEC.name, NEVER), range(4)))
    assert secret.reads == 2


@pytest.mark.parametrize(
    ("values", "requests"),
    [(["wrong-token"], 1), (["wrong-token", "another", "and-another"], 2)],
    ids=["the-same", "another"],
)
def test_a_token_that_is_refused_is_read_once_more_and_then_told(
    cloudflare: CloudflareDouble, clock: Clock, values: list[str], requests: int
) -> None:
    secret = Secret(*values)
    with pytest.raises(UpstreamFailed) as failed:
        create_dns(cloudflare, secret, clock=clock).find(ZONE_ID, SPEC.name, NEVER)
    assert failed.value.code == "dns_auth"
    assert (secret.reads, len(cloudflare.requests)) == (2, requests)


def test_a_firewalls_page_does_not_have_the_token_read_again(
    cloudflare: CloudflareDouble, clock: Clock
) -> None:
    secret = Secret(cloudflare.token)
    cloudflare.fail_next(status=403, body=HTML)
    with pytest.raises(UpstreamFailed):
        create_dns(cloudflare, secret, clock=clock).find(ZONE_ID, SPEC.name, NEVER)
    assert secret.reads == 1


@pytest.mark.parametrize(
    "token",
    [None, "", " ", "to ken", "token\n", "token\r\nx-header: 1", "tök", "t\x00", "x" * 513],
    ids=ascii,
)
def test_nothing_is_sent_with_a_token_that_is_none(
    cloudflare: CloudflareDouble, clock: Clock, token: str | None
) -> None:
    secret = Secret(token, cloudflare.token)
    dns = create_dns(cloudflare, secret, clock=clock)
    with pytest.raises(UpstreamFailed) as failed:
        dns.find(ZONE_ID, SPEC.name, NEVER)
    assert failed.value.code == "dns_misconfigured"
    assert not token or not token.strip() or token not in failed.value.message
    assert cloudflare.requests == []
    assert dns.find(ZONE_ID, SPEC.name, NEVER) == []


# What the environment, Cloudflare or a caller could smuggle in


def test_a_redirect_is_not_followed(dns: CloudflareDns, cloudflare: CloudflareDouble) -> None:
    seed(cloudflare)
    there = f"{cloudflare.url}/zones/{ZONE_ID}/dns_records"
    cloudflare.fail_next(status=307, headers={"location": there})
    with pytest.raises(UpstreamFailed):
        dns.find(ZONE_ID, SPEC.name, NEVER)
    assert len(cloudflare.requests) == 1


def test_the_environment_has_no_say(
    dns: CloudflareDns,
    cloudflare: CloudflareDouble,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login nobody password nothing")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nothing.pem"))
    assert dns.find(ZONE_ID, SPEC.name, NEVER) == []
    (request,) = cloudflare.requests
    assert request.headers["authorization"] == f"Bearer {cloudflare.token}"


def test_cookies_are_not_kept(dns: CloudflareDns, cloudflare: CloudflareDouble) -> None:
    cloudflare.fail_next(status=503, headers={"set-cookie": "__cf_bm=1; path=/"})
    dns.find(ZONE_ID, SPEC.name, NEVER)
    assert ["cookie" in request.headers for request in cloudflare.requests] == [False, False]


BAD_IDS = ["", "x", "A" * 32, "a" * 31, "a" * 33, "a" * 32 + "\n", "../" + "a" * 29, "a" * 31 + "?"]


@pytest.mark.parametrize("bad", BAD_IDS, ids=ascii)
def test_nothing_but_an_id_gets_into_a_url(
    dns: CloudflareDns, cloudflare: CloudflareDouble, bad: str
) -> None:
    record = Record(bad, SPEC)
    calls: list[Callable[[], object]] = [
        lambda: dns.find(bad, SPEC.name, NEVER),
        lambda: dns.list_owned(bad, "friends-api/", NEVER),
        lambda: dns.create(bad, SPEC, NEVER),
        lambda: dns.update(bad, Record(NO_RECORD_ID, SPEC), NEVER),
        lambda: dns.delete(bad, NO_RECORD_ID, NEVER),
        lambda: dns.write(bad, RecordChanges(created=[SPEC]), NEVER),
        lambda: dns.update(ZONE_ID, record, NEVER),
        lambda: dns.delete(ZONE_ID, bad, NEVER),
        lambda: dns.write(ZONE_ID, RecordChanges(deleted=[bad]), NEVER),
        lambda: dns.write(ZONE_ID, RecordChanges(changed=[record]), NEVER),
    ]
    for call in calls:
        with pytest.raises(UpstreamFailed) as failed:
            call()
        assert failed.value.code == "dns_misconfigured"
    assert cloudflare.requests == []


def test_a_name_is_data_wherever_it_goes(dns: CloudflareDns, cloudflare: CloudflareDouble) -> None:
    name = "a&per_page=1#x?y=../é"
    assert dns.find(ZONE_ID, name, NEVER) == []
    assert cloudflare.requests[0].query["name.exact"] == name


def test_one_session_serves_many_calls(
    cloudflare: CloudflareDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Mock(wraps=gateway._build_session)  # noqa: SLF001 - counted, and otherwise left alone
    monkeypatch.setattr(gateway, "_build_session", build)
    dns = create_dns(cloudflare)
    assert build.call_count == 0
    for _ in range(3):
        dns.find(ZONE_ID, SPEC.name, NEVER)
    assert build.call_count == 1


def test_other_routes_do_not_pay_for_requests() -> None:
    code = "import sys, chalicelib.gateways.cloudflare; sys.exit('requests' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - ours


@pytest.mark.parametrize("message", ["dns call failed", "dns call repeated"])
def test_failures_are_logged_with_status_and_codes(
    dns: CloudflareDns,
    cloudflare: CloudflareDouble,
    caplog: pytest.LogCaptureFixture,
    message: str,
) -> None:
    cloudflare.fail_next(status=503)
    cloudflare.fail_next(status=400, body=rejection(9007))
    with pytest.raises(UpstreamFailed):
        dns.create(ZONE_ID, SPEC, NEVER)
    (line,) = [
        json.loads(JsonFormatter().format(each))
        for each in caplog.records
        if each.getMessage() == message
    ]
    expected = {
        "dns call failed": {"status": 400, "codes": [9007]},
        "dns call repeated": {"status": 503, "method": "POST"},
    }
    assert expected[message].items() <= line.items()
