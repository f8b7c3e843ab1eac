"""What is known of the local stack between commands: the files in .local/."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from infra.local import processes
from infra.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.processes import Process

STATE: Final = ROOT / ".local"
TEMPORARY: Final = STATE / "tmp"
KUBECONFIG: Final = STATE / "kubeconfig"
DEPLOYED: Final = STATE / "deployed"

_ENVIRONMENT: Final = STATE / "env"
_PROCESSES: Final = STATE / "processes.json"
_STARTED: Final = time.monotonic()


class StackError(Exception):
    """A step failed; the message says which, and where its log is."""


@dataclass
class Stack:
    """What runs so far, and how to reach it: the lines of .local/env."""

    running: list[Process] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def add(self, process: Process) -> None:
        """Remember a process at once, so that `down` finds it whatever happens next."""
        self.running.append(process)
        processes.save(self.running, _PROCESSES)

    def save_environment(self) -> None:
        """Write .local/env, which a shell can read and only its owner may: it holds tokens."""
        lines = [
            f"{name}={shlex.quote(self.environment[name])}\n" for name in sorted(self.environment)
        ]
        _ENVIRONMENT.touch(mode=0o600)
        _ENVIRONMENT.write_text("".join(lines))


def load_running_stack() -> Stack | None:
    """Return the stack that an earlier command has set up, if every one of its processes runs."""
    running = processes.load(_PROCESSES)
    if not running or not _ENVIRONMENT.exists():
        return None
    if not all(process.is_alive() for process in running):
        return None
    pairs = (line.partition("=") for line in _ENVIRONMENT.read_text().splitlines())
    return Stack(running, {name: "".join(shlex.split(value)) for name, _, value in pairs})


def forget_stack() -> None:
    """End every process that was started for the stack, and forget it. Safe to repeat."""
    processes.stop(processes.load(_PROCESSES))
    for path in _PROCESSES, _ENVIRONMENT, DEPLOYED, KUBECONFIG:
        path.unlink(missing_ok=True)
    shutil.rmtree(TEMPORARY, ignore_errors=True)


@contextmanager
def locked() -> Iterator[None]:
    """Let one command at a time change the stack. Raises StackError while another does."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                "Another command is at work on the local stack: wait for it."
            ) from None
        yield


def clean_environment() -> dict[str, str]:
    """Return what a process gets of our environment; functions inherit MiniStack's."""
    names = ("HOME", "LANG", "PATH", "XDG_CACHE_HOME")
    return {name: os.environ[name] for name in names if name in os.environ}


def say(sentence: str) -> None:
    """Print a line of progress, with the seconds since the start."""
    show(f"[{time.monotonic() - _STARTED:5.1f} s] {sentence}")


def show(text: str) -> None:
    """Print a command's output."""
    print(text, flush=True)  # noqa: T201 - this is where commands print
