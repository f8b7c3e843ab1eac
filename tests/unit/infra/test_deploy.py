"""What a deployment refuses before anything is changed, and what it keeps."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra import deploy
from infra.cloudformation import DeployError
from infra.packaging.platforms import Platform


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty account."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        yield


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is packaged and deployed, in order; nothing of it really."""
    taken: list[Any] = []
    monkeypatch.setattr(deploy, "package", lambda *_, **given: taken.append(given["platform"]))
    monkeypatch.setattr(deploy, "deploy", lambda *_, **__: taken.append("deployed"))
    return taken


def deploy_stage(**given: Any) -> str:
    options = {"python_version": None, "architecture": None, "given": {}, **given}
    return deploy.deploy_stage("prod", **options)


def stub_stack(monkeypatch: pytest.MonkeyPatch, status: str, **outputs: str) -> None:
    stack = {
        "StackName": "friends-api-prod",
        "StackStatus": status,
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
    }
    monkeypatch.setattr(deploy, "describe", lambda *_: stack)


def test_i06_nothing_is_deployed_without_the_secrets(steps: list[Any]) -> None:
    with pytest.raises(DeployError, match="Nothing was deployed: store the secrets first"):
        deploy_stage()
    assert steps == []


def test_a_stack_that_never_was_is_to_be_deleted_first(
    monkeypatch: pytest.MonkeyPatch, steps: list[Any]
) -> None:
    stub_stack(monkeypatch, "ROLLBACK_COMPLETE")
    with pytest.raises(DeployError, match="delete-stack --stack-name friends-api-prod"):
        deploy_stage()
    assert steps == []


@pytest.mark.parametrize(
    ("given", "platform"),
    [
        ({}, Platform("3.13", "arm64")),
        ({"architecture": "x86_64"}, Platform("3.13", "x86_64")),
        ({"python_version": "3.12", "architecture": "x86_64"}, Platform("3.12", "x86_64")),
    ],
)
def test_an_upgrade_keeps_the_platform_that_it_is_not_told_to_change(
    monkeypatch: pytest.MonkeyPatch, steps: list[Any], given: dict[str, str], platform: Platform
) -> None:
    url = "https://api.example/"
    stub_stack(
        monkeypatch,
        "UPDATE_COMPLETE",
        PythonVersion="3.13",
        Architecture="arm64",
        EndpointURL=url,
    )
    monkeypatch.setattr(deploy, "require_secrets", lambda _: None)
    assert deploy_stage(**given) == url.rstrip("/")
    assert steps == [platform, "deployed"]


def test_the_bucket_for_bundles_is_made_private() -> None:
    name = deploy.ensure_bucket()
    assert name == "friends-api-artifacts-123456789012-eu-west-1"
    access = boto3.client("s3").get_public_access_block(Bucket=name)
    assert all(access["PublicAccessBlockConfiguration"].values())
    assert deploy.ensure_bucket() == name


def test_a_bucket_of_somebody_elses_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def refuse(_client: object, operation: str, given: dict[str, Any]) -> Any:
        asked.append(given)
        if operation == "GetCallerIdentity":
            return {"Account": "123456789012"}
        answer: Any = {"ResponseMetadata": {"HTTPStatusCode": 403}}
        raise ClientError(answer, operation)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", refuse)
    with pytest.raises(DeployError, match="another account's"):
        deploy.ensure_bucket()
    assert asked[-1]["ExpectedBucketOwner"] == "123456789012"


def test_a_parameter_without_a_value_is_refused_in_a_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="--parameter takes NAME=VALUE, not 'foo'"):
        deploy.main(["--stage", "prod", "--parameter", "foo", "--out", str(tmp_path)])
    assert capsys.readouterr().out == ""
