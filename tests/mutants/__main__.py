"""python -m tests.mutants: without each guard in turn, do the tests notice?

Prints a table, and each guard that nobody misses; ends with 1 when there is one.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from tests.mutants.guards import MODULES, find_guards
from tests.mutants.trials import Fate, Verdict, run_baseline, try_all

_WIDTH: Final = 14


def main(arguments: Sequence[str] | None = None) -> int:
    """Try every guard, and return the exit status."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--only", default="", help="only guards of files whose path holds this")
    parser.add_argument("--tell", action="store_true", help="print which test notices what")
    options = parser.parse_args(arguments)
    # Hypothesis, which is not imported yet, then tries the same examples each time.
    os.environ["CI"] = "true"

    started = time.monotonic()
    guards = [each for path in MODULES for each in find_guards(path) if options.only in each.path]
    baseline = run_baseline()
    print(f"{len(baseline.seconds)} tests pass with every guard in its place.", flush=True)
    verdicts: list[Verdict] = []
    for verdict in try_all(guards, baseline, os.cpu_count() or 1):
        verdicts.append(verdict)
        if verdict.fate is Fate.UNNOTICED:
            print(f"nobody misses {verdict.guard}", flush=True)
        elif options.tell or verdict.fate is Fate.UNIMPORTABLE:
            print(f"{verdict.guard}\n    {verdict.test or verdict.fate.value}", flush=True)
    parts = Counter((each.guard.path.rpartition("/")[0], each.fate) for each in verdicts)
    print(
        f"{'':32}" + "".join(f"{name:>{_WIDTH}}" for name in ("guards", *(f.value for f in Fate)))
    )
    for part in sorted({name for name, _ in parts}):
        print(_row(part, [parts[part, fate] for fate in Fate]))
    fates = Counter(each.fate for each in verdicts)
    print(_row("all", [fates[fate] for fate in Fate]))
    print(f"{time.monotonic() - started:.0f} s.")
    # Where no test has noticed anything, none has run.
    return 1 if fates[Fate.UNNOTICED] or not fates[Fate.NOTICED] else 0


def _row(name: str, counts: Sequence[int]) -> str:
    return f"{name:32}" + "".join(f"{count:>{_WIDTH}}" for count in (sum(counts), *counts))


if __name__ == "__main__":
    sys.exit(main())
