"""How much time a request has left, so that no call outlives its caller."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain.errors import OutOfTime


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock, in seconds."""

    at_seconds: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> "Deadline":
        """Return the deadline that lies this many seconds ahead."""
        return cls(clock() + seconds, clock)

    @property
    def remaining_seconds(self) -> float:
        """The time left; negative once the deadline has passed."""
        return self.at_seconds - self.clock()

    def within(self, seconds: float) -> "Deadline":
        """Return the deadline of a part that may take this long, within the whole."""
        return Deadline(min(self.at_seconds, self.clock() + seconds), self.clock)

    def bound(self, seconds: float) -> float:
        """Return the smaller of seconds and the time left. Raises OutOfTime when none is left."""
        remaining = self.remaining_seconds
        if remaining <= 0:
            msg = "The request ran out of time; what it recorded is kept. Try again."
            raise OutOfTime(msg, retry_after_seconds=5)
        return min(seconds, remaining)
