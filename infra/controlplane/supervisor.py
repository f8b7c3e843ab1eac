"""The process that keeps the components, so that none outlives the program that wanted them.

A test run can end in ways that run no clean-up: SIGKILL, a crash, a closed terminal. So the
components are children of this small process, which reads its orders from a pipe: when the other
end is gone, for whatever reason, it kills them and removes their directory. Nothing they hold is
worth a graceful shutdown.

Orders are lines of JSON: {"start": NAME, "argv": [...]} runs a component; {"detach": true} keeps
all running after the pipe is closed, for as long as the directory holds the file `keep`. A
component that ends by itself ends them all, and its last lines of log go to standard output.

Run as a script, by its path: it imports nothing of the project.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

POLL_SECONDS: Final = 0.1
LOG_TAIL_BYTES: Final = 3000
KEEP: Final = "keep"


class Supervisor:
    """The components of one control plane, and the directory that they share."""

    def __init__(self, directory: Path) -> None:
        """Keep nothing yet."""
        self.directory = directory
        self.components: dict[str, subprocess.Popen[bytes]] = {}
        self.detached = False
        self.pending = b""

    def run(self) -> str:
        """Follow orders until it is time to end, and return why."""
        while True:
            orders = self.read_orders()
            if orders is None and not self.detached:
                return "the program that started the control plane is gone"
            for order in orders or []:
                self.follow(order)
            for name, process in self.components.items():
                if process.poll() is not None:
                    return self.describe_end(name, process.returncode)
            if self.detached and not (self.directory / KEEP).exists():
                return "asked to stop"

    def read_orders(self) -> list[bytes] | None:
        """Return the orders that came within a moment, or None when no more will come."""
        source = [] if self.detached else [sys.stdin]
        readable, _, _ = select.select(source, [], [], POLL_SECONDS)
        if not readable:
            return []
        received = os.read(sys.stdin.fileno(), 65536)
        if not received:
            return None
        *orders, self.pending = (self.pending + received).split(b"\n")
        return orders

    def follow(self, line: bytes) -> None:
        """Follow one order."""
        order = json.loads(line)
        if order.get("detach"):
            self.detached = True
        else:
            self.start(order["start"], order["argv"])

    def start(self, name: str, argv: list[str]) -> None:
        """Run a component, its output going to a log file of its own."""
        with self.log_file(name).open("wb") as log:
            self.components[name] = subprocess.Popen(  # noqa: S603 - ours
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory
            )

    def log_file(self, name: str) -> Path:
        """Return where a component's output goes."""
        return self.directory / f"{name}.log"

    def describe_end(self, name: str, status: int) -> str:
        """Return what is known of a component that ended by itself."""
        tail = self.log_file(name).read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        return f"{name} ended by itself with status {status}; the end of its log:\n{tail}"

    def end(self) -> None:
        """Kill all components and remove their directory."""
        for process in self.components.values():
            process.kill()
        for process in self.components.values():
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def main() -> None:
    """Supervise the control plane in the directory that the first argument names."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    supervisor = Supervisor(Path(sys.argv[1]))
    reason = "the supervisor was stopped"
    try:
        reason = supervisor.run()
    finally:
        supervisor.end()
        sys.stdout.write(reason)


if __name__ == "__main__":
    main()
