"""What clients know of their friends: for each, the states that are possible after what they saw.

A change that was acknowledged has happened; one whose answer was lost may have, or not. So a friend
is a set of states, and each call maps it: None is nobody of that id.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Known:
    """What can be read back about a friend, but for what was applied to the cluster."""

    contact: str
    agents: frozenset[tuple[str, str]] = frozenset()
    exposures: frozenset[str] = frozenset()

    def facts(self, friend_id: str) -> frozenset[str]:
        """Return the same as facts about the friend."""
        agents = (f"{friend_id} knows {agent}: {status}" for agent, status in self.agents)
        exposed = (f"{friend_id} exposes {name}: web:80" for name in self.exposures)
        return frozenset((self.contact, *agents, *exposed))


State = Known | None
Change = Callable[[State], State]


class Impossible(Exception):
    """The change cannot be made in this state, and must not have been acknowledged."""


class Model:
    """The possible states of each friend."""

    def __init__(self, possible: dict[str, set[State]]) -> None:
        """Begin with what is known."""
        self._possible = possible

    def copy(self) -> "Model":
        """Return what is known now, whatever becomes known later."""
        return Model({friend_id: set(states) for friend_id, states in self._possible.items()})

    @property
    def friends(self) -> list[str]:
        """The ids that it knows of."""
        return list(self._possible)

    def acknowledged(self, friend_id: str, change: Change) -> None:
        """Note that the change has happened."""
        after = set(_map(change, self._possible[friend_id]))
        assert after, f"{friend_id}: acknowledged, and impossible"
        self._possible[friend_id] = after

    def uncertain(self, friend_id: str, change: Change) -> None:
        """Note that the change may have happened."""
        self._possible[friend_id] |= set(_map(change, self._possible[friend_id]))

    def require(self, friend_id: str, found: frozenset[str]) -> None:
        """Insist that these are the facts of one of the possible states."""
        possible = [
            state.facts(friend_id) if state else frozenset() for state in self._possible[friend_id]
        ]
        assert found in possible, f"{friend_id}: {sorted(found)} is none of {possible}"


def registered(friend_id: str, contact: str, agent: str | None) -> Change:
    """Return the change that a registration makes."""
    agents = frozenset({(agent, "active")} if agent else ())

    def change(before: State) -> State:
        if before is not None:
            raise Impossible
        return Known(contact, agents)

    return change


def updated(contact: str) -> Change:
    """Return the change that an update of the whole contact makes."""
    return _of_somebody(lambda known: replace(known, contact=contact))


def befriended(agent: str, status: str) -> Change:
    """Return the change that a relationship makes."""

    def change(known: Known) -> Known:
        return replace(known, agents=_without(known, agent) | {(agent, status)})

    return _of_somebody(change)


def unfriended(agent: str) -> Change:
    """Return the change that the end of a relationship makes."""
    return _of_whoever(lambda known: replace(known, agents=_without(known, agent)))


def exposed(name: str) -> Change:
    """Return the change that an exposure makes."""
    return _of_somebody(lambda known: replace(known, exposures=known.exposures | {name}))


def taken_down(name: str) -> Change:
    """Return the change that the end of an exposure makes."""
    return _of_whoever(lambda known: replace(known, exposures=known.exposures - {name}))


def deleted(_: State) -> State:
    """Make the change that a deletion makes."""
    return None


def unchanged(before: State) -> State:
    """Make no change, to somebody who is there."""
    if before is None:
        raise Impossible
    return before


def _of_somebody(change: Callable[[Known], Known]) -> Change:
    def of_state(before: State) -> State:
        if before is None:
            raise Impossible
        return change(before)

    return of_state


def _of_whoever(change: Callable[[Known], Known]) -> Change:
    """Return a change that can be made to a friend who is on the way out, too."""
    return lambda before: before and change(before)


def _without(known: Known, agent: str) -> frozenset[tuple[str, str]]:
    return frozenset(each for each in known.agents if each[0] != agent)


def _map(change: Change, states: Iterable[State]) -> Iterable[State]:
    for state in list(states):
        try:
            yield change(state)
        except Impossible:
            continue
