"""Write docs/licences.md: what is locked, under which licence, and what it is there for.

    python -m infra.licences [--check]

Licences are what the installed packages declare; reasons are the comments in requirements/*.in.
With --check nothing is written: it fails when the page is not as it would be written, or when
something that ships is under a licence that is not allowed.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.locks import Pin, read_pins
from infra.paths import DEVELOPMENT_LOCK, LOCK, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

PAGE: Final = ROOT / "docs" / "licences.md"
# What ships may be under these: they ask for their notice, and nothing of the code beside them.
# MPL-2.0 asks for the source of its own files where these are changed, which they are not here.
ALLOWED: Final = (
    "0BSD",
    "Apache-2.0",
    "BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "PSF-2.0",
)
# `chalice package` copies what runs of it into the bundle.
_COPIED: Final = "chalice"
# The identifiers of what packages declare by classifier. BSD does not say which of its variants.
_CLASSIFIERS: Final = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Who needs whom is asked for one system and Python, so that the page is everywhere the same.
_SYSTEM: Final = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}
_MOST_NAMES: Final = 3
_HEAD: Final = f"""\
# Licences

Written by `make licences`; `make check` fails when it is out of date. Licences are as the installed
packages declare them; a comma joins those of a package that does not say whether all hold or one
may be chosen. What a lock installs on other systems only is not listed.

## What ships

`requirements/runtime.txt`, and Chalice, of which packaging copies what runs. The bundle leaves out
what only an unused part of the Kubernetes client needs (`infra/packaging/vendor.py`).

