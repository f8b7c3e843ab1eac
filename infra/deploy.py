"""Deploy a stage: package, upload, have CloudFormation change what differs, print the URL.

    make deploy STAGE=prod DOMAINS=domains.json ALARM_TOPIC=arn:aws:sns:...

Uses the operator's own AWS credentials. Refuses before anything is changed where a secret is
missing or a placeholder. To roll back is to deploy the older version (docs/deploy.md).
"""

from __future__ import annotations

import argparse
import os
import sys
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.settings import Settings, SettingsError
from infra.cloudformation import (
    DeployError,
    api_url,
    deploy,
    describe,
    outputs_of,
    parameters_of,
    run_aws,
)
from infra.doctor.findings import Outcome
from infra.doctor.secrets import check_secrets
from infra.doctor.zones import check_domains, check_zone_names
from infra.package import add_platform_options, explain_gaps, package
from infra.packaging.commands import PackageError
from infra.packaging.platforms import Platform
from infra.paths import ROOT
from infra.region import adopt_region
from infra.secret_store import read_secret
from infra.stages import StageError, load_settings, stack_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infra.doctor.findings import Finding


# CloudFormation's status of a stack that never was: it takes no update.
_NEVER_THERE: Final = "ROLLBACK_COMPLETE"


def deploy_stage(
    stage: str,
    *,
    python_version: str | None,
    architecture: str | None,
    given: Mapping[str, str],
    out: Path = ROOT / "dist",
) -> str:
    """Deploy the stage with the given parameters and return the API's URL. Safe to repeat.

    The platform, where it is not given, is that of the deployed stack, or of this environment where
    there is none. Raises DeployError, PackageError, SettingsError and StageError.
    """
    stack = stack_name(stage)
    cloudformation = boto3.client("cloudformation")
    before = describe(cloudformation, stack)
    require_updatable(before)
    parameters = {**parameters_of(before), **given}
    settings = load_settings(stage, parameters)
    require_secrets(settings)
    require_domains(settings)
    platform = _platform(python_version, architecture, outputs_of(before or {}))
    for gap in explain_gaps(platform):
        print(gap, file=sys.stderr)  # noqa: T201 (a command's output)
    built = package(out, stage=stage, platform=platform)
    deploy(built, stack=stack, bucket=ensure_bucket(), parameters=given, aws=run_aws)
    described = describe(cloudformation, stack)
    if described is None:
        raise DeployError(f"The stack {stack} is gone. Deploy again.")
    return api_url(outputs_of(described), stage, os.environ.get("AWS_ENDPOINT_URL"))


def require_updatable(described: Mapping[str, Any] | None) -> None:
    """Raise DeployError for a stack whose first deployment failed: it can only be deleted."""
    if described is not None and described["StackStatus"] == _NEVER_THERE:
        name = described["StackName"]
        raise DeployError(
            f"The first deployment of {name} failed. Its events say why: `aws cloudformation "
            f"describe-stack-events --stack-name {name}`. Then `aws cloudformation delete-stack "
            f"--stack-name {name}`, wait until it is gone, and deploy again."
        )


def _platform(
    python_version: str | None, architecture: str | None, deployed: Mapping[str, str]
) -> Platform:
    here = Platform.here()
    return Platform(
        python_version or deployed.get("PythonVersion") or here.python_version,
        architecture or deployed.get("Architecture") or here.architecture,
    )


def require_secrets(settings: Settings) -> None:
    """Raise DeployError, naming each secret that is missing or a placeholder and what stores it."""
    findings = check_secrets(boto3.client("secretsmanager"), settings)
    _require_well(findings, "store the secrets first")


def require_domains(settings: Settings) -> None:
    """Raise DeployError, naming each domain outside of its zone, or with a target in vain."""
    client = boto3.client("secretsmanager")
    _require_well(check_domains(settings), "correct the domains first")
    zones = check_zone_names(lambda: read_secret(client, settings.cloudflare_secret), settings)
    _require_well(zones, "correct the domains first")


def _require_well(findings: Iterable[Finding], do_first: str) -> None:
    """Raise DeployError with the findings that have failed; show what else is to be looked at."""
    found = list(findings)
    if bad := "\n".join(str(each) for each in found if not each.is_well):
        raise DeployError(f"Nothing was deployed: {do_first}.\n{bad}")
    for each in found:
        if each.outcome is not Outcome.WELL:
            print(each, file=sys.stderr)  # noqa: T201 (a command's output)


def ensure_bucket() -> str:
    """Return the account's bucket for bundles in this region, made private where there is none.

    Raises DeployError when somebody else has it: the name can be guessed, and whoever can write
    there could exchange the bundle.
    """
    session = boto3.Session()
    account = session.client("sts").get_caller_identity()["Account"]
    region = session.region_name
    name = f"friends-api-artifacts-{account}-{region}"
    s3 = session.client("s3")
    try:
        s3.head_bucket(Bucket=name, ExpectedBucketOwner=account)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == HTTPStatus.FORBIDDEN:
            raise DeployError(
                f"The bucket {name} is another account's, or these credentials may not see it. "
                "Nothing was uploaded: find out whose it is before you deploy."
            ) from error
        if status != HTTPStatus.NOT_FOUND:
            raise
        # us-east-1 is what S3 calls no location.
        located: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **({} if region == "us-east-1" else located))
    s3.put_public_access_block(
        Bucket=name,
        ExpectedBucketOwner=account,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
    )
    return name


def main(arguments: Sequence[str] | None = None) -> None:
    """Deploy a stage of the Friends API."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description=main.__doc__)
    parser.add_argument("--stage", required=True, help="a stage of .chalice/config.json")
    parser.add_argument(
        "--domains", type=Path, help="a JSON file: what to expose on, as in infra/resources.yaml"
    )
    parser.add_argument("--alarm-topic", help="the ARN of an SNS topic that alarms are sent to")
    parser.add_argument("--cloudflare-url", help="another Cloudflare API than the real one")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="another parameter"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    add_platform_options(parser, default="what is deployed, or else this environment's")
    options = parser.parse_args(arguments)
    adopt_region()
    try:
        url = deploy_stage(
            options.stage,
            python_version=options.python_version,
            architecture=options.arch,
            given=_parameters(options),
            out=options.out,
        )
    except (DeployError, PackageError, SettingsError, StageError) as error:
        sys.exit(str(error))
    except (ClientError, BotoCoreError, OSError) as error:
        sys.exit(f"{error}\nNothing more was done; run it again.")
    print(url)  # noqa: T201 (a command's output)


def _parameters(options: argparse.Namespace) -> dict[str, str]:
    given = {
        "Domains": options.domains and " ".join(options.domains.read_text().split()),
        "AlarmTopic": options.alarm_topic,
        "CloudflareUrl": options.cloudflare_url,
    }
    if wrong := [each for each in options.parameter if "=" not in each]:
        raise DeployError(f"--parameter takes NAME=VALUE, not {wrong[0]!r}.")
    others = dict(each.split("=", 1) for each in options.parameter)
    return {**others, **{name: value for name, value in given.items() if value is not None}}


if __name__ == "__main__":
    main()
