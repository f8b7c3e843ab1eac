"""The events of the pure Lambda functions: hostile until they are parsed, whoever sent them.

A hand-made event is held to the same rules as a request, and an unknown field is an error: a
misspelt dry_run must not become a real run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from chalicelib.domain.errors import LONGEST_ECHO, Fault, InvalidInput
from chalicelib.domain.fields import friend_id_fault
from chalicelib.domain.operations import OPERATION_ID
from chalicelib.domain.reconciliation import Part

# What EventBridge's schedule sends says nothing that we need.
_SCHEDULE: Final = {"source": "aws.events", "detail-type": "Scheduled Event"}
# What one invocation hands to another; nothing to offer to a person.
_INTERNAL: Final = "friends"
_KNOWN: Final = ("friend_id", "dry_run", _INTERNAL)
_MOST_FRIENDS: Final = 1_000


@dataclass(frozen=True)
class ReconcileEvent:
    """What reconcile is asked to do: everything, one friend, or these parts of these friends."""

    friend_id: str | None = None
    friends: Mapping[str, frozenset[Part]] = field(default_factory=dict)
    dry_run: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether everything is to be converged."""
        return self.friend_id is None and not self.friends


def parse_run_operation(event: object) -> tuple[str, str]:
    """Return the ids of the friend and of the operation. Raises InvalidInput with every fault."""
    known = ("friend_id", "operation_id")
    if not isinstance(event, Mapping):
        raise _invalid([Fault("", 'The event must be {"friend_id": ..., "operation_id": ...}.')])
    faults = _unknown(event, known)
    friend_id, identifier = (event.get(name) for name in known)
    faults += _friend_faults("/friend_id", friend_id)
    if not (isinstance(identifier, str) and OPERATION_ID.fullmatch(identifier)):
        message = "operation_id must be an id that an apply or a deletion has answered with."
        faults.append(Fault("/operation_id", message))
    if faults:
        raise _invalid(faults)
    return str(friend_id), str(identifier)


def parse_reconcile(event: object) -> ReconcileEvent:
    """Return what the event asks for. Raises InvalidInput with every fault."""
    if not isinstance(event, Mapping):
        raise _invalid(
            [Fault("", 'The event must be {}, {"friend_id": ...} or {"dry_run": true}.')]
        )
    if event.items() >= _SCHEDULE.items() and not event.keys() & set(_KNOWN):
        return ReconcileEvent()
    faults = _unknown(event, _KNOWN)
    dry_run = event.get("dry_run", False)
    if not isinstance(dry_run, bool):
        faults.append(Fault("/dry_run", "dry_run must be true or false."))
    friend_id: str | None = None
    friends: dict[str, frozenset[Part]] = {}
    if "friend_id" in event and "friends" in event:
        faults.append(Fault("/friends", "Name one friend_id or friends, not both."))
    elif "friend_id" in event:
        faults += _friend_faults("/friend_id", event["friend_id"])
        friend_id = str(event["friend_id"])
    elif "friends" in event:
        faults += _work_faults(event["friends"])
        friends = {} if faults else _parse_work(event["friends"])
    if faults:
        raise _invalid(faults)
    return ReconcileEvent(friend_id, friends, bool(dry_run))


def _work_faults(work: object) -> list[Fault]:
    if not isinstance(work, Mapping) or not 1 <= len(work) <= _MOST_FRIENDS:
        message = f"friends must hold 1 to {_MOST_FRIENDS} friends' ids, each with its parts."
        return [Fault("/friends", message)]
    known = frozenset(Part)
    faults = []
    for friend_id, parts in work.items():
        at = f"/friends/{str(friend_id)[:LONGEST_ECHO]}"
        faults += _friend_faults(at, friend_id)
        is_list = isinstance(parts, Sequence) and parts
        if not is_list or not all(isinstance(each, str) and each in known for each in parts):
            faults.append(Fault(at, f"The parts must be some of: {', '.join(sorted(known))}."))
    return faults


def _parse_work(work: Mapping[str, Sequence[str]]) -> dict[str, frozenset[Part]]:
    return {friend_id: frozenset(map(Part, parts)) for friend_id, parts in work.items()}


def _friend_faults(path: str, value: object) -> list[Fault]:
    fault = friend_id_fault(value) if isinstance(value, str) else "must be a friend's id."
    return [Fault(path, f"friend_id {fault}")] if fault else []


def _unknown(event: Mapping[object, object], known: Sequence[str]) -> list[Fault]:
    shown = ", ".join(name for name in known if name != _INTERNAL)
    faults = []
    for name in (each for each in event if each not in known):
        echo = str(name)[:LONGEST_ECHO]
        subject, path = (f"'{echo}'", f"/{echo}") if echo.isprintable() else ("A field", "")
        message = f"{subject} is not known here; known fields: {shown}. Nothing was done."
        faults.append(Fault(path, message))
    return faults


def _invalid(faults: list[Fault]) -> InvalidInput:
    return InvalidInput(faults[0].message, code="invalid_event", faults=tuple(faults))
