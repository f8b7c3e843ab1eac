"""Takes out each guard, and lets the tests that reach it look for it."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import pytest

from tests.mutants import active, trials
from tests.mutants.guards import Guard
from tests.mutants.processes import Task, run_all
from tests.mutants.trials import Ran

Baseline = Mapping[str, Ran]
_DECLARATIONS: Final = "chalicelib/domain/admission/declarations.py"
# What reads the declared fields, and so is reached by the tests that notice one.
_READERS: Final = frozenset(
    f"chalicelib/domain/admission/{name}.py" for name in ("schema", "reader", "scalars")
)
# The first of the tests that may notice; almost always one of them does.
_LIKELY: Final = 12
_STARTS_SECONDS: Final = 60.0
_SLACK: Final = 4


class Fate(Enum):
    """What became of a guard that was out."""

    NOTICED = "noticed"
    HUNG = "hung"
    UNNOTICED = "unnoticed"


@dataclass(frozen=True)
class Verdict:
    """A guard's fate, and the test that noticed."""

    guard: Guard
    fate: Fate
    test: str = ""


@dataclass(frozen=True)
class _Trial:
    """What one child says: the test that failed, if any, and whether the guard was really out."""

    failed: str | None
    was_out: bool


def try_all(guards: Sequence[Guard], jobs: int) -> Iterator[Verdict]:
    """Yield the verdict of each guard.

    A test counts as one that notices if it fails where the guard is out, has come to where it is
    missing, and passes, alone and among others, where no guard is out.
    """
    late = [guard for guard in guards if not guard.early]
    early = [guard for guard in guards if guard.early]
    chosen: dict[str, list[str]] = {}
    # One child has all tests; its own children each run a few. Asked twice, it is forked twice.
    def serve_late() -> tuple[list[Verdict], dict[str, list[str]]]:
        told: list[tuple[list[Verdict], dict[str, list[str]]]] = []
        trials.collect(trials.TESTS, lambda session: told.append(_serve(session, late, early, jobs)))
        return told[0]

    for _, result in run_all([Task("tests", serve_late, 3600)], 1):
        verdicts, chosen = result or ([], {})
        yield from verdicts
    yield from _try_early(early, chosen, jobs)


def _serve(
    session: pytest.Session, late: Sequence[Guard], early: Sequence[Guard], jobs: int
) -> tuple[list[Verdict], dict[str, list[str]]]:
    items = {item.nodeid: item for item in session.items}
    baseline = _run_baseline(session.items, jobs)
    by_guard: defaultdict[str, list[str]] = defaultdict(list)
    for name, ran in baseline.items():
        for identifier in ran.reached:
            by_guard[identifier].append(name)
    for names in by_guard.values():
        names.sort(key=lambda name: baseline[name].seconds)

    def task_of(guard: Guard) -> Task[_Trial]:
        names = by_guard[guard.id]
        seconds = _STARTS_SECONDS + _SLACK * sum(baseline[name].seconds for name in names)
        return Task(guard.id, lambda: _try(guard.id, [items[name] for name in names]), seconds)

    found = dict(run_all(map(task_of, late), jobs))
    alone = _run_alone({each.failed for each in found.values() if each and each.failed}, items, jobs)
    verdicts = [_judge(guard, found[guard.id], alone) for guard in late]
    return verdicts, _choose(early, items, baseline)


def _run_baseline(items: Sequence[pytest.Item], jobs: int) -> Baseline:
    """Return the tests that pass where no guard is out. Every module's tests stay together."""
    files = defaultdict[str, list[pytest.Item]](list)
    for item in items:
        files[item.nodeid.partition("::")[0]].append(item)
    parts: list[list[pytest.Item]] = [[] for _ in range(jobs)]
    for index, name in enumerate(sorted(files, key=lambda name: -len(files[name]))):
        parts[index % jobs] += files[name]
    tasks = [
        Task(str(index), lambda part=part: trials.run(part, until_failure=False), 1800)
        for index, part in enumerate(parts)
    ]
    ran = {name: test for _, part in run_all(tasks, jobs) for name, test in (part or {}).items()}
    return {name: test for name, test in ran.items() if test.passed}


