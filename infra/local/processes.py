"""The processes of the local stack: started so that each can be ended, and nothing else.

A process id alone names nobody: ids are used again. So each process is kept together with the time
at which it started, and a process that has the id but not the time is somebody else's and is left
alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_POLL_SECONDS: Final = 0.05
_LOG_LINES_IN_ERRORS: Final = 6


class ProcessError(Exception):
    """A process did not start; the message says which, and where its log is."""


@dataclass(frozen=True)
class Process:
    """A process of ours, as it is remembered on disk. It leads a process group of its own."""

    name: str
    pid: int
    started: str
    log: str

    def is_alive(self) -> bool:
        """Tell whether this very process still runs."""
        _reap(self.pid)
        return self.started != "" and _start_time(self.pid) == self.started


def start(name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """Start a process in a session of its own: a Ctrl-C meant for its parent does not reach it."""
    with log.open("w") as output:
        child = subprocess.Popen(  # noqa: S603 (the stack's own commands)
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    child.returncode = (
        0  # it is reaped by `Process`, perhaps by another parent: Popen is to forget it
    )
    return Process(name, child.pid, _start_time(child.pid), str(log))


def wait_until(process: Process, is_ready: Callable[[], Any], *, timeout_seconds: float) -> Any:  # noqa: ANN401
    """Return what is_ready returns, as soon as that is true.

    Raises ProcessError when the process ends before, or is not ready in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if answer := is_ready():
            return answer
        if not process.is_alive():
            raise ProcessError(f"{process.name} stopped as it started{_last_words(process)}")
        time.sleep(_POLL_SECONDS)
    raise ProcessError(
        f"{process.name} was not ready after {timeout_seconds:.0f} s{_last_words(process)}"
    )


def read_ready_line(process: Process) -> dict[str, Any] | None:
    """Return the JSON line with which a double says that it is ready; None until it has."""
    for line in Path(process.log).read_text(errors="replace").splitlines(keepends=True):
        if line.startswith("{") and line.endswith("\n"):
            with suppress(ValueError):
                ready: dict[str, Any] = json.loads(line)
                return ready
    return None


def stop(processes: Sequence[Process], *, timeout_seconds: float = 5) -> None:
    """End the processes and what they started: politely, then for certain. Safe to repeat."""
    ours = [process for process in processes if process.is_alive()]
    for process in ours:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + timeout_seconds
    while any(process.is_alive() for process in ours) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for process in ours:
        if process.is_alive():
            _signal(process, signal.SIGKILL)


def save(processes: Sequence[Process], path: Path) -> None:
    """Remember the processes."""
    path.write_text(json.dumps([asdict(process) for process in processes]))


def load(path: Path) -> list[Process]:
    """Return the remembered processes; none when nothing is remembered."""
    try:
        return [Process(**fields) for fields in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError):
        return []


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _reap(pid: int) -> None:
    """Let a child that has ended go; one of another parent is not ours to reap."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _start_time(pid: int) -> str:
    """Return when the process started, in the system's own terms; empty when it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return "" if Path("/proc/self/stat").exists() else _start_time_from_ps(pid)
    # proc_pid_stat(5): the name in brackets may hold anything; state is the next field, starttime
    # the 20th.
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def _start_time_from_ps(pid: int) -> str:
    """Return the same where there is no /proc, as on macOS."""
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
    state, _, started = shown.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


def _last_words(process: Process) -> str:
    lines = Path(process.log).read_text(errors="replace").splitlines()[-_LOG_LINES_IN_ERRORS:]
    return f"; its log is {process.log}" + "".join(f"\n    {line}" for line in lines)
