"""Optimistic writes: read, decide, write if nothing has changed; else all of it again."""

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from chalicelib.domain.errors import Conflict
from chalicelib.ports import StaleVersion

T = TypeVar("T")
_ATTEMPTS: Final = 8
_FIRST_DELAY_SECONDS: Final = 0.02
_LONGEST_DELAY_SECONDS: Final = 0.5


def retry_stale(attempt: Callable[[], T]) -> T:
    """Run the attempt until no one else was faster. Raises Conflict (busy) after some of them."""
    for number in range(_ATTEMPTS):
        try:
            return attempt()
        except StaleVersion:
            longest = min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2**number)
            time.sleep(random.SystemRandom().uniform(0, longest))
    msg = "Others keep changing this friend at the same moment. Try again."
    raise Conflict(msg, code="busy", retry_after_seconds=1)