def _try(identifier: str, items: Sequence[pytest.Item]) -> _Trial:
    active.put_out(identifier)
    ran = trials.run(items, until_failure=True)
    failed = next((name for name, test in ran.items() if not test.passed), None)
    return _Trial(failed, failed is not None and identifier in ran[failed].reached)


def _run_alone(
    names: Collection[str], items: Mapping[str, pytest.Item], jobs: int
) -> frozenset[str]:
    """Return which of the tests pass by themselves, where no guard is out."""
    tasks = [
        Task(name, lambda name=name: trials.run([items[name]], until_failure=True)[name].passed, 120)
        for name in sorted(names)
    ]
    return frozenset(name for name, passed in run_all(tasks, jobs) if passed)


def _judge(guard: Guard, trial: _Trial | None, alone: Collection[str]) -> Verdict:
    if trial is None:
        return Verdict(guard, Fate.HUNG)
    if trial.failed is None or not trial.was_out or trial.failed not in alone:
        return Verdict(guard, Fate.UNNOTICED, trial.failed or "")
    return Verdict(guard, Fate.NOTICED, trial.failed)


def _choose(
    guards: Sequence[Guard], items: Mapping[str, pytest.Item], baseline: Baseline
) -> dict[str, list[str]]:
    """Return for each guard asked at import the tests that may notice, the likeliest first."""
    written = {name: _written(item) for name, item in items.items()}
    paths = {
        name: frozenset(identifier.partition(":")[0] for identifier in ran.reached)
        for name, ran in baseline.items()
    }
    chosen = {}
    for guard in guards:
        wanted = _READERS if guard.path == _DECLARATIONS else {guard.path}
        names = [name for name in baseline if not paths[name].isdisjoint(wanted)]
        word = guard.word

        def rank(name: str, word: str = word) -> tuple[bool, bool, float]:
            return word not in name, word not in written[name], baseline[name].seconds

        chosen[guard.id] = sorted(names, key=rank)
    return chosen


def _written(item: pytest.Item) -> str:
    """Return what a test says and is given."""
    call = getattr(item, "callspec", None)
    function = getattr(item, "function", None)
    return f"{inspect.getsource(function) if function else ''} {call.params if call else ''}"


def _try_early(
    guards: Sequence[Guard], chosen: Mapping[str, Sequence[str]], jobs: int
) -> Iterator[Verdict]:
    """Try guards that are asked once, at import: each in a child that has imported nothing yet."""
    left = {guard.id: guard for guard in guards}
    for most in (_LIKELY, None):
        tasks = [
            Task(name, _fresh(name, chosen[name][:most]), 600 if most is None else 120)
            for name in left
        ]
        found = dict(run_all(tasks, jobs))
        names = sorted({each.failed for each in found.values() if each and each.failed})
        alone = frozenset(_pass_fresh(names))
        for identifier, trial in found.items():
            verdict = _judge(left[identifier], trial, alone)
            if verdict.fate is not Fate.UNNOTICED or most is None:
                del left[identifier]
                yield verdict


def _fresh(identifier: str, names: Sequence[str]) -> Callable[[], _Trial]:
    """Return the trial of a guard that is out before the product is imported."""

    def work() -> _Trial:
        active.put_out(identifier)
        ran = _run_fresh(names, until_failure=True)
        failed = next((name for name, test in ran.items() if not test.passed), None)
        return _Trial(failed, active.was_missing(identifier))

    return work


def _pass_fresh(names: Sequence[str]) -> Iterator[str]:
    """Yield which of the tests pass where no guard is out."""
    task = Task("alone", lambda: _run_fresh(names, until_failure=False), 600)
    for _, ran in run_all([task] if names else [], 1):
        yield from (name for name, test in (ran or {}).items() if test.passed)


def _run_fresh(names: Sequence[str], *, until_failure: bool) -> dict[str, Ran]:
    ran: dict[str, Ran] = {}

    def serve(session: pytest.Session) -> None:
        items = {item.nodeid: item for item in session.items}
        ran.update(trials.run([items[name] for name in names], until_failure=until_failure))

    if names:
        trials.collect([*dict.fromkeys(name.partition("::")[0] for name in names)], serve)
    return ran
