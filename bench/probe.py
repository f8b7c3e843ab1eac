"""One cold start in this process: python -I -S -B probe.py TASK RUNTIME EVENT.

Prints what it took from the start of the process to the first answer. Only the standard library is
at hand, as it is before Lambda imports a function.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any


class _Context:
    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 29_000


def _peak_megabytes() -> float:
    # Not ru_maxrss: Linux counts there what the parent had before it started us.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


def main() -> None:
    """Import the function, answer one request, tell the costs."""
    task, runtime, event = sys.argv[1:]
    sys.path[:0] = [task]
    sys.path.append(runtime)
    import app  # noqa: PLC0415 - this import is what is measured

    answer: dict[str, Any] = app.app(json.loads(event), _Context())
    costs = {
        "status": answer["statusCode"],
        "cpu_ms": time.process_time() * 1000,
        "peak_mb": _peak_megabytes(),
    }
    sys.stdout.write(json.dumps(costs) + "\n")


if __name__ == "__main__":
    main()
