"""IAM in the tests: what a function may do is read from its policy, and held against each call.

Every in-process test is refused what the deployed function would be refused; what was allowed is
remembered, so that a test can tell which permissions nobody uses.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest

POLICIES = Path(__file__).parent.parent / ".chalice"
# Lambda itself does these with the function's role: it delivers what failed, and writes the log.
BY_LAMBDA_ITSELF = ("sqs:SendMessage", "logs:CreateLogStream", "logs:PutLogEvents")

_IN_TRANSACTIONS = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}
_OTHERWISE_NAMED = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
}
_GENERATED = re.compile(r"function:\$\{AWS::StackName\}-(\w+)-\*")
_SECRET = re.compile(r".*:secret:")
_ARN = re.compile(r"\$\{(\w+)\.Arn\}")


@dataclass(frozen=True, order=True)
class Permission:
    """An action on a resource, which is named by the template's logical id, then its own path."""

    action: str
    resource: str


_function: ContextVar[str | None] = ContextVar("function", default=None)
used: dict[str, set[Permission]] = {}
"""What each function has used so far, as its policy spells it."""
refused: list[tuple[str, Permission]] = []
"""What a function has asked for and its policy does not have."""


@contextmanager
def acting_as(function: str) -> Iterator[None]:
    """Make every call to AWS in here one of the function's."""
    token = _function.set(function)
    try:
        yield
    finally:
        _function.reset(token)


def load_policy(function: str) -> list[dict[str, Any]]:
    """Return the statements of a function's policy."""
    path = POLICIES / f"policy-{function.replace('_', '-')}.json"
    statements: list[dict[str, Any]] = json.loads(path.read_text())["Statement"]
    return statements


def permissions_of(function: str) -> set[Permission]:
    """Return what a function's policy allows it."""
    return {
        Permission(action, _logical(resource))
        for statement in load_policy(function)
        for action in statement["Action"]
        for resource in statement["Resource"]
    }


def allows(function: str, needed: Permission) -> bool:
    """Tell whether a function's policy allows it this."""
    return any(_covers(each, needed) for each in permissions_of(function))


def watch(event_name: str, request: AWSPreparedRequest) -> None:
    """Hold one request to AWS against the policy of the function whose it is, if it is one's."""
    function = _function.get()
    if function is None:
        return
    _, service, operation = event_name.split(".")[-3:]
    for needed in _needed(service, operation, request):
        matching = [each for each in permissions_of(function) if _covers(each, needed)]
        if not matching:
            refused.append((function, needed))
        used.setdefault(function, set()).update(matching)


def _covers(permission: Permission, needed: Permission) -> bool:
    return permission.action == needed.action and fnmatchcase(needed.resource, permission.resource)


def _needed(service: str, operation: str, request: Any) -> Iterator[Permission]:
    action = f"{service.replace('-', '')}:{operation}"
    action = _OTHERWISE_NAMED.get(action, action)
    path = unquote(urlsplit(request.url).path)
    if service == "s3":
        yield Permission(action, f"WorkspaceBucket{path}".removesuffix("/"))
    elif service == "lambda":
        name = path.split("/")[3]
        yield Permission(action, "".join(map(str.capitalize, name.split("-"))))
    elif service in {"secretsmanager", "secrets-manager"}:
        # Secrets Manager puts six characters behind the name.
        yield Permission(action, f"{json.loads(request.body)['SecretId']}-AbCdEf")
    else:
        yield from _needed_of_dynamodb(action, json.loads(request.body))


def _needed_of_dynamodb(action: str, body: Mapping[str, Any]) -> Iterator[Permission]:
    if action == "dynamodb:TransactWriteItems":
        for item in body["TransactItems"]:
            (kind,) = item
            yield Permission(f"dynamodb:{_IN_TRANSACTIONS[kind]}", "FriendsTable")
        return
    index = f"/index/{body['IndexName']}" if "IndexName" in body else ""
    yield Permission(action, f"FriendsTable{index}")


def _logical(resource: Mapping[str, Any]) -> str:
    if "Fn::GetAtt" in resource:
        name: str = resource["Fn::GetAtt"][0]
        return name
    text: str = resource["Fn::Sub"]
    if generated := _GENERATED.search(text):
        return generated[1]
    return _ARN.sub(r"\1", _SECRET.sub("", text))
