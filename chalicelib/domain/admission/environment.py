"""A container's environment: each variable is said once, and comes from one place."""

import re
from typing import Final

from chalicelib.domain.admission.references import (
    VARIABLE_FIELDS,
    check_config_map_name,
    check_field,
    check_key,
    check_resource,
    check_secret_name,
)
from chalicelib.domain.admission.report import Report, child, joined
from chalicelib.domain.model import JsonObject

_SOURCES: Final = ("configMapKeyRef", "secretKeyRef", "fieldRef", "resourceFieldRef")
_NAME: Final = re.compile(r"[ -<>-~]+")
_NAME_RULE: Final = "printable ASCII characters other than '=', one at least"


def check_environment(container: JsonObject, at: str, report: Report) -> None:
    """Refuse variables that the cluster would refuse, or from a Secret of ours."""
    for index, variable in enumerate(container.get("env", ())):
        if not _NAME.fullmatch(variable.get("name", "name")):
            pointer = child(at, "env", index, "name")
            report.refuse(pointer, f"A variable's name must be {_NAME_RULE}.")
        if "valueFrom" in variable:
            _check_source(variable, child(at, "env", index, "valueFrom"), report)
    for index, source in enumerate(container.get("envFrom", ())):
        _check_all_from(source, child(at, "envFrom", index), report)


def _check_source(variable: JsonObject, at: str, report: Report) -> None:
    source = variable["valueFrom"]
    if len(source) != 1 or not source.keys() <= {*_SOURCES}:
        report.refuse(at, f"valueFrom must be exactly one of: {joined(_SOURCES)}.")
    elif variable.get("value"):
        report.refuse(at, "A variable must have value or valueFrom, not both.")
    for name, check_name in (
        ("configMapKeyRef", check_config_map_name),
        ("secretKeyRef", check_secret_name),
    ):
        if name in source:
            check_name(source[name].get("name"), child(at, name, "name"), report)
            check_key(source[name].get("key"), child(at, name, "key"), report)
    if "fieldRef" in source:
        check_field(source["fieldRef"], VARIABLE_FIELDS, child(at, "fieldRef"), report)
    if "resourceFieldRef" in source:
        pointer = child(at, "resourceFieldRef")
        check_resource(source["resourceFieldRef"], pointer, report, needs_container=False)


def _check_all_from(source: JsonObject, at: str, report: Report) -> None:
    if ("configMapRef" in source) == ("secretRef" in source):
        report.refuse(at, "There must be exactly one of: configMapRef, secretRef.")
    if source.get("prefix") and not _NAME.fullmatch(source["prefix"]):
        report.refuse(child(at, "prefix"), f"prefix must be {_NAME_RULE}.")
    name = source.get("configMapRef", {}).get("name")
    check_config_map_name(name, child(at, "configMapRef", "name"), report)
    name = source.get("secretRef", {}).get("name")
    check_secret_name(name, child(at, "secretRef", "name"), report)
