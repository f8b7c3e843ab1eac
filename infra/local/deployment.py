"""Deploy the package to MiniStack, and do what an operator does after a first deployment.

The package is the one that `make package` builds, and it is deployed with the same two commands of
the AWS CLI as a real stage. boto3 would save about a second and run something else than what ships.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import ApiError
from chalicelib.domain.model import Role
from chalicelib.gateways.cluster import KubernetesClusters
from infra.cloudflare import put_token
from infra.cloudformation import api_url, deploy, describe, outputs_of
from infra.kubeconfig import put_kubeconfig
from infra.local.services import PLACEHOLDERS, REGION
from infra.local.state import DEPLOYED, STATE, StackError, clean_environment, say
from infra.package import Package, package
from infra.packaging.platforms import Platform
from infra.route_domains import NAMESPACE, build_config_map
from infra.stages import stack_name
from infra.tokens import mint

if TYPE_CHECKING:
    from infra.local.state import Stack

AGENT_ID: Final = "mochi"

_STAGE: Final = "local"
_CLUSTER: Final = "main"
_ARTIFACTS_BUCKET: Final = "friends-api-artifacts"
_OUT: Final = STATE / "dist"
_LOG: Final = STATE / "deploy.log"
_SECONDS: Final = 20.0


def deploy_first(stack: Stack) -> None:
    """Package and deploy to an empty MiniStack; then store the kubeconfig and mint tokens."""
    bundle = _package()
    _LOG.write_text("")
    _aws(stack, "s3api", "create-bucket", "--bucket", _ARTIFACTS_BUCKET)
    _deploy(stack, bundle)
    _store_secrets(stack)
    _permit_domain(stack)


def deploy_changes(stack: Stack) -> None:
    """Package and deploy again if anything has changed; the data stays."""
    bundle = _package()
    if DEPLOYED.read_text() != bundle.digest:
        _deploy(stack, bundle)


def _package() -> Package:
    say("Packaging the application.")
    return package(_OUT, stage=_STAGE, platform=Platform.here())


def _deploy(stack: Stack, bundle: Package) -> None:
    """Deploy with CloudFormation; the functions' code goes through an S3 bucket."""
    say("Deploying it with CloudFormation.")
    deploy(
        bundle,
        stack=stack_name(_STAGE),
        bucket=_ARTIFACTS_BUCKET,
        parameters=_parameters(stack),
        aws=partial(_aws, stack),
    )
    stack.environment |= _outputs(stack)
    DEPLOYED.write_text(bundle.digest)


def _parameters(stack: Stack) -> dict[str, str]:
    """Return what a real stage's operator says of their domain, of the one at hand.

    Where the record points does not matter to Cloudflare's double; a real zone's target is
    DNS_TARGET.
    """
    environment = stack.environment
    domain = {
        "name": environment["DOMAIN"],
        "zone_id": environment["ZONE_ID"],
        "target": environment["DNS_TARGET"],
    }
    return {
        "Domains": json.dumps([domain]),
        "CloudflareUrl": environment["CLOUDFLARE_URL"],
        "ReconcileSchedule": "rate(1 minute)",
    }


def _aws(stack: Stack, *arguments: str) -> None:
    """Run the AWS CLI of this environment. Raises StackError."""
    command = [sys.executable, "-m", "awscli", *arguments]
    environment = {**clean_environment(), **stack.environment, "AWS_PAGER": ""}
    with _LOG.open("a") as log:
        done = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise StackError(f"`aws {' '.join(arguments[:2])}` failed; its log is {_LOG}.")


def _outputs(stack: Stack) -> dict[str, str]:
    """Return what the deployed stack says of itself."""
    described = describe(_client(stack, "cloudformation"), stack_name(_STAGE))
    outputs = outputs_of(described or {})
    return {
        "API_URL": api_url(outputs, _STAGE, stack.environment["AWS_ENDPOINT_URL"]),
        "TABLE_NAME": outputs["TableName"],
        "WORKSPACE_BUCKET": outputs["WorkspaceBucketName"],
        "RUN_OPERATION_FUNCTION": outputs["RunOperationName"],
        "RECONCILE_FUNCTION": outputs["ReconcileName"],
        "DEAD_LETTERS_URL": outputs["DeadLettersUrl"],
    }


def _store_secrets(stack: Stack) -> None:
    """Store the kubeconfig and mint the tokens with the operator's own commands."""
    say("Storing the kubeconfig and Cloudflare's token, and minting tokens.")
    client = _client(stack, "secretsmanager")
    kubeconfig = Path(stack.environment["KUBECONFIG"])
    put_kubeconfig(client, _CLUSTER, kubeconfig, allow_loopback=True)
    put_token(client, stack.environment["CLOUDFLARE_TOKEN"])
    stack.environment["ADMIN_TOKEN"], _ = mint(client, Role.ADMIN)
    stack.environment["AGENT_TOKEN"], _ = mint(client, Role.AGENT, AGENT_ID)
    stack.environment["AGENT_ID"] = AGENT_ID


def _permit_domain(stack: Stack) -> None:
    """Tell the cluster which domain friends' routes may be on, as `make route-domains` does."""
    kubeconfig = Path(stack.environment["KUBECONFIG"]).read_text(encoding="utf-8")
    clusters = KubernetesClusters(lambda _: kubeconfig, allow_loopback=True)
    try:
        cluster = clusters.open(_CLUSTER, Deadline.after(_SECONDS))
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        cluster.apply(build_config_map([stack.environment["DOMAIN"]]), force=True)
    except ApiError as error:
        say(f"The cluster was not told of the domain: {error} `make route-domains` tells it.")


def _client(stack: Stack, service: str) -> Any:  # noqa: ANN401 - which client, the name says
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=stack.environment["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=PLACEHOLDERS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=PLACEHOLDERS["AWS_SECRET_ACCESS_KEY"],
    )
