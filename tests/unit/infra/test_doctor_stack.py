"""What the doctor says of a stack in any state, and that it tries the rest."""

from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from infra.cloudformation import is_emulated
from infra.doctor import __main__ as doctor
from infra.doctor.findings import Finding, Outcome, untold
from infra.doctor.stack import check_stack
from infra.local.cluster import ClusterDouble
from infra.packaging.platforms import Platform
from tests.harness import create_backend

BROKEN = [
    ("ROLLBACK_COMPLETE", "delete-stack --stack-name friends-api-local"),
    ("ROLLBACK_FAILED", "delete-stack --stack-name friends-api-local"),
    ("CREATE_FAILED", "delete-stack --stack-name friends-api-local"),
    ("CREATE_IN_PROGRESS", "wait until it has ended"),
    ("UPDATE_IN_PROGRESS", "wait until it has ended"),
    ("ROLLBACK_IN_PROGRESS", "wait until it has ended"),
    ("DELETE_IN_PROGRESS", "wait until it has ended"),
    ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "wait until it has ended"),
    ("REVIEW_IN_PROGRESS", "deploy again"),
    ("DELETE_FAILED", "then `aws cloudformation delete-stack"),
    ("UPDATE_FAILED", "rollback-stack --stack-name friends-api-local"),
    ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name friends-api-local"),
    ("UPDATE_ROLLBACK_COMPLETE", "then deploy again"),
    ("IMPORT_ROLLBACK_FAILED", "then deploy again"),
]


def describe(status: str, **outputs: str) -> dict[str, Any]:
    return {
        "StackName": "friends-api-local",
        "StackStatus": status,
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
    }


@pytest.fixture
def stack_of(aws: None, kube: ClusterDouble, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the local stage's stack be described like this; its secrets are stored."""
    create_backend(kube.kubeconfig())

    def set_up(described: object) -> None:
        answer = {"side_effect": described} if isinstance(described, Exception) else {}
        monkeypatch.setattr(doctor, "describe", mock.Mock(return_value=described, **answer))

    return set_up


def lines() -> list[str]:
    return [str(each) for each in doctor.examine("local", {})]


@pytest.mark.case("W3")
@pytest.mark.parametrize(("status", "fix"), BROKEN)
def test_a_stack_without_outputs_is_a_line_with_its_fix_and_the_rest_is_tried(
    stack_of: Any, status: str, fix: str
) -> None:
    stack_of(describe(status))
    found = lines()
    (stack,) = (each for each in found if each.startswith("FAIL  stack"))
    assert f"friends-api-local: It is {status}: " in stack
    assert f"{fix}" in stack.split("Fix: ")[1]
    for subject in ("ok    secret friends/api-tokens", "ok    cluster main: answers"):
        assert any(each.startswith(subject) for each in found)
    for subject in ("table", "bucket", "dead letters", "python", "API"):
        assert any(each.startswith(f"skip  {subject}: ") for each in found)


@pytest.mark.case("W3")
def test_there_being_no_stack_is_a_line(stack_of: Any) -> None:
    stack_of(None)
    assert (
        lines()[-1] == "FAIL  stack friends-api-local: There is none. Fix: make deploy STAGE=local"
    )


@pytest.mark.case("W3")
def test_a_stack_that_the_operator_may_not_see_is_a_line(stack_of: Any) -> None:
    stack_of(ClientError({"Error": {"Code": "AccessDenied"}}, "DescribeStacks"))
    assert lines()[-1].startswith("FAIL  stack friends-api-local: An error occurred (AccessDenied)")
    assert any(each.startswith("ok    cluster main: answers") for each in lines())


@pytest.mark.case("W3")
def test_settings_that_are_wrong_are_a_line_and_the_stack_is_tried(stack_of: Any) -> None:
    described = describe("CREATE_COMPLETE")
    described["Parameters"] = [{"ParameterKey": "Domains", "ParameterValue": "[{}]"}]
    stack_of(described)
    found = lines()
    assert found[0].startswith("FAIL  settings: DOMAINS[0] must have")
    assert "ok    stack friends-api-local: CREATE_COMPLETE" in found


@pytest.mark.case("W3")
def test_a_part_that_is_gone_keeps_none_of_the_others_from_being_tried(stack_of: Any) -> None:
    outputs = {
        "TableName": "gone",
        "WorkspaceBucketName": "gone",
        "DeadLettersUrl": "http://x/gone",
    }
    stack_of(describe("UPDATE_COMPLETE", **outputs))
    failed = [each for each in lines() if each.startswith("FAIL")]
    assert [each.split(":")[0] for each in failed[:3]] == [
        "FAIL  table",
        "FAIL  bucket",
        "FAIL  dead letters",
    ]
    assert all("Fix: use credentials that may look at it." in each for each in failed[:3])


@pytest.mark.case("W3")
def test_an_aws_that_cannot_be_reached_is_one_sentence(
    stack_of: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stack_of(EndpointConnectionError(endpoint_url="https://nowhere.example"))
    assert doctor.main(["--stage", "local"]) == 1
    assert capsys.readouterr().err.startswith("error: Could not connect")


@pytest.mark.case("W3")
def test_what_fails_soon_or_cannot_be_told_is_no_failure() -> None:
    findings = [
        Finding("a"),
        untold("b", "it is elsewhere.", "look there."),
        Finding("c", "It ends.", "renew it.", Outcome.SOON),
        Finding("d", "It ended.", "renew it."),
    ]
    assert [each.is_well for each in findings] == [True, True, True, False]
    assert list(map(str, findings)) == [
        "ok    a",
        "skip  b: It cannot be checked here: it is elsewhere. Fix: look there.",
        "warn  c: It ends. Fix: renew it.",
        "FAIL  d: It ended. Fix: renew it.",
    ]


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://localhost:4566", True),
        ("http://[::1]:4566", True),
        ("https://vpce-1.dynamodb.eu-west-1.vpce.amazonaws.com", False),
        (None, False),
    ],
)
def test_an_emulator_is_what_listens_on_this_machine(endpoint: str | None, expected: bool) -> None:
    assert is_emulated(endpoint) is expected


