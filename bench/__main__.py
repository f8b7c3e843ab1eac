"""Run every benchmark, print the table and write bench/results.json.

Each figure is a ratio of two things measured in this run, on this machine, in turns: a busy
machine slows both. A figure that misses its target says so; it fails nothing, because a slow
moment of the machine is no fault of the code.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.apply import measure_apply
from bench.cold_start import measure_cold_start
from bench.measure import Figure
from bench.provisioning import measure_provisioning
from bench.reconcile import measure_reconcile
from bench.status import measure_status
from bench.waiting import measure_waiting
from bench.warm import measure_warm

_RESULTS = Path(__file__).parent / "results.json"
_BENCHMARKS: tuple[Callable[[], list[Figure]], ...] = (
    measure_cold_start,
    measure_warm,
    measure_status,
    measure_provisioning,
    measure_apply,
    measure_waiting,
    measure_reconcile,
)


def main() -> None:
    """Measure, print, write."""
    figures: list[Figure] = []
    for benchmark in _BENCHMARKS:
        figures += benchmark()
    _print_table(figures)
    _RESULTS.write_text(json.dumps([asdict(each) for each in figures], indent=2) + "\n")


def _print_table(figures: Sequence[Figure]) -> None:
    width = max(len(each.name) for each in figures)
    print(f"{'what':{width}}  {'ours':>13}  {'other':>13}  {'ratio':>6}  target")
    for each in figures:
        if each.skipped:
            print(f"{each.name:{width}}  not measured: {each.skipped}")
            continue
        verdict = "" if each.is_met else "  MISSED"
        print(
            f"{each.name:{width}}  {each.ours:>10.3f} {each.unit:2}"
            f"  {each.other:>10.3f} {each.unit:2}"
            f"  {each.ratio:>6.3f}  <= {each.target}{verdict}"
        )


if __name__ == "__main__":
    main()
