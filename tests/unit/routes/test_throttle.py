"""Buckets: full at first, emptied by requests, filled by time, each for one key."""

import pytest

from chalicelib.domain.errors import TooManyRequests
from chalicelib.routes.throttle import Throttle
from tests.harness import Clock


def count_allowed(throttle: Throttle, key: str, most: int = 1000) -> int:
    """Return how many requests pass before one does not."""
    for number in range(most):
        try:
            throttle.take(key)
        except TooManyRequests:
            return number
    return most


def test_ten_seconds_requests_pass_at_once_and_then_as_many_as_time_allows() -> None:
    clock = Clock()
    throttle = Throttle(5, clock.now)
    assert count_allowed(throttle, "a") == 50
    clock.pass_seconds(1)
    assert count_allowed(throttle, "a") == 5
    clock.pass_seconds(3600)
    assert count_allowed(throttle, "a") == 50


def test_who_waits_as_told_gets_through() -> None:
    clock = Clock()
    throttle = Throttle(0.4, clock.now)
    assert count_allowed(throttle, "a") == 4
    with pytest.raises(TooManyRequests) as raised:
        throttle.take("a")
    assert (raised.value.code, raised.value.retry_after_seconds) == ("throttled", 3)
    clock.pass_seconds(3)
    throttle.take("a")


def test_nobody_is_throttled_for_another() -> None:
    throttle = Throttle(5, Clock().now)
    count_allowed(throttle, "a")
    assert count_allowed(throttle, "b") == 50


def test_a_clock_that_is_set_back_gives_nothing_and_takes_nothing() -> None:
    clock = Clock()
    throttle = Throttle(5, clock.now)
    assert count_allowed(throttle, "a", most=20) == 20
    clock.pass_seconds(-3600)
    assert count_allowed(throttle, "a") == 30


def test_very_many_keys_take_no_more_than_so_much_memory() -> None:
    throttle = Throttle(5, Clock().now)
    for number in range(10_000):
        throttle.take(str(number))
    assert len(throttle._buckets) == 4096  # noqa: SLF001 - what must not grow is inside
