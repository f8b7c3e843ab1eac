"""Threat I07: one token, or one address that guesses, has only so much of the API."""

import itertools
from collections.abc import Callable

import pytest

from chalicelib.routes.throttle import network_of
from tests.described import ApiAnswer
from tests.factories import ADMIN_TOKEN, AGENT_TOKEN
from tests.harness import Api, Clock


@pytest.fixture
def clock() -> Clock:
    """The time, which stands still."""
    return Clock()


@pytest.fixture
def api(backend: None, clock: Clock) -> Api:
    """The app with its own limits: five requests a second."""
    return Api({"REQUESTS_PER_SECOND": "5"}, now=clock.now)


def send_until_throttled(send: Callable[[], ApiAnswer]) -> tuple[set[int], ApiAnswer]:
    """Return the statuses before the first 429, and that answer."""
    statuses: set[int] = set()
    for _ in range(200):
        answer = send()
        if answer.status == 429:
            return statuses, answer
        statuses.add(answer.status)
    pytest.fail("nothing was throttled")


def test_i07_a_token_that_sends_too_much_waits_and_the_others_do_not(
    api: Api, clock: Clock
) -> None:
    statuses, answer = send_until_throttled(lambda: api.get("/api/domains"))
    assert statuses == {200}
    assert answer.json["code"] == "throttled"
    assert answer.headers["Retry-After"] == "1"
    assert api.get("/api/domains", token=AGENT_TOKEN).status == 200
    clock.pass_seconds(1)
    assert api.get("/api/domains").status == 200


@pytest.mark.parametrize("token", ["fapi_guess-0123456789", None, "short"])
def test_i07_who_guesses_is_slowed_down_and_a_valid_token_from_there_is_not(
    api: Api, token: str | None
) -> None:
    statuses, answer = send_until_throttled(lambda: api.get("/api/domains", token=token))
    assert statuses == {401}
    assert (answer.json["code"], answer.headers["Retry-After"]) == ("throttled", "1")
    assert api.get("/api/domains", token=ADMIN_TOKEN).status == 200


def test_i07_what_is_throttled_reads_and_changes_nothing(api: Api) -> None:
    send_until_throttled(lambda: api.get("/api/domains"))
    assert api.post("/api/friends", {"id": "bob", "display_name": "Bob"}).status == 429
    assert api.get("/api/friends/bob", token=AGENT_TOKEN).status == 404


@pytest.mark.parametrize("other", ["192.0.2.2", "2001:db8:0:1::1"])
def test_i07_who_guesses_slows_down_no_other_address(api: Api, other: str) -> None:
    send_until_throttled(lambda: api.get("/api/domains", token=None))
    assert api.get("/api/domains", token=None, source=other).status == 401


def test_i07_an_address_that_a_header_claims_does_not_count(api: Api) -> None:
    numbers = itertools.count()
    statuses, _ = send_until_throttled(
        lambda: api.get(
            "/api/domains",
            token=None,
            headers={"X-Forwarded-For": f"198.51.100.{next(numbers)}"},
        )
    )
    assert statuses == {401}


def test_i07_the_addresses_of_one_ipv6_network_are_one_guessers(api: Api) -> None:
    numbers = itertools.count()
    statuses, _ = send_until_throttled(
        lambda: api.get("/api/domains", token=None, source=f"2001:db8::{next(numbers):x}")
    )
    assert statuses == {401}


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:0db8:0000:0000"), ("", ""), (":", ":")],
)
def test_a_network_is_what_one_caller_has(address: str, network: str) -> None:
    assert network_of(address) == network
