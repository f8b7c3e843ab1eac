"""Runs the tests: all of them once, to see which reach what, and then some without a guard."""

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType
from typing import Final, NoReturn

import pytest
from coverage import CoverageData

from tests.mutants.guards import ROOT, Guard, compile_without
from tests.mutants.replacing import Functions, is_replaceable

# What holds guards to something. The rest is slow, or looks at other things.
TESTS: Final = (
    "tests/unit/domain",
    "tests/unit/routes",
    "tests/unit/gateways",
    "tests/unit/test_settings.py",
    "tests/api",
)
_LEFT_OUT: Final = (
    "tests/api/test_conformance.py",
    "tests/api/test_exposure_races.py",
    "tests/api/reconcile",
)
_DATA: Final = ROOT / ".local/mutants.coverage"
# Nearly always one of the first notices. Where none does, all are asked.
_FIRST: Final = 40
# The most that one test may take.
_SECONDS: Final = 300
_NONE: Final = frozenset[str]()
# What the product and its tests import of others; a process that is forked has it already.
_OTHERS: Final = ("boto3", "chalice", "hypothesis", "jsonpatch", "kubernetes", "moto.core", "yaml")
_FORK: Final = multiprocessing.get_context("fork")


class Fate(Enum):
    """What became of a guard that was out."""

    NOTICED = "noticed"
    UNIMPORTABLE = "unimportable"
    UNNOTICED = "unnoticed"


@dataclass(frozen=True)
class Verdict:
    """A guard's fate, and the test that noticed."""

    guard: Guard
    fate: Fate
    test: str = ""


@dataclass(frozen=True)
class Baseline:
    """The tests with every guard in its place: how long each takes, and who reaches which line."""

    seconds: Mapping[str, float]
    by_line: Mapping[tuple[str, int], frozenset[str]]
    by_path: Mapping[str, frozenset[str]]

    def tests_of(self, guard: Guard) -> list[str]:
        """Return the tests that may notice that a guard is out, the likeliest first."""
        if guard.is_late:
            # Where no test comes to a refusal, those that come to its condition.
            lines = ((guard.path, line) for line in range(guard.reached, 0, -1))
            found = next((self.by_line[each] for each in lines if self.by_line.get(each)), _NONE)
        else:
            # What is asked while a module is imported. Declarations are read by their neighbours.
            found = self.by_path.get(guard.path) or self._reaching(guard.path.rpartition("/")[0])

        def rank(test: str) -> tuple[bool, bool, bool, float]:
            word = guard.word
            is_own = f"/test_{Path(guard.path).name}::" in test
            is_named = bool(word) and word in test
            is_said = bool(word) and word in _written(test)
            return (
                not (is_own and is_named),
                not (is_own or is_named),
                not is_said,
                self.seconds[test],
            )

        return sorted(found, key=rank)

    def _reaching(self, directory: str) -> frozenset[str]:
        paths = (path for path in self.by_path if path.rpartition("/")[0] == directory)
        return frozenset[str]().union(*(self.by_path[path] for path in paths))


_Task = tuple[Guard, Sequence[str]]


@cache
def _written(test: str) -> str:
    """Return the source of a test's function, decorators and all."""
    name, _, function = test.partition("::")
    return _functions_of(name).get(function.partition("[")[0], "")


