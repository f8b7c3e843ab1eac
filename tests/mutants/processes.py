"""Work in children of this process: what it has imported they have, and what they do is theirs."""

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_FORK: Final = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Task(Generic[T]):
    """Work for one child, which is ended when its time is over."""

    name: str
    work: Callable[[], T]
    seconds: float


def run_all(tasks: Iterable[Task[T]], jobs: int) -> Iterator[tuple[str, T | None]]:
    """Yield what each task comes to, as it ends; None is what was out of time.

    A child that dies otherwise is a fault of ours: RuntimeError, with what it said.
    """
    left = iter(tasks)
    running: dict[Connection, tuple[Task[T], BaseProcess, float]] = {}
    while True:
        while len(running) < jobs and (task := next(left, None)) is not None:
            receiver, sender = _FORK.Pipe(duplex=False)
            process = _FORK.Process(target=_run, args=(task.work, sender))
            process.start()
            sender.close()
            running[receiver] = (task, process, time.monotonic() + task.seconds)
        if not running:
            return
        ready = wait([*running], timeout=0.5)
        for receiver, (task, process, deadline) in [*running.items()]:
            if receiver in ready:
                yield task.name, _receive(receiver, task.name)
            elif time.monotonic() > deadline:
                process.kill()
                yield task.name, None
            else:
                continue
            process.join()
            del running[receiver]


def _receive(receiver: Connection, name: str) -> "T":  # type: ignore[type-var]  # what the child sends
    try:
        told, value = receiver.recv()
    except EOFError:
        told, value = "it ended", None
    if told is not None:
        message = f"{name}: {told}"
        raise RuntimeError(message)
    return value  # type: ignore[no-any-return]  # as above


def _run(work: Callable[[], object], sender: Connection) -> None:
    # What tests and pytest print is of no use here; what is inherited must stay the parent's.
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(silence, descriptor)
    try:
        sender.send((None, work()))
    except BaseException:  # noqa: BLE001 - told to the parent, whatever it is
        sender.send((traceback.format_exc(), None))
    # Not by the usual way out: it would wait for the threads of servers.
    os._exit(0)
