"""Asks one rule about one manifest, and holds its fixes to what a fix must be."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import jsonpatch

from chalicelib.domain.admission.report import Report
from chalicelib.domain.errors import Fault

Rule = Callable[[dict[str, Any], str, Report], None]

AT = "/0"


def faults_of(rule: Rule, manifest: dict[str, Any]) -> tuple[Fault, ...]:
    """Return what the rule finds in the only manifest of a request."""
    report = Report()
    rule(manifest, AT, report)
    return report.faults


def the_fault_of(rule: Rule, manifest: dict[str, Any]) -> Fault:
    """Return the only fault that the rule finds; it says something, and not too much."""
    (fault,) = faults_of(rule, manifest)
    assert fault.message[0].isalpha()
    assert fault.message.endswith(".")
    return fault


def mended(manifest: dict[str, Any], *faults: Fault) -> dict[str, Any]:
    """Return the manifest with the fixes applied in order."""
    body = [deepcopy(manifest)]
    for fault in faults:
        if fault.fix:
            body = jsonpatch.apply_patch(body, list(fault.fix))
    (result,) = body
    return dict(result)


def assert_refused_and_mended(rule: Rule, manifest: dict[str, Any], pointer: str) -> None:
    """Assert that the rule finds one fault, there, and that its fix leaves none."""
    fault = the_fault_of(rule, manifest)
    assert fault.path == f"{AT}{pointer}"
    assert fault.fix is not None
    assert faults_of(rule, mended(manifest, fault)) == ()


def assert_refused(rule: Rule, manifest: dict[str, Any], pointer: str) -> None:
    """Assert that the rule finds one fault, there, and knows no fix."""
    fault = the_fault_of(rule, manifest)
    assert (fault.path, fault.fix) == (f"{AT}{pointer}", None)


def assert_fixes_hold(rule: Rule, manifest: dict[str, Any]) -> None:
    """Assert that each fix works alone, and that all of them leave nothing that has a fix."""
    faults = faults_of(rule, manifest)
    for fault in faults:
        mended(manifest, fault)
    left = faults_of(rule, mended(manifest, *faults))
    assert [fault for fault in left if fault.fix] == []
