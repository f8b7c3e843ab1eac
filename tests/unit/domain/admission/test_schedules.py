"""How often a schedule fires, held against a clock that asks every minute."""

import calendar
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chalicelib.domain.admission.schedules import parse_schedule

DAYS_SIMULATED = 3
LEAP_YEAR = 2028


def test_the_fields_are_those_of_cron() -> None:
    schedule = parse_schedule("*/20 8-10,22 1/10 JAN,mar mon-wed")
    assert schedule.minutes == {0, 20, 40}
    assert schedule.hours == {8, 9, 10, 22}
    assert schedule.days == {1, 11, 21, 31}
    assert schedule.months == {1, 3}


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("* * * * *", 1),
        ("*/5 * * * *", 5),
        ("*/7 * * * *", 4),
        ("0,57 * * * *", 3),
        ("0,57 3 * * *", 57),
        ("0,58 0,23 * * *", 2),
        ("0 3 * * *", 1440),
        ("0 3 1 * *", 1440),
        ("@hourly", 60),
        ("@weekly", 1440),
    ],
)
def test_the_shortest_period_is_exact(text: str, minutes: int) -> None:
    assert parse_schedule(text).shortest_period_minutes == minutes


@pytest.mark.parametrize(
    ("text", "fires"),
    [
        ("0 0 31 2 *", False),
        ("0 0 30 2 *", False),
        ("0 0 31 4,6,9,11 *", False),
        ("0 0 31 4,6,9,11 */01", False),
        ("0 0 29 2 *", True),
        ("0 0 31 2,3 *", True),
        ("0 0 31 2 1", True),
        ("0 0 31 2 */2", True),
        ("0 0 * 2 *", True),
    ],
)
def test_a_day_that_no_month_has_never_comes(text: str, fires: bool) -> None:
    assert parse_schedule(text).fires is fires


def fields(least: int, most: int) -> st.SearchStrategy[str]:
    numbers = st.integers(least, most)
    ranges = st.tuples(numbers, numbers).map(lambda ends: f"{min(ends)}-{max(ends)}")
    stepped = st.tuples(ranges | numbers.map(str) | st.just("*"), st.integers(1, most)).map(
        lambda parts: f"{parts[0]}/{parts[1]}"
    )
    part = st.just("*") | numbers.map(str) | ranges | stepped
    return st.lists(part, min_size=1, max_size=3).map(",".join)


def is_in(text: str, value: int, least: int, most: int) -> bool:
    for part in text.split(","):
        numbers, _, step = part.partition("/")
        first, _, last = numbers.partition("-")
        low, high = (least, most) if first == "*" else (int(first), int(last or first))
        if step and not last:
            high = most
        if low <= value <= high and (value - low) % int(step or 1) == 0:
            return True
    return False


@settings(deadline=None)  # a slow machine is no fault
@given(fields(0, 59), fields(0, 23))
@example("58/1", "23,0")
def test_a_clock_finds_the_same_shortest_period(minute: str, hour: str) -> None:
    clock = range(DAYS_SIMULATED * 24 * 60)
    times = [
        time
        for time in clock
        if is_in(minute, time % 60, 0, 59) and is_in(hour, time // 60 % 24, 0, 23)
    ]
    shortest = min(after - time for time, after in pairwise(times))
    assert parse_schedule(f"{minute} {hour} * * *").shortest_period_minutes == shortest


@settings(deadline=None)  # a slow machine is no fault
@given(fields(1, 31), fields(1, 12), fields(0, 6))
@example("31", "2", "*")
@example("30", "2", "*,1")
def test_a_calendar_finds_the_same_days(day: str, month: str, weekday: str) -> None:
    start, length = datetime(LEAP_YEAR, 1, 1, tzinfo=None), 366  # noqa: DTZ001 - no zone: a cron's
    assert calendar.isleap(LEAP_YEAR)
    dates = (start + timedelta(days=number) for number in range(length))
    found = any(
        is_in(month, date.month, 1, 12) and day_matches(date, day, weekday) for date in dates
    )
    assert parse_schedule(f"0 0 {day} {month} {weekday}").fires is found


def day_matches(date: datetime, day: str, weekday: str) -> bool:
    matches = is_in(day, date.day, 1, 31), is_in(weekday, date.isoweekday() % 7, 0, 6)
    starred = any(part in {"*", "*/1"} for text in (day, weekday) for part in text.split(","))
    return all(matches) if starred else any(matches)


@given(st.text(alphabet="*/,-0123456789 @?LWjanTZ=", max_size=20) | st.text(max_size=20))
def test_any_text_is_a_schedule_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert 1 <= parse_schedule(text).shortest_period_minutes <= 24 * 60


@pytest.mark.parametrize(
    "text",
    [
        *("\N{ARABIC-INDIC DIGIT THREE} 3 * * *", "\N{FULLWIDTH DIGIT ONE} 3 * * *"),
        *("0 3 * * \N{LATIN SMALL LETTER LONG S}un", "0\N{EM SPACE}3 * * *", "0\t3 * * *"),
    ],
)
def test_a_schedule_is_plain_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it has five fields"):
        parse_schedule(text)
