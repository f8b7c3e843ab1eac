"""One trial: a flow with a fault in it, the death of its process, and what reconcile makes of it.

flow, with a fault ──▶ dead; what it dispatched is lost ──▶ 11 minutes ──▶ a pass, and what it
dispatches, and so on until the world is whole and a pass finds nothing to do.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from chalicelib.services.worker import Interrupted
from tests.faults.flows import Attempt, Flow
from tests.faults.injection import Fault, FaultySeam, Point, ProcessKilled
from tests.faults.judging import Before, judge
from tests.harness import Api
from tests.invariants import Problems
from tests.world import World

# Longer than the longest lease: a pass's, which lasts as long as its invocation may.
UNTIL_LEASES_ARE_OVER_SECONDS: Final = 11 * 60.0
MOST_PASSES: Final = 2
_GIVE_UP_AFTER: Final = 4
# The lease of a pass, taken and given back, and the count of the one request to Cloudflare.
_WRITES_OF_A_PASS: Final = {"dynamodb": 3}


@dataclass(frozen=True)
class Verdict:
    """How a trial ended. passes is how many it took until the world was whole and quiet.

    The pass in which the second fault is does not count. first_pass is what the first one called.
    """

    flow: str
    faults: tuple[Fault, ...]
    struck: bool
    passes: int
    problems: Problems
    first_pass: list[Point] = field(default_factory=list)

    def __str__(self) -> str:
        faults = ", then ".join(map(str, self.faults))
        wrong = [f"lost: {each}" for each in self.problems.lost]
        wrong += [f"leaked: {each}" for each in self.problems.leaked]
        return f"{self.flow}: {faults}: {self.passes} passes; {'; '.join(wrong) or 'whole'}"

    @property
    def is_sound(self) -> bool:
        """Whether nothing was lost, nothing leaked, and it took few passes."""
        return not self.problems and self.passes <= MOST_PASSES


class Stage:
    """A flow's world, made ready once; every trial finds it so."""

    def __init__(self, world: World, flow: Flow, restore: Callable[[], None]) -> None:
        """Prepare the flow; restore brings back the world as it is before that."""
        restore()
        flow.prepare(world)
        self.flow = flow
        self._world = world
        self._before = Before.of(world)
        self._restore = world.save()

    def trace(self) -> list[Point]:
        """Return the calls of the flow when nothing goes wrong, and insist that it succeeds."""
        seam = FaultySeam(self._world)
        attempt = self._run(seam)
        assert self.flow.was_accepted or attempt.was_acknowledged, attempt.answer
        return seam.trace

    def count(self) -> tuple[Counter[str], Counter[str]]:
        """Run the flow and a pass; return the calls by system, at the seam and at the wire."""
        self._restore()
        seam = FaultySeam(self._world)
        api = self._world.start(seam)
        self.flow.run(Attempt(self._world, api))
        reconcile(self._world, api)
        wire = Counter(self._world.aws.requests)
        wire["cluster"] = len(self._world.kube.requests)
        wire["cloudflare"] = len(self._world.cloudflare.requests)
        return seam.calls, +wire

    def run(self, *faults: Fault) -> Verdict:
        """Run the flow with the first fault, and a pass with the second, if there is one."""
        seams = [FaultySeam(self._world, fault) for fault in faults]
        attempt = self._run(seams[0])
        for seam in seams[1:]:
            with suppress(ProcessKilled):
                reconcile(self._world, self._world.start(seam))
            self._bury(seam)
        passes, problems, first = self._recover(attempt)
        struck = all(seam.has_struck for seam in seams)
        return Verdict(self.flow.name, faults, struck, passes, problems, first)

    def _run(self, seam: FaultySeam) -> Attempt:
        self._restore()
        attempt = Attempt(self._world, self._world.start(seam))
        with suppress(ProcessKilled):
            self.flow.run(attempt)
        self._bury(seam)
        return attempt

    def _bury(self, seam: FaultySeam) -> None:
        seam.end()
        self._world.kube.clear()
        self._world.cloudflare.clear()
        self._world.invocations.clear()
        self._world.clock.pass_seconds(UNTIL_LEASES_ARE_OVER_SECONDS)

    def _recover(self, attempt: Attempt) -> tuple[int, Problems, list[Point]]:
        """Reconcile until there is nothing to do; return the passes, and what is wrong then."""
        first: list[Point] = []
        passes = 0
        while True:
            problems = judge(self.flow, attempt, self._before)
            seam = FaultySeam(self._world)
            changed = reconcile(self._world, self._world.start(seam))
            first = first or seam.trace
            is_quiet = changed == 0 and +seam.writes == _WRITES_OF_A_PASS
            if is_quiet or passes == _GIVE_UP_AFTER:
                return passes, problems, first
            passes += 1


def reconcile(world: World, api: Api) -> int:
    """Run a pass and deliver what it dispatches, each event once; return what it has changed."""
    report = api.reconcile()
    while world.invocations:
        with suppress(Interrupted):
            api.deliver(world.invocations)
    # A pass that could not read what is recorded has no such count, and is not over.
    return int(report.get("changed", -1))
