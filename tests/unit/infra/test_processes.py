"""Processes are started, waited for and ended; somebody else's are left alone."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from infra.local import processes
from infra.local.processes import Process, ProcessError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY = "print('{\"ready\": true}', flush=True); "
SLEEP = "import time; time.sleep(60)"


def start(directory: Path, code: str) -> Process:
    command = [sys.executable, "-c", code]
    return processes.start("The sleeper", command, dict(os.environ), directory / "log")


def wait_until_ready(process: Process, *, timeout_seconds: float = 10) -> object:
    return processes.wait_until(
        process, lambda: processes.read_ready_line(process), timeout_seconds=timeout_seconds
    )


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    """A process that is ready and runs until it is ended."""
    process = start(tmp_path, READY + SLEEP)
    wait_until_ready(process)
    yield process
    processes.stop([process])


def test_a_ready_line_is_read_from_the_log(sleeper: Process) -> None:
    assert processes.read_ready_line(sleeper) == {"ready": True}


def test_a_stopped_process_is_gone(sleeper: Process) -> None:
    processes.stop([sleeper])
    assert not sleeper.is_alive()
    processes.stop([sleeper])


def test_a_process_that_ignores_sigterm_is_ended_all_the_same(tmp_path: Path) -> None:
    stubborn = start(
        tmp_path, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY + SLEEP
    )
    wait_until_ready(stubborn)
    processes.stop([stubborn], timeout_seconds=0.2)
    deadline = time.monotonic() + 5
    while stubborn.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not stubborn.is_alive()


def test_another_process_with_the_same_id_is_left_alone(sleeper: Process) -> None:
    processes.stop([replace(sleeper, started="another time")])
    assert sleeper.is_alive()


def test_what_is_saved_is_loaded(sleeper: Process, tmp_path: Path) -> None:
    processes.save([sleeper], tmp_path / "processes.json")
    (loaded,) = processes.load(tmp_path / "processes.json")
    assert loaded == sleeper
    assert loaded.is_alive()


def test_nothing_saved_is_nothing_loaded(tmp_path: Path) -> None:
    assert processes.load(tmp_path / "processes.json") == []


def test_a_process_that_ends_before_it_is_ready_is_named_with_its_last_words(
    tmp_path: Path,
) -> None:
    process = start(tmp_path, "raise SystemExit('port 1 is taken')")
    with pytest.raises(ProcessError, match=r"The sleeper stopped(?s:.*)port 1 is taken"):
        wait_until_ready(process)


def test_a_process_killed_by_somebody_else_is_seen_as_ended(sleeper: Process) -> None:
    os.kill(sleeper.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while sleeper.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not sleeper.is_alive()
