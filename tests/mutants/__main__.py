"""python -m tests.mutants: without each guard in turn, do the tests notice?

Prints a table, and each guard that nobody misses. Ends with 1 when there is one.
"""

import argparse
import importlib
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from tests.mutants.campaign import Fate, Verdict, try_all
from tests.mutants.guards import find_guards

_WIDTH: Final = 11
# What the product and its tests import of others; children that import those have it already.
_OTHERS: Final = ("boto3", "chalice", "hypothesis", "jsonpatch", "kubernetes", "moto.core", "yaml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Try every guard and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="only guards of files whose path holds this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--tell", action="store_true", help="print which test notices what")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    guards = [guard for guard in find_guards() if options.only in guard.path]
    for name in _OTHERS:
        importlib.import_module(name)
    verdicts = sorted(try_all(guards, options.jobs), key=lambda each: each.guard.id)
    if options.tell:
        print(*(f"{each.guard.place}  {each.guard.text}  {each.test}" for each in verdicts), sep="\n")
    return _report(verdicts, time.monotonic() - started)


def _report(verdicts: Sequence[Verdict], seconds: float) -> int:
    """Print the table, and what nobody misses; return the exit status."""
    print(f"{'':32}" + "".join(f"{name:>{_WIDTH}}" for name in ("guards", *(f.value for f in Fate))))
    parts = Counter((each.guard.path.rpartition("/")[0], each.fate) for each in verdicts)
    for part in sorted({name for name, _ in parts}):
        print(_row(part, [parts[part, fate] for fate in Fate]))
    fates = Counter(each.fate for each in verdicts)
    print(_row("all", [fates[fate] for fate in Fate]))
    missed = [each for each in verdicts if each.fate is Fate.UNNOTICED]
    for each in missed:
        print(f"{each.guard.place}: {each.guard.text}")
    print(f"{len(verdicts)} guards, {len(verdicts) - len(missed)} noticed, {len(missed)} unnoticed.")
    print(f"{seconds:.0f} s.")
    return 1 if missed or not verdicts else 0


def _row(name: str, counts: Sequence[int]) -> str:
    return f"{name:32}" + "".join(f"{count:>{_WIDTH}}" for count in (sum(counts), *counts))


if __name__ == "__main__":
    sys.exit(main())
