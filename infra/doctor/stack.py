"""The deployed stack: complete, its data protected, its functions permitted and well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.cloudformation import outputs_of
from infra.doctor.findings import Finding, untold
from infra.packaging.platforms import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ROLE: Final = "AWS::IAM::Role"
_FUNCTION: Final = "AWS::Lambda::Function"
_EVENTS: Final = "`aws cloudformation describe-stack-events --stack-name {name}` says why"
_DELETE: Final = "`aws cloudformation delete-stack --stack-name {name}`"
# What each status that is no success means, and what to do. Source: "Stack status codes",
# docs.aws.amazon.com, AWS CloudFormation User Guide.
_NEVER_WAS: Final = (
    "its first deployment failed.",
    f"{_EVENTS}; {_DELETE}, wait until it is gone, and deploy again.",
)
_STATUSES: Final = {
    "ROLLBACK_COMPLETE": _NEVER_WAS,
    "ROLLBACK_FAILED": _NEVER_WAS,
    "CREATE_FAILED": _NEVER_WAS,
    "REVIEW_IN_PROGRESS": ("nothing was ever deployed to it.", "deploy again."),
    "DELETE_FAILED": ("its deletion failed.", f"{_EVENTS}; then {_DELETE} again."),
    "UPDATE_FAILED": (
        "the last deployment failed and was not put back.",
        f"{_EVENTS}; then `aws cloudformation rollback-stack --stack-name {{name}}`.",
    ),
    "UPDATE_ROLLBACK_FAILED": (
        "the last deployment failed and could not be put back.",
        f"{_EVENTS}; then `aws cloudformation continue-update-rollback --stack-name {{name}}`.",
    ),
}
_PUT_BACK: Final = (
    "the last deployment failed and was put back.",
    f"{_EVENTS}; then deploy again.",
)
_UNDER_WAY: Final = ("a stack operation is in progress.", "wait until it has ended, and try again.")
_OTHERWISE: Final = ("something failed.", f"{_EVENTS}; then deploy again.")


def check_stack(described: Mapping[str, Any], *, is_emulated: bool) -> Iterator[Finding]:
    """Yield what became of each part of the stack, as it is described.

    What one part does not answer keeps none of the others from being tried. An emulator of AWS
    (MiniStack) does not know all that is asked: what it cannot tell is a skip.
    """
    name, outputs = described["StackName"], outputs_of(described)
    yield _check_status(name, described["StackStatus"])
    yield _check_python(outputs)
    parts: dict[str, tuple[str, Callable[[str], Finding]]] = {
        "table": ("TableName", lambda table: _check_table(table, is_emulated=is_emulated)),
        "bucket": ("WorkspaceBucketName", _check_bucket),
        "dead letters": ("DeadLettersUrl", _check_dead_letters),
    }
    for subject, (output, check) in parts.items():
        if output in outputs:
            yield from guarded(subject, lambda: iter((check(outputs[output]),)))  # noqa: B023 - used at once
        else:
            yield untold(subject, f"the stack has no output {output}.", "deploy again.")
    yield from guarded("functions and roles", lambda: _check_resources(name, is_emulated))


def guarded(subject: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what a check finds; where AWS refuses the operator, that is a finding too."""
    try:
        yield from check()
    except (ClientError, BotoCoreError) as error:
        yield Finding(subject, f"{error}", "use credentials that may look at it.")


def _check_status(name: str, status: str) -> Finding:
    fault, fix = _STATUSES.get(status, ("", ""))
    if not fault and status.endswith("_IN_PROGRESS"):
        fault, fix = _UNDER_WAY
    if not fault and status.endswith("ROLLBACK_COMPLETE"):
        fault, fix = _PUT_BACK
    if not fault and not status.endswith("_COMPLETE"):
        fault, fix = _OTHERWISE
    if fault:
        return Finding(f"stack {name}", f"It is {status}: {fault}", fix.format(name=name))
    return Finding(f"stack {name}: {status}")


def _check_python(outputs: Mapping[str, str]) -> Finding:
    """Compare this Python with the deployed one, and say that the checks here hold there.

    Of all that is tried, only the verification of certificates differed between versions of Python;
    chalicelib.gateways.tls sets its rules itself, so that they are the same on each.
    """
    here, deployed = Platform.here().python_version, outputs.get("PythonVersion")
    if deployed is None:
        return untold("python", "the stack has no output PythonVersion.", "deploy again.")
    if here == deployed:
        return Finding(f"python: {deployed} is deployed, and runs here")
    older = _numbers(here) < _numbers(deployed)
    return Finding(
        f"python: {deployed} is deployed, {'older' if older else 'newer'} {here} runs here; both "
        "verify certificates by the same rules"
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in version.split(".") if each.isdigit())


