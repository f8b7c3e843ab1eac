"""When a CronJob runs: the cron syntax that Kubernetes reads, and how often a schedule fires.

The grammar is that of github.com/robfig/cron v3, the parser of the CronJob controller, without
what hides how often it fires (@every) or where (a TZ= prefix), and without its `?`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from chalicelib.domain.admission.report import Report, add
from chalicelib.domain.errors import LONGEST_ECHO

SHORTEST_PERIOD_MINUTES: Final = 5

_MINUTES_PER_HOUR: Final = 60
_MINUTES_PER_DAY: Final = 24 * _MINUTES_PER_HOUR
_LONGEST_SCHEDULE: Final = 256
_LONGEST_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_PART: Final = re.compile(
    r"(?:(?P<star>\*)|(?P<first>[0-9]{1,2}|[a-z]{3})(?:-(?P<last>[0-9]{1,2}|[a-z]{3}))?)"
    r"(?:/(?P<step>[0-9]{1,2}))?"
)
_STAR: Final = re.compile(r"\*(?:/0?1)?")


class _Field(NamedTuple):
    name: str
    least: int
    most: int
    words: Mapping[str, int]


def _numbered(words: str, least: int) -> dict[str, int]:
    return {word: number for number, word in enumerate(words.split(), start=least)}


_FIELDS: Final = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of the month", 1, 31, {}),
    _Field("month", 1, 12, _numbered("jan feb mar apr may jun jul aug sep oct nov dec", 1)),
    _Field("day of the week", 0, 6, _numbered("sun mon tue wed thu fri sat", 0)),
)


@dataclass(frozen=True)
class Schedule:
    """A parsed schedule. any_weekday: a day need only match the day of the month and the month."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    any_weekday: bool

    @property
    def shortest_period_minutes(self) -> int:
        """The least time between two firings, as if every day were a day on which it fires."""
        times = sorted(
            hour * _MINUTES_PER_HOUR + minute for hour in self.hours for minute in self.minutes
        )
        return min(after - time for time, after in pairwise([*times, times[0] + _MINUTES_PER_DAY]))

    @property
    def fires(self) -> bool:
        """Whether there is a day on which it fires: February has no 30th."""
        return not self.any_weekday or any(
            min(self.days) <= _LONGEST_MONTHS[month - 1] for month in self.months
        )


def check_schedule(text: str | None, at: str, report: Report) -> None:
    """Refuse a schedule that the cluster cannot read, that never fires or that fires too often."""
    if not text:
        report.refuse(at, "schedule is required, such as 0 3 * * *.")
        return
    try:
        schedule = parse_schedule(text)
    except ValueError as error:
        report.refuse(at, f"schedule must be in cron's syntax: {error}")
        return
    if not schedule.fires:
        report.refuse(at, "schedule must name a day that exists: this one never comes.")
    elif schedule.shortest_period_minutes < SHORTEST_PERIOD_MINUTES:
        message = (
            f"schedule must leave {SHORTEST_PERIOD_MINUTES} minutes at least between two runs."
        )
        fix = add(at, f"*/{SHORTEST_PERIOD_MINUTES} {text.split(maxsplit=1)[1]}")
        report.refuse(at, message, fix if len(text) <= LONGEST_ECHO else None)


@lru_cache(maxsize=256)
def parse_schedule(text: str) -> Schedule:
    """Return the schedule. Raises ValueError, whose text says what is allowed there."""
    fields = _MACROS.get(text, text).split()
    is_plain = len(text) <= _LONGEST_SCHEDULE and text.isascii() and text.isprintable()
    if not is_plain or len(fields) != len(_FIELDS):
        msg = (
            "it has five fields (minute, hour, day of the month, month, day of the week), such as"
            f" 0 3 * * *, or is one of {', '.join(_MACROS)}; a time zone goes into timeZone."
        )
        raise ValueError(msg)
    minutes, hours, days, months, _ = (
        frozenset(_numbers(field, part)) for field, part in zip(_FIELDS, fields, strict=True)
    )
    # A day matches when both of its fields do, if one of them has a star; else when either does.
    any_weekday = _has_star(fields[4]) and not _has_star(fields[2])
    return Schedule(minutes, hours, days, months, any_weekday=any_weekday)


def _numbers(field: _Field, text: str) -> Iterator[int]:
    for part in text.lower().split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise _unreadable(field)
        first, last = _ends(field, match)
        step = int(match["step"] or 1)
        if not field.least <= first <= last <= field.most or step == 0:
            raise _unreadable(field)
        yield from range(first, last + 1, step)


def _ends(field: _Field, match: re.Match[str]) -> tuple[int, int]:
    if match["star"]:
        return field.least, field.most
    first = _number(field, match["first"])
    if match["last"]:
        return first, _number(field, match["last"])
    return first, field.most if match["step"] else first


def _number(field: _Field, text: str) -> int:
    if text.isdigit():
        return int(text)
    if text not in field.words:
        raise _unreadable(field)
    return field.words[text]


def _has_star(text: str) -> bool:
    # As the controller's parser has it: */2 is a list of numbers, not a star.
    return any(_STAR.fullmatch(part) for part in text.split(","))


def _unreadable(field: _Field) -> ValueError:
    words = f" (or {', '.join(field.words).upper()})" if field.words else ""
    bounds = f"{field.least} to {field.most}{words}"
    return ValueError(f"its {field.name} has numbers from {bounds}, as in *, 1, 1-5, */2 or 1,3.")
