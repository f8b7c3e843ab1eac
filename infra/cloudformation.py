"""A stack of CloudFormation's: deployed by the AWS CLI's two commands, and what it says of itself.

The CLI uploads the bundle under its digest and waits for the end; boto3 has neither.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infra.package import Package

# Runs `aws` with these arguments, or raises.
RunAws = Callable[..., None]

_NO_STACK: Final = "ValidationError"


class DeployError(Exception):
    """The stack cannot be deployed; the message says why and what to do."""


def run_aws(*arguments: str) -> None:
    """Run the AWS CLI of this environment; its progress is shown. Raises DeployError."""
    command = [sys.executable, "-m", "awscli", *arguments]
    done = subprocess.run(command, check=False)  # noqa: S603 (ours)
    if done.returncode:
        raise DeployError(
            f"`aws {' '.join(arguments[:2])}` failed, and CloudFormation has put back what was. "
            "The stack's events say why: aws cloudformation describe-stack-events."
        )


def deploy(
    package: Package, *, stack: str, bucket: str, parameters: Mapping[str, str], aws: RunAws
) -> None:
    """Upload the bundle and have the stack be what the template says. Safe to repeat.

    A parameter that is not given keeps the value that the stack has. When a step fails,
    CloudFormation puts back what was.
    """
    uploaded: Path = package.template.with_name("packaged.yaml")
    source = ["--template-file", str(package.template), "--s3-bucket", bucket]
    aws("cloudformation", "package", *source, "--output-template-file", str(uploaded))
    # A template of over 51,200 bytes has to be in a bucket. Source: "CloudFormation quotas".
    options = ["--no-fail-on-empty-changeset", "--s3-bucket", bucket]
    options += ["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    if parameters:
        options += ["--parameter-overrides", *(f"{k}={v}" for k, v in parameters.items())]
    aws(
        "cloudformation",
        "deploy",
        "--stack-name",
        stack,
        "--template-file",
        str(uploaded),
        *options,
    )


def describe(client: Any, stack: str) -> dict[str, Any] | None:  # noqa: ANN401 - boto3's client
    """Return the stack as CloudFormation describes it; None when there is none."""
    try:
        described: dict[str, Any] = client.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != _NO_STACK:
            raise
        return None
    return described


def outputs_of(described: Mapping[str, Any]) -> dict[str, str]:
    """Return a described stack's outputs."""
    return {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", ())}


def parameters_of(described: Mapping[str, Any] | None) -> dict[str, str]:
    """Return a described stack's parameters; none of a stack that does not exist."""
    found = (described or {}).get("Parameters", ())
    return {each["ParameterKey"]: each["ParameterValue"] for each in found}


def is_emulated(endpoint: str | None) -> bool:
    """Tell whether AWS is an emulator on this machine (MiniStack), by the endpoint that is set."""
    return urlsplit(endpoint or "").hostname in {"localhost", "127.0.0.1", "::1"}


def api_url(outputs: Mapping[str, str], stage: str, endpoint: str | None) -> str:
    """Return the address of the API, without a slash at its end.

    At another endpoint than AWS's own (MiniStack's) it is the path form, which needs neither a Host
    header nor a name that resolves to loopback.
    """
    if endpoint:
        return f"{endpoint}/_aws/execute-api/{outputs['RestAPIId']}/{stage}"
    return outputs["EndpointURL"].rstrip("/")
