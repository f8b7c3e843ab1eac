"""One invocation of the reconcile function in a fresh process, so that its memory is its own.

Reads the function's environment, looks at the friend that is named, makes a whole pass, and prints
as JSON what that took. Nothing but the product runs here: AWS, the cluster and Cloudflare answer
from elsewhere. The look warms the function: imports and first connections are no part of a pass.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from bench.aws import be_patient
from chalicelib.bootstrap import wire
from chalicelib.gateways.seam import Outgoing, Seam
from chalicelib.routes.functions import reconcile
from chalicelib.settings import Settings

T = TypeVar("T")

_STATUS: Final = Path("/proc/self/status")
# The schedule's invocation has Lambda's most.
_MILLISECONDS: Final = 900_000


class _Context:
    """What Lambda tells a function of its time."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the time left."""
        return _MILLISECONDS


class _Recorder(Seam):
    """Counts what leaves by its name too."""

    def __init__(self) -> None:
        """Nothing has left yet."""
        super().__init__()
        self.reads: Counter[str] = Counter()
        self.changes: Counter[str] = Counter()

    def send(self, outgoing: Outgoing, request: Callable[[], T]) -> T:
        """Count, and send."""
        counter = self.changes if outgoing.is_write else self.reads
        counter[f"{outgoing.system} {outgoing.name}"] += 1
        return super().send(outgoing, request)


def main() -> None:
    """Make the pass and tell about it."""
    be_patient()
    recorder = _Recorder()
    reconciler = wire(Settings.from_env(os.environ), seam=recorder).reconciler
    reconcile(reconciler, {"friend_id": sys.argv[1], "dry_run": True}, _Context())
    recorder.reads.clear()
    started = time.perf_counter()
    report = reconcile(reconciler, {}, _Context())
    seconds = time.perf_counter() - started
    taken = {
        "report": report,
        "seconds": seconds,
        "peak_mb": _peak_mb(),
        "reads": recorder.reads,
        "writes": recorder.changes,
    }
    json.dump(taken, sys.stdout)


def _peak_mb() -> float | None:
    """Return the most memory that this process had; None where the system does not tell it.

    What getrusage says is no use: it begins with the memory of the process that started this one.
    """
    if not _STATUS.exists():
        return None
    lines = _STATUS.read_text().splitlines()
    peak = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) / 1024


if __name__ == "__main__":
    main()
