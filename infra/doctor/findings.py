"""What was tried, how it went, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """How it went, as the line begins."""

    WELL = "ok"
    SOON = "warn"
    UNTOLD = "skip"
    WRONG = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. fault says what is wrong, and fix what to do; empty when well.

    What is wrong soon, and what cannot be checked here, has both as well and is no failure.
    """

    subject: str
    fault: str = ""
    fix: str = ""
    otherwise: Outcome = Outcome.WRONG

    @property
    def outcome(self) -> Outcome:
        """How it went."""
        return self.otherwise if self.fault else Outcome.WELL

    @property
    def is_well(self) -> bool:
        """Whether nothing has failed."""
        return self.outcome is not Outcome.WRONG

    def __str__(self) -> str:
        said = f"{self.outcome.value:4}  {self.subject}"
        if self.fault:
            said += f": {self.fault}"
        return f"{said} Fix: {self.fix}" if self.fix else said


def untold(subject: str, why: str, how: str = "") -> Finding:
    """Return the finding for what cannot be checked here: why, and how to check it."""
    return Finding(subject, f"It cannot be checked here: {why}", how, Outcome.UNTOLD)
