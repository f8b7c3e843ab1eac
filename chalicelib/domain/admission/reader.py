"""How the reading of a manifest keeps track: where it is, what is wrong there, what is left out.

A path is a chain of keys, so that reading what is right never spells a pointer.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from chalicelib.domain.admission.report import Patch, Report, child, echo, remove
from chalicelib.domain.errors import LONGEST_ECHO

Path = tuple[Any, str | int]
"""Where a value is: the path of what holds it (None at the root), and its key there."""

MISSING: Final = object()


@dataclass(frozen=True)
class Reader:
    """Reads one manifest. at is its pointer; unread has the pointers of what the copy lacks."""

    report: Report
    at: str
    unread: set[str] = field(default_factory=set)

    def refuse(self, path: Path | None, message: str) -> None:
        """Note a fault that leaves a gap in the copy."""
        pointer, is_whole = self.locate(path)
        self.report.refuse(pointer, message)
        if is_whole:
            self.unread.add(pointer)

    def wrong_type(self, path: Path | None, expected: str) -> object:
        """Note a value that is not what it must be. Return MISSING."""
        self.refuse(path, f"{name_of(path)} must be {expected}.")
        return MISSING

    def replace(self, path: Path, expected: str, value: object) -> None:
        """Note a value that is not what it must be, and what it must have meant."""
        pointer, is_whole = self.locate(path)
        # Not "add": among the items of a list, that would insert another.
        fix: Patch = ({"op": "replace", "path": pointer, "value": value},)
        message = f"{name_of(path)} must be {expected}."
        self.report.refuse(pointer, message, fix if is_whole else None)

    def remove(self, path: Path, message: str) -> None:
        """Note a member that is mended by leaving it out."""
        pointer, is_whole = self.locate(path)
        self.report.refuse(pointer, message, remove(pointer) if is_whole else None)

    def locate(self, path: Path | None) -> tuple[str, bool]:
        """Return the pointer, or of what holds it if a key is too long to show, and which."""
        keys: list[str | int] = []
        while path is not None:
            path, key = path
            keys.append(key)
        keys.reverse()
        shown = [key for key in keys if isinstance(key, int) or len(key) <= LONGEST_ECHO]
        is_whole = len(shown) == len(keys)
        return child(self.at, *(shown if is_whole else _until_long(keys))), is_whole


def name_of(path: Path | None) -> str:
    """Return what a sentence calls the value at a path."""
    if path is None:
        return "A manifest"
    parent, key = path
    if isinstance(key, int):
        return f"Item {key} of {name_of(parent)}"
    is_plain = key.isascii() and key.isalpha() and len(key) <= LONGEST_ECHO
    return key if is_plain else f"The value of {echo(key)}"


def _until_long(keys: list[str | int]) -> list[str | int]:
    for index, key in enumerate(keys):
        if isinstance(key, str) and len(key) > LONGEST_ECHO:
            return keys[:index]
    return keys
