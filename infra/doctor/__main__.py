"""Try everything that a deployment needs: one line each, with the fix for what fails.

    make doctor STAGE=prod

Uses the operator's own AWS credentials, and the secrets as the API reads them. Writes nothing but
one DNS record in each zone, which it deletes again. Exits 1 where anything fails.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.gateways.cluster import KubernetesClusters
from chalicelib.gateways.secrets import Secrets
from chalicelib.settings import SettingsError
from infra.cloudformation import api_url, describe, outputs_of, parameters_of
from infra.doctor.api import check_api
from infra.doctor.clusters import check_clusters
from infra.doctor.findings import Finding
from infra.doctor.secrets import check_secrets
from infra.doctor.stack import check_stack
from infra.doctor.zones import check_zones
from infra.region import adopt_region
from infra.stages import StageError, load_settings, stack_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def examine(stage: str) -> Iterator[Finding]:
    """Yield a finding for each thing that was tried. Raises StageError and SettingsError."""
    described = describe(boto3.client("cloudformation"), stack_name(stage))
    settings = load_settings(stage, parameters_of(described))
    yield from check_secrets(boto3.client("secretsmanager"), settings)
    secrets = Secrets(AwsClients())
    clusters = KubernetesClusters(
        lambda name: secrets.read(f"{settings.kubeconfig_secret_prefix}{name}"),
        allow_loopback=settings.allow_loopback_cluster,
    )
    dns = CloudflareDns(
        lambda: secrets.read(settings.cloudflare_secret), url=settings.cloudflare_url
    )
    yield from _guarded("clusters", lambda: check_clusters(clusters, settings))
    yield from _guarded("zones", lambda: check_zones(dns, settings))
    if described is None:
        yield Finding(f"stack {stack_name(stage)}", "There is none.", f"make deploy STAGE={stage}")
        return
    yield from _guarded("stack", lambda: check_stack(described))
    url = api_url(outputs_of(described), stage, os.environ.get("AWS_ENDPOINT_URL"))
    yield from check_api(url)


def _guarded(subject: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what a check finds; where AWS refuses the operator, that is a finding too."""
    try:
        yield from check()
    except (ClientError, BotoCoreError) as error:
        yield Finding(subject, f"{error}", "use credentials that may look at it.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Try everything that a deployment of the Friends API needs."""
    parser = argparse.ArgumentParser(prog="python -m infra.doctor", description=main.__doc__)
    parser.add_argument("--stage", required=True, help="a stage of .chalice/config.json")
    options = parser.parse_args(arguments)
    adopt_region()
    is_well = True
    try:
        for finding in examine(options.stage):
            print(finding, flush=True)  # noqa: T201 (a command's output)
            is_well = is_well and finding.is_well
    except (StageError, SettingsError, ClientError, BotoCoreError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (the error)
        return 1
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
