"""All faults of all flows: which there are, and how they are shared out among processes.

Each process has a world of its own and runs shards: every so-manyth fault of one flow, in an order
that all processes agree on. So every fault is run once, by whichever process.
"""

import multiprocessing
import random
import re
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from tests.canaries import watching
from tests.faults.flows import FLOWS
from tests.faults.injection import Fault, Point
from tests.faults.modes import Mode, modes_of
from tests.faults.trial import Stage, Verdict
from tests.world import World, serve_world

SHARDS: Final = 6
# Ids that differ from one world to the next.
_RANDOM: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Shard:
    """Every so-manyth fault of a flow, and so many pairs."""

    flow: str
    number: int
    of: int
    pairs: int
    seed: int


@dataclass
class Tally:
    """What came of some trials of one flow. missed are second faults that met no call.

    searched is how many texts were searched for canaries, and canaries what was found.
    """

    calls: int = 0
    points: set[str] = field(default_factory=set)
    modes: set[Mode] = field(default_factory=set)
    singles: int = 0
    pairs: int = 0
    missed: int = 0
    lost: int = 0
    leaked: int = 0
    passes: int = 0
    searched: int = 0
    canaries: list[str] = field(default_factory=list)
    unsound: list[str] = field(default_factory=list)

    def note(self, verdict: Verdict) -> None:
        """Count one trial."""
        if not verdict.struck:
            self.missed += 1
            if len(verdict.faults) == 1:
                self.unsound.append(f"{verdict}: the fault met no call")
            return
        self.singles += len(verdict.faults) == 1
        self.pairs += len(verdict.faults) == 2
        self.lost += bool(verdict.problems.lost)
        self.leaked += bool(verdict.problems.leaked)
        self.passes = max(self.passes, verdict.passes)
        if not verdict.is_sound:
            self.unsound.append(str(verdict))

    def add(self, other: "Tally") -> None:
        """Add what came of other trials of the same flow."""
        self.calls = max(self.calls, other.calls)
        self.points |= other.points
        self.modes |= other.modes
        self.singles += other.singles
        self.pairs += other.pairs
        self.missed += other.missed
        self.lost += other.lost
        self.leaked += other.leaked
        self.passes = max(self.passes, other.passes)
        self.searched += other.searched
        self.canaries += other.canaries
        self.unsound += other.unsound


def run_campaign(
    flows: Sequence[str], *, jobs: int, pairs_per_flow: int, seed: int
) -> Iterator[tuple[str, Tally]]:
    """Run every single fault of these flows, and a sample of pairs; yield tallies as they come."""
    shards = [
        Shard(flow, number, SHARDS, -(-pairs_per_flow // SHARDS), seed)
        for flow in flows
        for number in range(SHARDS)
    ]
    # Not forked: a world has threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin) as pool:
        for future in as_completed([pool.submit(_run_in_process, shard) for shard in shards]):
            yield future.result()


def run_shard(stage: Stage, shard: Shard) -> Tally:
    """Run the shard's faults on a stage of its flow, and then its pairs."""
    trace = stage.trace()
    tally = Tally(calls=len(trace))
    verdicts = []
    for fault in faults_of(trace)[shard.number :: shard.of]:
        tally.points.add(_stable(fault.point))
        tally.modes.add(fault.mode)
        verdicts.append(stage.run(fault))
        tally.note(verdicts[-1])
    for pair in _sample_pairs(verdicts, shard):
        tally.note(stage.run(*pair))
    return tally


def _sample_pairs(verdicts: Sequence[Verdict], shard: Shard) -> list[tuple[Fault, Fault]]:
    """Return pairs of a fault in the flow and one in the first pass after it."""
    pairs = [
        (verdict.faults[0], second)
        for verdict in verdicts
        for second in faults_of(verdict.first_pass)
    ]
    choices = random.Random(f"{shard}")  # noqa: S311 - a sample, no secret
    return choices.sample(pairs, min(shard.pairs, len(pairs)))


def faults_of(trace: Sequence[Point]) -> list[Fault]:
    """Return every fault of every call, in an order that does not depend on random ids."""
    faults = [Fault(point, mode) for point in trace for mode in modes_of(point.outgoing)]
    return sorted(faults, key=lambda fault: (_stable(fault.point), fault.mode))


def _stable(point: Point) -> str:
    return _RANDOM.sub("*", str(point))


class _Process:
    """What a process of the pool keeps from one shard to the next."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        # It takes the log, too: nothing of it is printed.
        self._canaries = self._stack.enter_context(watching())
        self._world: World = self._stack.enter_context(serve_world())
        self._world.populate()
        self._restore = self._world.save()
        self._stages: dict[str, Stage] = {}

    def run(self, shard: Shard) -> Tally:
        if shard.flow not in self._stages:
            flow = next(each for each in FLOWS if each.name == shard.flow)
            self._stages[shard.flow] = Stage(self._world, flow, self._restore)
        tally = run_shard(self._stages[shard.flow], shard)
        tally.canaries = [f"{shard.flow}: {each}" for each in self._canaries.take_found()]
        _, tally.searched = self._canaries.take_figures()
        return tally


_process: list[_Process] = []


def _begin() -> None:
    _process.append(_Process())


def _run_in_process(shard: Shard) -> tuple[str, Tally]:
    try:
        return shard.flow, _process[0].run(shard)
    except Exception as error:  # noqa: BLE001 - whatever it is
        # What it is may not travel from one process to another; what it says does.
        raise RuntimeError("".join(traceback.format_exception(error))) from None