ROLE = {"ResourceType": "AWS::IAM::Role", "PhysicalResourceId": "role"}
STATEMENTS = [
    {"Sid": "Plain", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"},
    {
        "Sid": "List",
        "Action": ["s3:ListBucket"],
        "Resource": "arn:aws:s3:::b",
        "Condition": {"StringLike": {"s3:prefix": "friends/*"}},
    },
]


def fake_client(service: str) -> Any:
    """Answer as MiniStack does: nothing is restorable, and no condition is met."""

    def simulate(**asked: Any) -> Any:
        decisions = {"s3:GetObject": "allowed"}
        return {
            "EvaluationResults": [
                {"EvalActionName": each, "EvalDecision": decisions.get(each, "implicitDeny")}
                for each in asked["ActionNames"]
            ]
        }

    client = mock.Mock()
    client.describe_table.return_value = {"Table": {"TableStatus": "ACTIVE"}}
    off = {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"}}
    client.describe_continuous_backups.return_value = {"ContinuousBackupsDescription": off}
    gone = {**ROLE, "PhysicalResourceId": "gone", "ResourceStatus": "DELETE_COMPLETE"}
    resources = [ROLE, gone, {"ResourceType": "AWS::IAM::Role"}]
    client.describe_stack_resources.return_value = {"StackResources": resources}
    client.get_role.return_value = {"Role": {"Arn": "arn:aws:iam::1:role/role"}}
    client.list_role_policies.return_value = {"PolicyNames": ["policy"]}
    client.get_role_policy.return_value = {"PolicyDocument": {"Statement": STATEMENTS}}
    client.simulate_principal_policy.side_effect = simulate
    return client


@pytest.mark.case("W3")
@pytest.mark.parametrize(("emulated", "outcome"), [(True, "skip"), (False, "FAIL")])
def test_what_an_emulator_does_not_know_is_told_so(
    monkeypatch: pytest.MonkeyPatch, emulated: bool, outcome: str
) -> None:
    monkeypatch.setattr(boto3, "client", fake_client)
    described = describe("CREATE_COMPLETE", TableName="t")
    found = [str(each) for each in check_stack(described, is_emulated=emulated)]
    (table,) = (each for each in found if "  table" in each)
    roles = [each for each in found if "  role" in each]
    assert table.startswith(outcome)
    assert [each[:4].strip() for each in roles] == ["ok", outcome]


@pytest.mark.case("W1")
@pytest.mark.parametrize(
    ("deployed", "says"),
    [
        (Platform.here().python_version, "is deployed, and runs here"),
        ("3.99", "is deployed, older"),
        ("3.9", "is deployed, newer"),
    ],
)
def test_whether_the_deployed_python_runs_here_is_told(
    monkeypatch: pytest.MonkeyPatch, deployed: str, says: str
) -> None:
    monkeypatch.setattr(boto3, "client", fake_client)
    described = describe("CREATE_COMPLETE", PythonVersion=deployed)
    found = [str(each) for each in check_stack(described, is_emulated=True)]
    (line,) = (each for each in found if "  python" in each)
    assert line.startswith(f"ok    python: {deployed} {says}")
    assert says.endswith("here") or "both verify certificates by the same rules" in line
