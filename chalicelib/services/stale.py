"""Optimistic writes: read, decide, write if nothing has changed; else all of it again."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from chalicelib.domain.backoff import backoff_seconds
from chalicelib.domain.errors import Conflict
from chalicelib.ports import StaleVersion

T = TypeVar("T")
_ATTEMPTS: Final = 8


def retry_stale(attempt: Callable[[], T]) -> T:
    """Run the attempt again until nobody else was faster.

    Raises Conflict (busy) after eight attempts.
    """
    for number in range(_ATTEMPTS):
        try:
            return attempt()
        except StaleVersion:
            time.sleep(backoff_seconds(number, first_seconds=0.02, longest_seconds=0.5))
    msg = "Others keep changing this friend at the same moment. Try again."
    raise Conflict(msg, code="busy", retry_after_seconds=1)
