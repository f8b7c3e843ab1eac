"""A seam at which one chosen call goes wrong."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from chalicelib.gateways.seam import Outgoing, Seam
from tests.faults.answers import aws_error, refuse, timeout_error
from tests.faults.modes import Mode, is_aws, modes_of
from tests.world import World

T = TypeVar("T")


class ProcessKilled(BaseException):
    """The process is dead. No `except Exception` sees it, as none sees a real death."""


@dataclass(frozen=True)
class Point:
    """One call of a flow: the so-manyth of its name. Side by side, calls have no other order."""

    outgoing: Outgoing
    occurrence: int

    def __str__(self) -> str:
        return f"{self.outgoing.system} {self.outgoing.name} #{self.occurrence}"


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and where."""

    point: Point
    mode: Mode

    def __str__(self) -> str:
        return f"{self.mode} at {self.point}"

    def strike(self, point: Point, _number: int) -> Mode | None:
        """Return what becomes of this call; None is nothing."""
        return self.mode if point == self.point else None


@dataclass(frozen=True)
class NthFault:
    """What goes wrong with the so-manyth call of all, if it can."""

    number: int
    mode: Mode

    def strike(self, point: Point, number: int) -> Mode | None:
        """Return what becomes of this call; None is nothing."""
        is_meant = number == self.number and self.mode in modes_of(point.outgoing)
        return self.mode if is_meant else None


class FaultySeam(Seam):
    """The seam of one process, which may die: then every later call of any thread dies, too."""

    def __init__(self, world: World, fault: Fault | NthFault | None = None) -> None:
        """Let one call go wrong, or none; trace is all that has passed."""
        super().__init__()
        self.trace: list[Point] = []
        self.has_struck = False
        self._world = world
        self._fault = fault
        self._met: Counter[tuple[str, str]] = Counter()
        self._is_dead = threading.Event()
        self._refusing: str | None = None

    def send(self, outgoing: Outgoing, request: Callable[[], T]) -> T:
        """Make the request, or what the fault makes of it."""
        mode = self._meet(outgoing)
        answer = super().send(outgoing, lambda: self._send(outgoing, request, mode))
        if self._is_dead.is_set():
            # Nobody is left to read it; a real death closes its connection.
            _close(answer)
        self._require_life()
        return answer

    def end(self) -> None:
        """End the process: whatever of it still runs dies at its next call."""
        self._is_dead.set()

    def _meet(self, outgoing: Outgoing) -> Mode | None:
        """Note the call, and return how it goes wrong, if it does."""
        self._require_life()
        with self._lock:
            name = (outgoing.system, outgoing.name)
            self._met[name] += 1
            point = Point(outgoing, self._met[name])
            self.trace.append(point)
            mode = self._fault.strike(point, len(self.trace)) if self._fault else None
            self.has_struck |= mode is not None
        return mode

    def _send(self, outgoing: Outgoing, request: Callable[[], T], mode: Mode | None) -> T:
        if self._refusing == outgoing.system and is_aws(outgoing):
            raise aws_error(outgoing, Mode.OUTAGE)
        if mode is None:
            return request()
        if mode in {Mode.CRASH_AFTER, Mode.TIMEOUT, Mode.REPEATED}:
            _take_effect(request)
        match mode:
            case Mode.CRASH_BEFORE | Mode.CRASH_AFTER:
                self._is_dead.set()
                raise ProcessKilled
            case Mode.TIMEOUT:
                raise timeout_error(outgoing)
            case Mode.OUTAGE:
                self._refusing = outgoing.system
        if mode is not Mode.REPEATED:
            refuse(self._world, outgoing, mode)
        return request()

    def _require_life(self) -> None:
        if self._is_dead.is_set():
            raise ProcessKilled


def _take_effect(request: Callable[[], object]) -> None:
    """Make the request; its answer, a refusal too, does not arrive."""
    with suppress(Exception):
        _close(request())


def _close(answer: object) -> None:
    """Close the connection that an answer holds, if it holds one."""
    if close := getattr(answer, "close", None):
        close()
