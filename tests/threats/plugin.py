"""Counts, in a run of pytest, how many rows of threats.md were proved, and what tests count.

At the end it says so in a line each; with --threats-page only the tests of rows run, and the page
is written. With pytest-xdist this happens where the reports come together.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, cast

import pytest

from tests.threats.naming import find_tests, ids_in
from tests.threats.page import render
from tests.threats.rows import ROWS

Count = Callable[..., None]

_OPTION: Final = "--threats-page"
_COUNTED: Final = "counted"


@pytest.fixture
def count(_count: Count) -> Count:
    """Add to the figures at the end of the run, as _count says."""
    return _count


@pytest.fixture
def _count(record_property: Callable[[str, object], None]) -> Count:
    """Add to the figures at the end of the run: a title, and numbers by what they count.

    In place of a number, names: each counts once, whichever tests tell it.
    """

    def add(title: str, **figures: int | list[str]) -> None:
        record_property(_COUNTED, (title, figures))

    return add


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know the option."""
    parser.addoption(_OPTION, type=Path, help="run the tests of threats, and write them up here")


def pytest_configure(config: pytest.Config) -> None:
    """Listen to what becomes of the tests."""
    config.pluginmanager.register(_Listener(config.getoption(_OPTION)))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With the option, leave out what proves no row."""
    if config.getoption(_OPTION) is None:
        return
    items[:], others = (
        [item for item in items if bool(ids_in(item.name)) is wanted] for wanted in (True, False)
    )
    config.hook.pytest_deselected(items=others)


class _Listener:
    """Keeps outcomes by test, and figures by title."""

    def __init__(self, page: Path | None) -> None:
        self._page = page
        self._outcomes: defaultdict[str, set[str]] = defaultdict(set)
        self._figures: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._names: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            # The last report of a test has all that was counted until then.
            for name, value in report.user_properties:
                if name == _COUNTED:
                    self._add(*cast("tuple[str, dict[str, int | list[str]]]", value))
        if report.when == "call" or not report.passed:
            self._outcomes[report.nodeid.partition("[")[0]].add(report.outcome)

    def _add(self, title: str, figures: Mapping[str, int | list[str]]) -> None:
        counted = self._figures[title]
        for what, number in figures.items():
            if isinstance(number, list):
                names = self._names[title, what]
                names.update(number)
                counted[what] = len(names)
            else:
                counted[what] += number

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        results = self._results()
        for title, figures in sorted(self._figures.items()):
            told = ", ".join(f"{number:,} {what}" for what, number in figures.items())
            terminalreporter.write_line(f"{title}: {told.replace('_', ' ')}")
        if results:
            passed = sum(result == "passed" for result in results.values())
            terminalreporter.write_line(
                f"threats: {len(results)} of {len(ROWS)} rows covered, {passed} passed"
            )
        if self._page is not None:
            self._page.write_text(render(find_tests(), results))

    def _results(self) -> dict[str, str]:
        """Return each row that some test has tried: passed, or failed."""
        outcomes: defaultdict[str, set[str]] = defaultdict(set)
        for test, ended in self._outcomes.items():
            for row in ids_in(test.rpartition("::")[2]):
                outcomes[row] |= ended - {"skipped"}
        return {
            row.id: "failed" if "failed" in outcomes[row.id] else "passed"
            for row in ROWS
            if outcomes[row.id]
        }