Allowed are {", ".join(ALLOWED)}.
All but one are permissive: they ask for their notice to be kept, and nothing of the code beside
them. MPL-2.0 asks for the source of its own files where they were changed, which nothing here does.
Anything else (the GPL and its relatives, a licence of somebody's own, none at all) may ask for
more, and fails the check until a person has decided.

"""
_DEVELOPMENT: Final = """
## What development uses besides

The rest of `requirements/dev.txt`. None of it ships, so any licence that lets one run it will do.

"""
_TABLE: Final = """\
| Package | Version | Licence | What it is there for |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Package:
    """A package that is installed, and why."""

    name: str
    version: str
    licence: str
    reason: str


def licence_of(declared: metadata.PackageMetadata) -> str:
    """Return the licence that a package declares, by identifiers of SPDX where it can be told."""
    for field in ("License-Expression", "License"):
        for text in declared.get_all(field, []):
            try:
                return canonicalize_license_expression(text)
            except InvalidLicenseExpression:
                continue
    ends = [each.rsplit(" :: ", 1)[-1] for each in _licence_classifiers(declared)]
    texts = [text.strip().splitlines()[0] for text in declared.get_all("License", []) if text]
    return ", ".join(_CLASSIFIERS.get(end, end) for end in ends) or ", ".join(texts) or "unknown"


def _licence_classifiers(declared: metadata.PackageMetadata) -> Iterator[str]:
    for classifier in declared.get_all("Classifier", []):
        if classifier.startswith("License ::"):
            yield classifier


def is_allowed(licence: str) -> bool:
    """Whether what ships may be under this licence: one side of an OR, all else that is joined."""
    if "(" in licence:
        return False
    choices = licence.replace(", ", " AND ").split(" OR ")
    return any(all(each in ALLOWED for each in choice.split(" AND ")) for choice in choices)


def read_reasons(path: Path) -> dict[Requirement, str]:
    """Return what a file of requirements asks for, each with its comment.

    A comment that begins with ... goes on where the last one without did.
    """
    reasons = {}
    begun = ""
    for line in path.read_text().splitlines():
        wanted, _, comment = line.partition("#")
        if not wanted.strip() or wanted.startswith("-"):
            continue
        reason = comment.strip()
        if reason.startswith("... "):
            rest = reason.removeprefix("... ")
            reason = f"{begun}, {rest}" if rest.startswith("and ") else f"{begun} {rest}"
        else:
            begun = reason
        reasons[Requirement(wanted)] = reason
    return reasons


def list_packages(
    pins: Iterable[Pin], reasons: Mapping[str, str], askers: Mapping[str, Iterable[str]]
) -> Iterator[Package]:
    """Yield the pins that are installed, each with its reason or else with who asks for it."""
    for pin in pins:
        if pin.is_for_here:
            licence = licence_of(metadata.metadata(pin.name))
            reason = reasons.get(pin.name) or _name_askers(askers[pin.name])
            yield Package(pin.name, pin.version, licence, reason)


def _find_askers(wanted: Iterable[Requirement]) -> dict[str, set[str]]:
    """Return who asks for each package, of what is wanted and whatever that asks for."""
    askers: dict[str, set[str]] = defaultdict(set)
    left = [each for requirement in wanted for each in _with_extras(requirement)]
    seen = set()
    while left:
        name, extra = left.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for requirement in _requirements_of(name):
            marker = requirement.marker
            if marker is None or marker.evaluate({**_SYSTEM, "extra": extra}):
                askers[canonicalize_name(requirement.name)].add(name)
                left += _with_extras(requirement)
    return askers


def _with_extras(requirement: Requirement) -> Iterator[tuple[str, str]]:
    for extra in ("", *requirement.extras):
        yield canonicalize_name(requirement.name), extra


def _requirements_of(name: str) -> list[Requirement]:
    try:
        return [Requirement(text) for text in metadata.requires(name) or ()]
    except metadata.PackageNotFoundError:
        return []


def _name_askers(askers: Iterable[str]) -> str:
    names = sorted(askers)
    others = len(names) - _MOST_NAMES
    shown = names if others <= 1 else [*names[:_MOST_NAMES], f"{others} others"]
    return f"for {', '.join(shown)}"


def list_everything() -> tuple[list[Package], list[Package]]:
    """Return what ships, and what development uses besides."""
    runtime = read_reasons(LOCK.with_suffix(".in"))
    development = runtime | read_reasons(DEVELOPMENT_LOCK.with_suffix(".in"))
    # What Chalice itself asks for does not ship.
    ships = runtime | {each: why for each, why in development.items() if each.name == _COPIED}
    names = {_COPIED, *(pin.name for pin in read_pins(LOCK))}
    pins = read_pins(DEVELOPMENT_LOCK)
    shipped = [pin for pin in pins if pin.name in names]
    rest = [pin for pin in pins if pin.name not in names]
    return (
        list(list_packages(shipped, _by_name(ships), _find_askers(runtime))),
        list(list_packages(rest, _by_name(development), _find_askers(development))),
    )


def _by_name(reasons: Mapping[Requirement, str]) -> dict[str, str]:
    return {str(canonicalize_name(wanted.name)): reason for wanted, reason in reasons.items()}


def render(shipped: Iterable[Package], rest: Iterable[Package]) -> str:
    """Return the page."""
    return f"{_HEAD}{_TABLE}{_render_rows(shipped)}{_DEVELOPMENT}{_TABLE}{_render_rows(rest)}"


def _render_rows(packages: Iterable[Package]) -> str:
    return "".join(
        f"| {each.name} | {each.version} | {each.licence} | {each.reason} |\n" for each in packages
    )


def check(page: str, shipped: Sequence[Package], rest: Sequence[Package]) -> Iterator[str]:
    """Yield what is wrong with the page or with what it says, one sentence each."""
    for each in shipped:
        if not is_allowed(each.licence):
            yield (
                f"{each.name} {each.version} ships under {each.licence}, which infra/licences.py "
                "does not allow."
            )
    if _comparable(page) != _comparable(render(shipped, rest)):
        yield f"{PAGE.relative_to(ROOT)} is out of date: `make licences` writes it."


def _comparable(page: str) -> list[str]:
    """Return the lines that are the same on every system and Python."""
    elsewhere = {pin.name for pin in read_pins(DEVELOPMENT_LOCK) if pin.marker is not None}
    return [line for line in page.splitlines() if line[2:].split(" | ")[0] not in elsewhere]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write docs/licences.md, or check it."""
    parser = argparse.ArgumentParser(prog="python -m infra.licences", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing: fail if it is wrong")
    options = parser.parse_args(arguments)
    shipped, rest = list_everything()
    if not options.check:
        PAGE.write_text(render(shipped, rest))
    faults = list(check(PAGE.read_text(), shipped, rest))
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201 (a command's output)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
