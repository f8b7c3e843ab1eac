"""The deployed stack: complete, its data protected, its functions permitted and well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import boto3

from infra.cloudformation import outputs_of
from infra.doctor.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ROLE: Final = "AWS::IAM::Role"
_FUNCTION: Final = "AWS::Lambda::Function"


def check_stack(described: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what became of each part of the stack, as it is described."""
    name, status = described["StackName"], described["StackStatus"]
    if status == "ROLLBACK_COMPLETE":
        fix = "`make deploy` says what to do"
        yield Finding(f"stack {name}", f"It is {status}: its first deployment failed.", f"{fix}.")
        return
    if status.endswith("ROLLBACK_COMPLETE"):
        fault = f"It is {status}: the last deployment failed and was put back."
        fix = f"read why with `aws cloudformation describe-stack-events --stack-name {name}`"
        yield Finding(f"stack {name}", fault, f"{fix}, and deploy again.")
    elif status.endswith("_COMPLETE"):
        yield Finding(f"stack {name}: {status}")
    else:
        yield Finding(f"stack {name}", f"It is {status}.", "wait for its end, or deploy again.")
    outputs = outputs_of(described)
    yield _check_table(outputs["TableName"])
    yield _check_bucket(outputs["WorkspaceBucketName"])
    yield _check_dead_letters(outputs["DeadLettersUrl"])
    resources = _resources_of(name)
    for function in resources[_FUNCTION]:
        yield _check_function(function)
    for role in resources[_ROLE]:
        yield from _check_role(role)


def _resources_of(stack: str) -> dict[str, list[str]]:
    """Return the names of the stack's roles and functions."""
    found: dict[str, list[str]] = {_ROLE: [], _FUNCTION: []}
    client: Any = boto3.client("cloudformation")
    for each in client.describe_stack_resources(StackName=stack)["StackResources"]:
        if each["ResourceType"] in found:
            found[each["ResourceType"]].append(each["PhysicalResourceId"])
    return found


def _check_table(name: str) -> Finding:
    subject = f"table {name}"
    client: Any = boto3.client("dynamodb")
    table = client.describe_table(TableName=name)["Table"]
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    if table["TableStatus"] != "ACTIVE":
        return Finding(subject, f"It is {table['TableStatus']}.", "wait until it is ACTIVE.")
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


def _check_role(name: str) -> Iterator[Finding]:
    """Ask IAM about each permission: a boundary or an organisation's policy may take one away."""
    client: Any = boto3.client("iam")
    arn = client.get_role(RoleName=name)["Role"]["Arn"]
    for policy in client.list_role_policies(RoleName=name)["PolicyNames"]:
        document = client.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for statement in document["Statement"]:
            denied = _denied(client, arn, statement)
            subject = f"role {name}: {statement['Sid']}"
            if denied:
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
