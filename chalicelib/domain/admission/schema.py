"""Reads JSON against a shape: says what is unknown or of the wrong type, and copies the rest.

Rules run on the copy, so they may rely on every type, though not on anything being there. Where a
fault has a fix, the copy is what the fix makes of it: "3" becomes 3, and a rule then says what
it thinks of 3. Where it has none, the copy lacks the value, and what rules say of the gap is moot.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from chalicelib.domain.admission.reader import MISSING, Path, Reader, name_of
from chalicelib.domain.admission.report import child, echo
from chalicelib.domain.errors import LONGEST_ECHO

# No friend's manifest needs more, and a body full of items must not take seconds to read.
MOST_ITEMS: Final = 1000

_PUNCTUATION: Final = re.compile(r"[-_. ]")
# What the cluster takes an absent key of a list's item for.
_IMPLIED: Final = {"protocol": "TCP"}


class Shape(Protocol):
    """What a value may be. Values of exactly the type scalar need no reading."""

    scalar: type | None

    def read(self, value: object, path: Path, reader: Reader) -> object:
        """Return a copy of the value, or MISSING after a fault without a fix."""


@dataclass(frozen=True)
class Member:
    """One field of a struct. One with why_refused may not be set, whatever it holds."""

    shape: Shape
    required: bool = False
    why_refused: str | None = None


class Struct:
    """An object with known fields."""

    scalar: type | None = None

    def __init__(self, name: str, members: Mapping[str, Member]) -> None:
        """Name the type, and every field that it has."""
        self.name = name
        self.members = members
        self._required = [key for key, each in members.items() if each.required]
        self._similar = {_squash(key): key for key in members}
        # One look-up for each field: its shape, and the type that needs no reading.
        self._open = {
            key: (each.shape, each.shape.scalar)
            for key, each in members.items()
            if each.why_refused is None
        }

    def read(self, value: object, path: Path | None, reader: Reader) -> object:
        """Return a copy that has the members which are known and well-typed."""
        if not isinstance(value, dict):
            return reader.wrong_type(path, "an object")
        known, copy = self._open, {}
        for key, item in value.items():
            shape, scalar = known.get(key, _UNKNOWN)
            if shape is None or item is None:
                self._refuse_member(key, item, (path, key), reader)
            elif type(item) is scalar:
                copy[key] = item
            elif (read := shape.read(item, (path, key), reader)) is not MISSING:
                copy[key] = read
        for key in self._required:
            if key not in value:
                reader.refuse((path, key), f"{key} is required.")
        return copy

    def _refuse_member(self, key: str, item: object, path: Path, reader: Reader) -> None:
        member = self.members.get(key)
        if member is None:
            similar = self._similar.get(_squash(key[:LONGEST_ECHO]))
            hint = f"; perhaps {similar} is meant" if similar else ""
            reader.remove(path, f"Kubernetes knows no {echo(key)} in a {self.name}{hint}.")
        elif member.required:
            reader.refuse(path, f"{key} is required, and must not be null.")
        elif item is None:
            reader.remove(path, f"{key} must not be null; leave it out.")
        else:
            reader.remove(path, f"{key} cannot be set: {member.why_refused}")


_UNKNOWN: Final[tuple[Shape | None, type | None]] = (None, None)


class MapOf:
    """An object with keys of the caller's."""

    scalar: type | None = None

    def __init__(self, shape: Shape) -> None:
        """Say what every value is."""
        self.shape = shape

    def read(self, value: object, path: Path, reader: Reader) -> object:
        """Return a copy that has the members which are well-typed."""
        if not isinstance(value, dict):
            return reader.wrong_type(path, "an object")
        shape, scalar, copy = self.shape, self.shape.scalar, {}
        for key, item in value.items():
            if type(item) is scalar:
                copy[key] = item
            elif item is None:
                reader.remove(
                    (path, key), f"The value of {echo(key)} must not be null; leave it out."
                )
            elif (read := shape.read(item, (path, key), reader)) is not MISSING:
                copy[key] = read
        return copy


class ListOf:
    """A list of values of one shape. Among objects, keys must be unique together."""

    scalar: type | None = None

    def __init__(self, shape: Shape, keys: tuple[str, ...] = ()) -> None:
        """Say what every item is."""
        self.shape = shape
        self._keys = keys

    def read(self, value: object, path: Path, reader: Reader) -> object:
        """Return a copy in which every item is where it was, or MISSING."""
        if not isinstance(value, list):
            return reader.wrong_type(path, "a list")
        if len(value) > MOST_ITEMS:
            return reader.wrong_type(path, f"a list of {MOST_ITEMS} items at most")
        shape, scalar = self.shape, self.shape.scalar
        copy = [
            item if type(item) is scalar else shape.read(item, (path, index), reader)
            for index, item in enumerate(value)
        ]
        if any(item is MISSING for item in copy):
            if not isinstance(shape, Struct):
                reader.unread.add(reader.locate(path)[0])
                return MISSING
            copy = [{} if item is MISSING else item for item in copy]
        if self._keys and len(copy) > 1:
            self._refuse_duplicates(copy, path, reader)
        return copy

    def _refuse_duplicates(self, items: list[Any], path: Path, reader: Reader) -> None:
        seen = set()
        for index, item in enumerate(items):
            values = tuple(item.get(key, _IMPLIED.get(key)) for key in self._keys)
            if values in seen:
                what = " and ".join(self._keys)
                message = f"Another item of {name_of(path)} has the same {what}."
                reader.report.refuse(child(reader.locate(path)[0], index), message)
            elif None not in values:
                seen.add(values)


def _squash(name: str) -> str:
    return _PUNCTUATION.sub("", name.lower()).rstrip("s")
