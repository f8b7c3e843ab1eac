"""Independent reads go out side by side, so that an answer takes the time of the slowest."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Final, TypeVar, cast

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")

# Made once, because starting eight threads costs more than all else that we do for a status. It
# holds nothing between calls; its threads start when they are first needed.
_POOL: Final = ThreadPoolExecutor(max_workers=32, thread_name_prefix="side-by-side")


def side_by_side(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run the calls at once and return their results in order.

    Waits for all of them; then raises the first error in order, if any. The caller's context
    (the request id in logs) goes with each call. The first call runs in the caller's own thread,
    and it alone may run others side by side: the rest would wait for the very threads they are on.
    """
    if not calls:
        return []
    futures = [_POOL.submit(copy_context().run, call) for call in calls[1:]]
    try:
        first = calls[0]()
    finally:
        wait(futures)
    return [first, *(future.result() for future in futures)]


def each_of(work: Callable[[A], T], items: Sequence[A], *, at_once: int) -> list[T]:
    """Do the work on each item, so many at once, and return the results in order.

    Each runs in a thread of its own, so that it may run others side by side. Raises the first error
    in order, after all are done.
    """
    if not items:
        return []
    with ThreadPoolExecutor(min(at_once, len(items)), thread_name_prefix="each-of") as pool:
        futures = [pool.submit(copy_context().run, work, item) for item in items]
        return [future.result() for future in futures]


def both(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """Run two calls of different kinds side by side."""
    calls: tuple[Callable[[], A | B], ...] = (first, second)
    one, other = side_by_side(calls)
    return cast("A", one), cast("B", other)