def _check_resources(stack: str, is_emulated: bool) -> Iterator[Finding]:  # noqa: FBT001 - as it was asked
    resources = _resources_of(stack)
    for function in resources[_FUNCTION]:
        yield from guarded(f"function {function}", lambda: iter((_check_function(function),)))  # noqa: B023 - used at once
    for role in resources[_ROLE]:
        yield from guarded(f"role {role}", lambda: _check_role(role, is_emulated))  # noqa: B023 - used at once


def _resources_of(stack: str) -> dict[str, list[str]]:
    """Return the names of the stack's roles and functions that are there."""
    found: dict[str, list[str]] = {_ROLE: [], _FUNCTION: []}
    client: Any = boto3.client("cloudformation")
    for each in client.describe_stack_resources(StackName=stack)["StackResources"]:
        is_there = each.get("ResourceStatus") != "DELETE_COMPLETE"
        if each["ResourceType"] in found and is_there and each.get("PhysicalResourceId"):
            found[each["ResourceType"]].append(each["PhysicalResourceId"])
    return found


def _check_table(name: str, *, is_emulated: bool) -> Finding:
    subject = f"table {name}"
    client: Any = boto3.client("dynamodb")
    table = client.describe_table(TableName=name)["Table"]
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    if table["TableStatus"] != "ACTIVE":
        return Finding(subject, f"It is {table['TableStatus']}.", "wait until it is ACTIVE.")
    if recovery != "ENABLED" and is_emulated:
        return untold(subject, "this emulator of AWS does not support point-in-time recovery.")
    if recovery != "ENABLED":
        return Finding(subject, "It cannot be restored to a point in time.", "deploy again.")
    return Finding(f"{subject}: active, restorable to a point in time")


def _check_bucket(name: str) -> Finding:
    subject = f"bucket {name}"
    client: Any = boto3.client("s3")
    if client.get_bucket_versioning(Bucket=name).get("Status") != "Enabled":
        return Finding(subject, "What is overwritten there is lost.", "deploy again.")
    blocked = client.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    if not all(blocked.values()):
        return Finding(subject, "It may be made public.", "deploy again.")
    return Finding(f"{subject}: private, versioned")


def _check_dead_letters(url: str) -> Finding:
    subject = "dead letters"
    client: Any = boto3.client("sqs")
    wanted = ["ApproximateNumberOfMessages"]
    attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
    if int(attributes[wanted[0]]):
        fix = "read them as in docs/operations.md, Dead letters."
        return Finding(subject, f"There are {attributes[wanted[0]]}.", fix)
    return Finding(f"{subject}: none")


def _check_function(name: str) -> Finding:
    subject = f"function {name}"
    client: Any = boto3.client("lambda")
    state = client.get_function_configuration(FunctionName=name)
    for key, well in (("State", "Active"), ("LastUpdateStatus", "Successful")):
        if state.get(key, well) != well:
            fault = state.get(f"{key}Reason") or f"{key} is {state[key]}"
            return Finding(subject, f"{fault}.", "deploy again.")
    return Finding(f"{subject}: {state['Runtime']}, {state['MemorySize']} MB")


def _check_role(name: str, is_emulated: bool) -> Iterator[Finding]:  # noqa: FBT001 - as it was asked
    """Ask IAM about each permission: a boundary or an organisation's policy may take one away."""
    client: Any = boto3.client("iam")
    arn = client.get_role(RoleName=name)["Role"]["Arn"]
    for policy in client.list_role_policies(RoleName=name)["PolicyNames"]:
        document = client.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for statement in document["Statement"]:
            denied = _denied(client, arn, statement)
            subject = f"role {name}: {statement['Sid']}"
            if denied and is_emulated and "Condition" in statement:
                yield untold(subject, "this emulator of AWS simulates no conditions.")
            elif denied:
                fault = f"It may not {', '.join(denied)}."
                fix = "have your organisation's policy, or the role's boundary, allow it."
                yield Finding(subject, fault, fix)
            else:
                yield Finding(subject)


def _denied(client: Any, role: str, statement: Mapping[str, Any]) -> list[str]:  # noqa: ANN401 - boto3's client
    # A wildcard stands for any resource; the simulation wants one of them.
    resources = [each.replace("*", "doctor") for each in _listed(statement["Resource"])]
    context = [
        {"ContextKeyName": key, "ContextKeyValues": _listed(value), "ContextKeyType": "string"}
        for condition in statement.get("Condition", {}).values()
        for key, value in condition.items()
    ]
    answer = client.simulate_principal_policy(
        PolicySourceArn=role,
        ActionNames=_listed(statement["Action"]),
        ResourceArns=resources,
        ContextEntries=context,
    )
    results = answer["EvaluationResults"]
    return sorted({each["EvalActionName"] for each in results if each["EvalDecision"] != "allowed"})


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
