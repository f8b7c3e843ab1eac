"""Calls side by side: their order, their errors, their context."""

import threading
import time
from contextvars import ContextVar
from functools import partial

import pytest

from chalicelib.services.concurrency import both, side_by_side

number: ContextVar[int] = ContextVar("number", default=0)


def test_results_come_in_the_order_of_the_calls() -> None:
    def after(seconds: float, value: int) -> int:
        time.sleep(seconds)
        return value

    calls = [partial(after, seconds, value) for value, seconds in enumerate((0.03, 0.01, 0.0))]
    assert side_by_side(calls) == [0, 1, 2]
    assert side_by_side([]) == []
    assert both(lambda: "a", lambda: 1) == ("a", 1)


def test_calls_run_at_once() -> None:
    barrier = threading.Barrier(8)
    assert sorted(side_by_side([partial(barrier.wait, 5)] * 8)) == list(range(8))


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_is_raised_once_every_call_has_ended(failing: int) -> None:
    ended: list[int] = []

    def run(index: int) -> None:
        if index == failing:
            raise ValueError(index)
        time.sleep(0.02)
        ended.append(index)

    with pytest.raises(ValueError, match=str(failing)):
        side_by_side([partial(run, index) for index in range(3)])
    assert len(ended) == 2


def test_the_callers_context_goes_with_each_call() -> None:
    number.set(7)
    assert side_by_side([number.get] * 3) == [7, 7, 7]


def test_the_first_call_may_run_others_side_by_side_however_many_there_are() -> None:
    def nested() -> list[int]:
        return side_by_side([lambda: 1] * 40)

    assert side_by_side([nested, lambda: [2]])[1] == [2]
