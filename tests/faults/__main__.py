"""python -m tests.faults: a fault at every call of every flow, then reconcile; what is the damage?

Prints a table. Ends with 1 when anything was lost or leaked, took more than two passes, or told a
secret.
"""

import argparse
import os
import sys
import time
from collections.abc import Collection, Sequence
from typing import Final

from tests.faults.campaign import SHARDS, Tally, run_campaign
from tests.faults.flows import FLOWS

_COLUMNS: Final = (
    "calls",
    "points",
    "modes",
    "singles",
    "pairs",
    "lost",
    "leaked",
    "passes",
)
_NAMES: Final = tuple(flow.name for flow in FLOWS)
_WIDTH: Final = 9


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--flow", action="append", choices=_NAMES, help="only this one (repeat)")
    parser.add_argument("--pairs", type=int, default=160, help="pairs of faults for each flow")
    parser.add_argument("--seed", type=int, default=6, help="which second faults")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args(arguments)
    flows = options.flow or _NAMES
    started = time.monotonic()
    tallies = {name: Tally() for name in flows}
    left = dict.fromkeys(flows, SHARDS)
    print(_row("flow", _COLUMNS), flush=True)
    for name, tally in run_campaign(
        flows, jobs=options.jobs, pairs_per_flow=options.pairs, seed=options.seed
    ):
        tallies[name].add(tally)
        left[name] -= 1
        if not left[name]:
            print(_row(name, _cells(tallies[name])), flush=True)
    return _report(tallies.values(), time.monotonic() - started)


def _report(tallies: Collection[Tally], seconds: float) -> int:
    """Print the totals, and each trial that went wrong; return the exit status."""
    everything = Tally()
    for tally in tallies:
        everything.add(tally)
    calls, points = sum(each.calls for each in tallies), sum(len(each.points) for each in tallies)
    print(_row("all", [calls, points, *_cells(everything)[2:]]))
    print(*everything.unsound, sep="\n", end="\n" if everything.unsound else "")
    trials, failed = everything.singles + everything.pairs, len(everything.unsound)
    print(f"passes: the most that it took after the last fault. {seconds:.0f} s.")
    if everything.missed:
        print(f"{everything.missed} second faults met no call, and do not count.")
    found = everything.canaries
    print(*found, sep="\n", end="\n" if found else "")
    print(f"canaries: {everything.searched:,} texts searched, {len(found)} found")
    print(f"{trials - failed} passed, {failed} failed")
    return 1 if failed or found or not trials or not everything.searched else 0


def _cells(tally: Tally) -> list[object]:
    counted = (len(tally.points), len(tally.modes))
    trials = (tally.singles, tally.pairs, tally.lost, tally.leaked, tally.passes)
    return [tally.calls, *counted, *trials]


def _row(name: str, cells: Sequence[object]) -> str:
    return f"{name:20}" + "".join(f"{cell!s:>{_WIDTH}}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
