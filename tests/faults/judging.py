"""What a world that has come to rest after a flow is held to: the invariants, and the promise."""

from dataclasses import dataclass
from typing import Any

from tests.facts import facts_in
from tests.faults.flows import Attempt, Flow
from tests.invariants import Problems, find_problems
from tests.observed import Observed
from tests.world import World


@dataclass(frozen=True)
class Before:
    """What there was before a flow."""

    facts: frozenset[str]
    foreign: dict[str, Any]

    @classmethod
    def of(cls, world: World) -> "Before":
        """Look at the world."""
        seen = Observed.of(world)
        return cls(facts_in(seen), seen.foreign())


def judge(flow: Flow, attempt: Attempt, before: Before) -> Problems:
    """Return what is wrong with the world after the flow, by what its client was told."""
    seen = Observed.of(attempt.world)
    problems = find_problems(seen)
    _judge_promise(flow, attempt, before, facts_in(seen), problems)
    foreign = seen.foreign()
    problems.lost += [
        f"the foreign {name} was touched"
        for name, found in foreign.items()
        if found != before.foreign.get(name, found)
    ]
    return problems


def _judge_promise(
    flow: Flow, attempt: Attempt, before: Before, found: frozenset[str], problems: Problems
) -> None:
    kept = frozenset(each for each in before.facts if not each.startswith(flow.removes))
    done = kept | frozenset(flow.adds)
    if not (flow.was_accepted or attempt.was_acknowledged):
        if flow.is_partial:
            done = frozenset(each for each in done if each in found or each in kept)
        elif found == before.facts:
            return
    problems.lost += [f"that {fact}" for fact in sorted(done - found)]
    surplus = found - done - (before.facts if flow.is_partial else frozenset())
    problems.leaked += [f"that {fact}" for fact in sorted(surplus)]
