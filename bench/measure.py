"""How a figure is taken: in turns with what it is compared with, and by its median."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One ratio, and what it should be at most. skipped says why it could not be measured.

    unit is of both, ours and the other.
    """

    name: str
    target: float
    ours: float = 0.0
    other: float = 0.0
    skipped: str = ""
    unit: str = "ms"

    @property
    def ratio(self) -> float:
        """Ours against the other."""
        return self.ours / self.other if self.other else 0.0

    @property
    def is_met(self) -> bool:
        """Whether the target is met; what was not measured misses nothing."""
        return bool(self.skipped) or self.ratio <= self.target


def compare(
    ours: Callable[[], object], other: Callable[[], object], *, rounds: int
) -> tuple[float, float]:
    """Return the median milliseconds of each, taken in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for taken, run in zip(times, (ours, other), strict=True):
            started = time.perf_counter()
            run()
            taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(times[0]), statistics.median(times[1])
