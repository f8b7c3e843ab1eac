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
    r"|^secretsmanager:(?!GetSecretValue$)",
    re.IGNORECASE,
)
# A resource that names no one thing of this stack: everything, or everything of a service.
# A name with a secret's six random characters behind it ("name-??????") is one thing.
_EVERYTHING: Final = re.compile(r"^\*|:[*?]|:[a-z]+[/:][*?]|\*[-*?]+$|\?[-*?]*\*$|^\$\{[^}]*\}/?\*")
_LAMBDA: Final = {"Service": "lambda.amazonaws.com"}


def scan(template: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong, one sentence each."""
    resources: Mapping[str, Any] = template["Resources"]
    roles = {name: each for name, each in resources.items() if each["Type"] == _ROLE}
    functions = {name: each for name, each in resources.items() if each["Type"] == _FUNCTION}
    if not functions:
        yield "There is no function: this is no template of the API's."
    for name, each in resources.items():
        if each["Type"].startswith("AWS::IAM::") and each["Type"] != _ROLE:
            yield f"{name} is a {each['Type']}: permissions stand in the functions' own roles."
    yield from _scan_functions(functions, roles)
    for name, role in roles.items():
        yield from _scan_role(name, role["Properties"])


def _scan_functions(functions: Mapping[str, Any], roles: Mapping[str, Any]) -> Iterator[str]:
    for name, each in functions.items():
        if "FunctionUrlConfig" in each["Properties"]:
            yield f"{name} has a URL of its own, past API Gateway."
    used = [_role_of(function) for function in functions.values()]
    for name, role in zip(functions, used, strict=True):
        if role not in roles:
            yield f"{name} has no role of this template."
        elif used.count(role) > 1:
            yield f"{name} shares its role {role}."


def _scan_role(name: str, properties: Mapping[str, Any]) -> Iterator[str]:
    for statement in properties["AssumeRolePolicyDocument"]["Statement"]:
        if statement.get("Principal") != _LAMBDA:
            yield f"{name} can be assumed by others than Lambda."
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
        if not _names_something(resource):
            yield f"{where}: {json.dumps(resource)} names nothing in particular."


def _names_something(resource: Any) -> bool:  # noqa: ANN401 - whatever the template says
    """Tell whether a resource is one thing of the stack's, or a path within one."""
    match resource:
        case {"Fn::GetAtt": [_, "Arn"]} if len(resource) == 1:
            return True
        case str(text) | {"Fn::Sub": str(text)}:
            return text.startswith(("arn:", "${")) and not _EVERYTHING.search(text)
    return False


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
