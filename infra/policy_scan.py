"""Scan the roles of a packaged template: one for each function, and nothing for everything.

    python -m infra.policy_scan dist/sam.yaml

Whether a permission is missing or unused is for the tests to say (tests/policies.py): they see the
calls. This sees what is deployed, whatever it was made from.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_FUNCTION: Final = "AWS::Serverless::Function"
_ROLE: Final = "AWS::IAM::Role"
# What an action may never be, whoever's it is.
_NEVER: Final = re.compile(
    r"\*|^(iam|sts|organizations|kms):|^lambda:(Add|Create|Delete|Put|Update)"
    r"|^secretsmanager:(?!GetSecretValue$)"
)
# A resource that names no one thing of this stack: everything, or everything of a service.
_EVERYTHING: Final = re.compile(r"^\*$|^arn:[^:]*:[^:]*:[^:]*:[^:]*:\*$|:\*$")


def scan(template: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong, one sentence each."""
    resources: Mapping[str, Any] = template["Resources"]
    roles = {name: each for name, each in resources.items() if each["Type"] == _ROLE}
    functions = {name: each for name, each in resources.items() if each["Type"] == _FUNCTION}
    used = [_role_of(function) for function in functions.values()]
    for name, role in zip(functions, used, strict=True):
        if role not in roles:
            yield f"{name} has no role of this template."
        elif used.count(role) > 1:
            yield f"{name} shares its role {role}."
    for name, role in roles.items():
        properties = role["Properties"]
        if properties.get("ManagedPolicyArns"):
            yield f"{name} has a managed policy, which somebody else may widen."
        for policy in properties.get("Policies", ()):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield from _scan_statement(name, statement)


def _role_of(function: Mapping[str, Any]) -> str | None:
    role = function["Properties"].get("Role")
    return role["Fn::GetAtt"][0] if isinstance(role, dict) and "Fn::GetAtt" in role else None


def _scan_statement(role: str, statement: Mapping[str, Any]) -> Iterator[str]:
    where = f"{role}, {statement.get('Sid', 'a statement without a Sid')}"
    if {"NotAction", "NotResource"} & statement.keys():
        yield f"{where}: it allows all but something."
    for action in _listed(statement.get("Action", [])):
        if _NEVER.search(action):
            yield f"{where}: no function may {action}."
    for resource in _listed(statement.get("Resource", [])):
        text = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
        if not isinstance(text, str) or _EVERYTHING.search(text):
            yield f"{where}: {json.dumps(resource)} names nothing in particular."


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - one or several, as IAM allows
    return value if isinstance(value, list) else [value]


def main(arguments: Sequence[str]) -> int:
    """Scan a template; print what is wrong."""
    (path,) = arguments
    faults = list(scan(yaml.safe_load(Path(path).read_text())))
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201 (a command's output)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
