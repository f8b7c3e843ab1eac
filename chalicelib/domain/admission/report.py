"""What is wrong with a manifest, gathered while it is read, so that all of it is told at once."""

from collections.abc import Sequence
from typing import Any, Final

from chalicelib.domain.errors import LONGEST_ECHO, Fault

Patch = tuple[dict[str, object], ...]
"""A JSON Patch (RFC 6902), its paths from the root of the request's body."""

_MOST_FOUND: Final = 3000


class TooManyFaults(Exception):
    """So much is wrong that nobody reads the rest of it."""


class Report:
    """The faults found so far, in the order in which they were found.

    A fix stands by itself: it may be applied alone, or after any of the fixes that were found
    before it. Hence one that adds to an absent parent adds that parent complete, and may stand
    with several faults; and one that removes something stands with one fault alone.
    """

    def __init__(self) -> None:
        """Nothing is wrong yet."""
        self._faults: list[Fault] = []

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Everything found so far."""
        return tuple(self._faults)

    def refuse(self, pointer: str, message: str, fix: Patch | None = None) -> None:
        """Note a fault: where it is, a sentence that says what is allowed, and what mends it.

        Raises TooManyFaults once a few thousand are found: a hostile body holds 300,000.
        """
        self._faults.append(Fault(pointer, message, fix))
        if len(self._faults) >= _MOST_FOUND:
            raise TooManyFaults


def child(pointer: str, *keys: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of something inside what the pointer names."""
    escaped = (str(key).replace("~", "~0").replace("/", "~1") for key in keys)
    return "/".join([pointer, *escaped])


def echo(value: object) -> str:
    """Return a caller's value as an error may show it: quoted, 64 characters at most."""
    text = str(value)
    return repr(text if len(text) <= LONGEST_ECHO else f"{text[: LONGEST_ECHO - 1]}…")


def add(pointer: str, value: Any) -> Patch:  # noqa: ANN401 - any JSON value
    """Return the patch that sets a member, whether it is there or not."""
    return ({"op": "add", "path": pointer, "value": value},)


def remove(pointer: str) -> Patch:
    """Return the patch that removes a member that is there."""
    return ({"op": "remove", "path": pointer},)


def joined(words: Sequence[str]) -> str:
    """Return words as a sentence lists them."""
    return ", ".join(words)
