"""Runs tests in this process, and says of each how it went and which guards it reached."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import pytest
from hypothesis import Phase, settings

from tests.mutants import active

# What holds guards to something; the rest is slow, and looks at other things.
TESTS: Final = ("tests/unit/domain", "tests/unit/routes", "tests/unit/gateways", "tests/api")
_LEFT_OUT: Final = ("tests/api/test_conformance.py", "tests/api/test_call_budget.py")


@dataclass(frozen=True)
class Ran:
    """One test that ran."""

    passed: bool
    seconds: float
    reached: frozenset[str]


class _Listener:
    """Notes whether the test that runs has failed."""

    failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed |= report.failed


class _Serving:
    """Takes over from pytest once all is collected."""

    def __init__(self, serve: Callable[[pytest.Session], None]) -> None:
        self._serve = serve

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._serve(session)
        return True


def collect(files: Sequence[str], serve: Callable[[pytest.Session], None]) -> None:
    """Import the product with its questions, and these tests; then let serve do what it wants."""
    active.install()
    # The same examples each time, and no time spent on making a failure small.
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("mutants", derandomize=True, database=None, phases=phases)
    settings.load_profile("mutants")
    left_out = [f"--ignore={name}" for name in _LEFT_OUT]
    # -s: what is captured would go to one file of all the children. -W: hypothesis is imported.
    options = ("-s", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning")
    status = pytest.main([*options, *left_out, *files], plugins=[_Serving(serve)])
    if status not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        message = f"The tests cannot be collected: {status!r}"
        raise RuntimeError(message)


def run(items: Sequence[pytest.Item], *, until_failure: bool) -> dict[str, Ran]:
    """Run the tests in this order, and tell of each by its name."""
    ran: dict[str, Ran] = {}
    active.take_reached()
    for item, after in zip(items, [*items[1:], None], strict=True):
        listener, started = _Listener(), time.monotonic()
        item.config.pluginmanager.register(listener)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        item.config.pluginmanager.unregister(listener)
        seconds = time.monotonic() - started
        ran[item.nodeid] = Ran(not listener.failed, seconds, active.take_reached())
        if listener.failed and until_failure:
            break
    return ran
