"""Two or more actors, each of whose calls to the outside is a step that a seed puts in order.

    run(seed, [lambda: api.post(...), lambda: api.delete(...)])

Every call of a gateway waits for its turn. When all actors wait, or are done, the seed picks one of
the waiting calls; it runs alone. So a seed is an interleaving, and the same one every time.
"""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.gateways.cluster import _OpenCluster
from chalicelib.gateways.table import Table

_STEPS = (
    (Table, ("get", "query", "update", "transact")),
    (CloudflareDns, ("find", "list_owned", "create", "update", "delete")),
    (_OpenCluster, ("get", "list_all", "apply", "delete")),
)
_actor: ContextVar[int | None] = ContextVar("actor", default=None)
# A request to Cloudflare is counted in the table: that is part of its own step.
_is_inside: ContextVar[bool] = ContextVar("is_inside", default=False)


class Turns:
    """Who waits for a turn, and whose it is."""

    def __init__(self, seed: int, actors: int) -> None:
        """Nobody has called anything yet."""
        self._random = random.Random(seed)  # noqa: S311 - an interleaving, no secret
        self._changed = threading.Condition()
        self._working = dict.fromkeys(range(actors), 1)
        self._waiting: list[tuple[int, threading.Event]] = []
        self._is_running = False

    def step(self, call: Callable[[], Any]) -> Any:
        """Run the call when it is its turn."""
        actor = _actor.get()
        if actor is None or _is_inside.get():
            return call()
        turn = threading.Event()
        with self._changed:
            self._waiting.append((actor, turn))
            self._pick()
        assert turn.wait(30), "an actor never got its turn"
        inside = _is_inside.set(True)
        try:
            return call()
        finally:
            _is_inside.reset(inside)
            with self._changed:
                self._is_running = False
                self._pick()

    def end(self, actor: int) -> None:
        """Note that an actor is done."""
        with self._changed:
            del self._working[actor]
            self._pick()

    def _pick(self) -> None:
        if self._is_running or not {each for each, _ in self._waiting} >= set(self._working):
            return
        if self._waiting:
            self._waiting.sort(key=lambda each: each[0])
            _, turn = self._waiting.pop(self._random.randrange(len(self._waiting)))
            self._is_running = True
            turn.set()


def run(seed: int, actors: list[Callable[[], Any]]) -> list[Any]:
    """Run the actors, their calls in the order of the seed; return what each returned."""
    turns = Turns(seed, len(actors))

    def act(number: int) -> Any:
        _actor.set(number)
        try:
            return actors[number]()
        finally:
            turns.end(number)

    with _in_turns(turns), ThreadPoolExecutor(len(actors)) as pool:
        futures = [pool.submit(copy_context().run, act, each) for each in range(len(actors))]
        return [future.result() for future in futures]


@contextmanager
def _in_turns(turns: Turns) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for owner, names in _STEPS:
            for name in names:
                patch.setattr(owner, name, _stepping(turns, getattr(owner, name)))
        yield


def _stepping(turns: Turns, method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        return turns.step(lambda: method(*arguments, **options))

    return call
