"""A test's name says which rows it proves: test_b02_b03_..., test_d02_to_d05_..., in any file.

So `pytest -k K06` runs a row's tests, grep finds them, and nothing else has to be kept in step.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
# What is not part of `make test`, and the command that runs it.
ELSEWHERE: Final = {"tests/cluster": "make test-cluster", "tests/e2e": "make test-e2e"}

_IDS: Final = re.compile(r"test_((?:[a-l]\d\d_(?:to_)?)+)")
_ID: Final = re.compile(r"([a-l])(\d\d)_(to_)?")
_TEST: Final = re.compile(r"^def (test_\w+)\(", re.MULTILINE)


@dataclass(frozen=True, order=True)
class NamedTest:
    """A test function that bears the ids of rows; path is the file's, from the root."""

    path: str
    name: str

    @property
    def node_id(self) -> str:
        """What pytest calls it, without parameters."""
        return f"{self.path}::{self.name}"

    @property
    def elsewhere(self) -> str | None:
        """The command that runs it, where that is not `make test`."""
        return next((ELSEWHERE[each] for each in ELSEWHERE if self.path.startswith(each)), None)


def ids_in(name: str) -> Sequence[str]:
    """Return the ids of rows in the name of a test function, in order; none where it has none."""
    found = _IDS.match(name)
    return list(_expand(found[1])) if found else []


def _expand(text: str) -> Iterator[str]:
    start: int | None = None
    for letter, digits, to in _ID.findall(text):
        number = int(digits)
        for each in range(number if start is None else start + 1, number + 1):
            yield f"{letter.upper()}{each:02}"
        start = number if to else None


def find_tests() -> list[NamedTest]:
    """Return all tests of this repository that bear an id. Read as text: it takes no time."""
    return sorted(
        NamedTest(path.relative_to(ROOT).as_posix(), name)
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in _TEST.findall(path.read_text())
        if ids_in(name)
    )