@cache
def _functions_of(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = text.splitlines()
    return {
        each.name: "\n".join(lines[_first_line(each) - 1 : each.end_lineno])
        for each in ast.parse(text).body
        if isinstance(each, ast.FunctionDef)
    }


def _first_line(function: ast.FunctionDef) -> int:
    return min([function.lineno, *(each.lineno for each in function.decorator_list)])


@dataclass
class _Listener:
    """Chooses the tests, if only some are wanted, and keeps how they went."""

    wanted: Sequence[str] = ()
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    failed: list[str] = field(default_factory=list)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.wanted:
            by_name = {item.nodeid: item for item in items}
            items[:] = [by_name[name] for name in self.wanted if name in by_name]

    def pytest_runtest_setup(self) -> None:
        # Without a guard a test may never end.
        if self.wanted:
            signal.alarm(_SECONDS)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(report.nodeid)


@dataclass(frozen=True)
class _Finder(importlib.abc.MetaPathFinder):
    """Has one module imported as it is without a guard."""

    guard: Guard
    code: CodeType

    def find_spec(
        self, fullname: str, path: object, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if self.guard.path != f"{fullname.replace('.', '/')}.py":
            return None
        file = ROOT / self.guard.path
        loader = _Loader(fullname, str(file))
        loader.code = self.code
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    code: CodeType

    def get_code(self, fullname: str) -> CodeType:
        del fullname
        return self.code


def run_baseline() -> Baseline:
    """Run all the tests. Raises RuntimeError unless they pass."""
    _DATA.parent.mkdir(exist_ok=True)
    with _FORK.Pool(1) as pool:
        seconds = pool.apply(_run_all)
    data = CoverageData(str(_DATA))
    data.read()
    by_line: dict[tuple[str, int], frozenset[str]] = {}
    by_path: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for name in data.measured_files():
        path = str(Path(name).relative_to(ROOT))
        for line, contexts in data.contexts_by_lineno(name).items():
            # A context is "test|phase", or nothing for what an import has run.
            by_line[path, line] = frozenset(each.rpartition("|")[0] for each in contexts if each)
            by_path[path] |= by_line[path, line]
    return Baseline(seconds, by_line, by_path)


def try_all(guards: Sequence[Guard], baseline: Baseline, jobs: int) -> Iterator[Verdict]:
    """Yield what becomes of each guard, as it is known.

    Raises RuntimeError if a test that noticed does not pass by itself with every guard in place.
    """
    for name in _OTHERS:
        importlib.import_module(name)
    # A module that is as it was is compiled once, and not in each trial.
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(_DATA.parent / "mutants.pycache")
    imported, importing = list[_Task](), list[_Task]()
    for guard in guards:
        tasks = imported if is_replaceable(guard) else importing
        tasks.append((guard, baseline.tests_of(guard)))
    noticing = set()
    for verdict in chain(_try_imported(imported, jobs), _try_importing(importing, jobs)):
        yield verdict
        noticing |= {verdict.test} - {""}
    with _FORK.Pool(1) as pool:
        if failed := pool.apply(_run_quietly, (sorted(noticing),)).failed:
            message = f"These fail with every guard in its place: {', '.join(failed)}"
            raise RuntimeError(message)


def _run_all() -> dict[str, float]:
    os.environ["COVERAGE_FILE"] = str(_DATA)
    listener = _Listener()
    left_out = [f"--ignore={name}" for name in _LEFT_OUT]
    options = ("-n", "auto", "--cov=chalicelib", "--cov-context=test", "--cov-report=")
    if pytest.main([*options, *left_out, *TESTS], plugins=[listener]) != pytest.ExitCode.OK:
        message = "The tests do not pass with every guard in its place."
        raise RuntimeError(message)
    return dict(listener.seconds)


def _try_imported(tasks: Sequence[_Task], jobs: int) -> Iterator[Verdict]:
    """Try guards that do something when their module is used: all is imported and collected once.

    Each trial is a fork of that process, where the functions get the code that lacks the guard.
    """
    if not tasks:
        return
    reader, writer = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_fork_trials, args=(tasks, jobs, writer))
    process.start()
    # Those who can write are now the trials alone: what they leave unsaid ends the reading.
    writer.close()
    for _ in tasks:
        try:
            yield reader.recv()
        except EOFError:
            message = "A trial has ended without a verdict."
            raise RuntimeError(message) from None
    process.join()


def _fork_trials(tasks: Sequence[_Task], jobs: int, writer: Connection) -> None:
    # A long verdict is written in pieces.
    lock = _FORK.Lock()
    forking = _Forking(tasks, jobs)
    names = dict.fromkeys(name for _, tests in tasks for name in tests)
    listener = _run_quietly([*names], forking)
    if forking.tried is not None:
        with lock:
            writer.send(_judge(*forking.tried, listener))
        # What started this process goes on there.
        os._exit(0)


@dataclass
class _Forking:
    """Instead of running the tests, forks for each trial; in the fork, its tests run."""

    tasks: Sequence[_Task]
    jobs: int
    tried: _Task | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        by_name = {item.nodeid: item for item in session.items}
        functions = Functions([guard for guard, _ in self.tasks])
        running = 0
        for guard, tests in self.tasks:
            if running == self.jobs:
                os.wait()
                running -= 1
            if os.fork() == 0:
                self.tried = guard, tests
                session.items[:] = [by_name[name] for name in tests]
                functions.replace(guard)
                # Pytest goes on to run what is in the session.
                return None
            running += 1
        while running:
            os.wait()
            running -= 1
        return True


def _try_importing(tasks: Sequence[_Task], jobs: int) -> Iterator[Verdict]:
    """Try guards that do something while their module is imported: each trial imports all."""
    with _FORK.Pool(jobs, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(_try, tasks)


def _try(task: _Task) -> Verdict:
    guard, tests = task
    sys.meta_path.insert(0, _Finder(guard, compile_without(guard)))
    for some in (tests[:_FIRST], tests[_FIRST:]):
        listener = _run_quietly(some)
        verdict = _judge(guard, some, listener)
        if verdict.fate is not Fate.UNNOTICED:
            break
    return verdict


def _judge(guard: Guard, tests: Sequence[str], listener: _Listener) -> Verdict:
    if listener.failed:
        return Verdict(guard, Fate.NOTICED, listener.failed[0])
    is_run = listener.seconds.keys() == set(tests)
    return Verdict(guard, Fate.UNNOTICED if is_run else Fate.UNIMPORTABLE)


def _run_quietly(tests: Sequence[str], *plugins: object) -> _Listener:
    """Run these tests in this order, until one fails."""
    from hypothesis import Phase, settings  # noqa: PLC0415 - after CI is set, see __main__

    listener = _Listener(tests)
    silence = os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    files = dict.fromkeys(name.partition("::")[0] for name in tests)
    if files:
        # No time is spent on making a failure small: tests/conftest.py builds on what is loaded.
        settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate))
        settings.load_profile("mutants")
        # Plugins of others cost more than most tests, and none is needed here.
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        signal.signal(signal.SIGALRM, _stop)
        pytest.main(["-x", "-s", *files], plugins=[listener, *plugins])
        signal.alarm(0)
    return listener


def _stop(signum: int, frame: object) -> NoReturn:
    message = "It has taken too long."
    raise TimeoutError(message)
