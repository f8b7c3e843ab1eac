"""What a field may hold: a number from a range, or a word from a list. The fix is the nearest."""

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.domain.admission.report import Report, add, child, joined
from chalicelib.domain.model import JsonObject


@dataclass(frozen=True)
class Range:
    """The whole numbers from least to most, both included."""

    least: int
    most: int

    def clamp(self, value: int) -> int:
        """Return the nearest number that is allowed."""
        return min(max(value, self.least), self.most)


@dataclass(frozen=True)
class Choice:
    """The words that are allowed. The first one is the fix, and what an absent field means."""

    words: tuple[str, ...]
    required: bool = False


def check_ranges(
    spec: JsonObject, ranges: Mapping[str, Range], at: str, report: Report
) -> dict[str, int]:
    """Refuse each field that is out of its range. Return the fields that are given, as mended."""
    mended = {}
    for name, bounds in ranges.items():
        value = spec.get(name)
        if value is None:
            continue
        mended[name] = bounds.clamp(value)
        if mended[name] != value:
            pointer = child(at, name)
            message = f"{name} must be a whole number from {bounds.least} to {bounds.most}."
            report.refuse(pointer, message, add(pointer, mended[name]))
    return mended


def check_choice(spec: JsonObject, name: str, choice: Choice, at: str, report: Report) -> str:
    """Refuse a word that is not among the choices. Return the field, as mended."""
    value = spec.get(name)
    if value in choice.words:
        return str(value)
    if value is not None or choice.required:
        pointer = child(at, name)
        message = f"{name} must be one of: {joined(choice.words)}."
        report.refuse(pointer, message, add(pointer, choice.words[0]))
    return choice.words[0]
