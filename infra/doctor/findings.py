"""What was tried, how it went, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. fault says what is wrong, and fix what to do; empty when well."""

    subject: str
    fault: str = ""
    fix: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing is to be done."""
        return not self.fault

    def __str__(self) -> str:
        if self.is_well:
            return f"ok    {self.subject}"
        return f"FAIL  {self.subject}: {self.fault} Fix: {self.fix}"
