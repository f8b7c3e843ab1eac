"""Licences are told from what packages declare; what ships is held to a list."""

from __future__ import annotations

from importlib.metadata import Distribution
from typing import TYPE_CHECKING

import pytest

from infra.licences import PAGE, Package, check, is_allowed, licence_of, read_reasons, render

if TYPE_CHECKING:
    from pathlib import Path

OURS = Package("six", "1.17.0", "MIT", "for python-dateutil")
TOOL = Package("docutils", "0.19", "GNU General Public License (GPL)", "for awscli")


BSD = "Classifier: License :: OSI Approved :: BSD License"
APACHE = "Classifier: License :: OSI Approved :: Apache Software License"


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: MIT OR Apache-2.0", BSD], "MIT OR Apache-2.0"),
        (["License: mit", BSD], "MIT"),
        (["License: Dual License", BSD, APACHE], "BSD, Apache-2.0"),
        (["License: Apache 2.0", APACHE], "Apache-2.0"),
        (["License: Do what you like"], "Do what you like"),
        ([], "unknown"),
    ],
)
def test_a_licence_is_told_from_what_is_declared(
    tmp_path: Path, lines: list[str], licence: str
) -> None:
    head = ("Metadata-Version: 2.4", "Name: p", "Version: 1")
    (tmp_path / "METADATA").write_text("\n".join([*head, *lines, ""]))
    assert licence_of(Distribution.at(tmp_path).metadata) == licence


@pytest.mark.parametrize(
    "licence", ["MIT", "MPL-2.0", "Apache-2.0 AND MIT", "BSD, Apache-2.0", "MIT OR GPL-3.0-only"]
)
def test_an_allowed_licence_may_ship(licence: str) -> None:
    assert is_allowed(licence)


@pytest.mark.parametrize(
    "licence",
    [
        "GPL-3.0-only",
        "LGPL-2.1-or-later",
        "MIT AND GPL-3.0-only",
        "BSD, GNU General Public License (GPL)",
        "(MIT OR GPL-3.0-only) AND GPL-3.0-only",
        "unknown",
    ],
)
def test_any_other_licence_may_not_ship(licence: str) -> None:
    assert not is_allowed(licence)


def test_a_page_as_generated_is_well() -> None:
    assert list(check(render([OURS], [TOOL]), [OURS], [TOOL])) == []


def test_a_page_that_lags_behind_is_found() -> None:
    old = Package("six", "1.16.0", "MIT", "for python-dateutil")
    (fault,) = check(render([old], [TOOL]), [OURS], [TOOL])
    assert fault == "docs/licences.md is out of date: `make licences` writes it."


def test_what_is_for_some_systems_only_may_be_missing() -> None:
    marked = Package("networkx", "3.7", "BSD-3-Clause", "for cfn-lint")
    assert list(check(render([OURS], [marked]), [OURS], [])) == []


def test_a_licence_that_may_not_ship_is_found() -> None:
    (fault,) = check(render([TOOL], []), [TOOL], [])
    assert fault.startswith("docutils 0.19 ships under GNU General Public License (GPL), which")


def test_reasons_are_the_comments(tmp_path: Path) -> None:
    path = tmp_path / "some.in"
    path.write_text(
        "# All of it.\n-r other.in\npytest # the tests\nxdist  # ... on every core\n"
        "moto[s3]==5  # ... and AWS\nsix\n"
    )
    reasons = {wanted.name: reason for wanted, reason in read_reasons(path).items()}
    assert reasons == {
        "pytest": "the tests",
        "xdist": "the tests on every core",
        "moto": "the tests, and AWS",
        "six": "",
    }


def test_the_page_lists_the_bundle_and_what_is_copied_into_it() -> None:
    shipped, _ = PAGE.read_text().split("## What development uses")
    assert "\n| requests | " in shipped
    assert "\n| chalice | " in shipped
