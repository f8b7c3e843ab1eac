"""docs/threats.md: each row, the tests that prove it, and how they ended."""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from tests.threats.naming import ROOT, NamedTest, ids_in
from tests.threats.rows import ROWS, SECTIONS, Row

PAGE: Final = ROOT / "docs" / "threats.md"

_HEAD: Final = """# What is tried against the API, and which tests prove the answer

Written by `make threats`, which runs the tests below. Every row has at least one in `make test`,
which fails where a row has none and where this page names other tests than there are. A row's id is
in its tests' names: `pytest -k K06` runs them. A test with a command behind it runs with that one.

For every row: never a 500; a 4xx has changed nothing; an error has a code and the path of each
fault; of what was sent, no more than 64 characters come back; nothing secret does. 422 is for
manifests, 400 for everything else that is malformed. A kubeconfig has no endpoint: what is wrong
with it is told to whoever needs its cluster.
"""


def render(tests: Sequence[NamedTest], results: Mapping[str, str]) -> str:
    """Return the page; results are by row."""
    sections = groupby(ROWS, key=lambda row: row.id[0])
    return "\n".join(
        [_HEAD, *(_section(letter, rows, tests, results) for letter, rows in sections)]
    )


def _section(
    letter: str, rows: Iterator[Row], tests: Sequence[NamedTest], results: Mapping[str, str]
) -> str:
    lines = [
        f"## {letter}. {SECTIONS[letter]}",
        "",
        "| | Tried | Answer | Tests | Result |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        named = [test for test in tests if row.id in ids_in(test.name)]
        result = results.get(row.id, "not run")
        lines.append(f"| {row.id} | {row.tried} | {row.answer} | {_cell(named)} | {result} |")
    return "\n".join([*lines, ""])


def _cell(tests: Sequence[NamedTest]) -> str:
    return "<br>".join(
        f"[{path.removeprefix('tests/')}]({os.path.relpath(ROOT / path, PAGE.parent)}): "
        + ", ".join(map(_shown, group))
        for path, group in groupby(tests, key=lambda test: test.path)
    )


def _shown(test: NamedTest) -> str:
    return f"`{test.name}`" + (f" ({test.elsewhere})" if test.elsewhere else "")
