"""Try everything that a deployment needs: one line each, with the fix for what fails.

    make doctor STAGE=prod [KUBECONFIG=/path/of/an/admin]

Uses the operator's own AWS credentials, and the secrets as the API reads them; an admin's
kubeconfig shows what the API's own account may not see. Writes nothing but one DNS record in each
zone, which it deletes again. Exits 1 where anything fails; what cannot be checked here is no
failure.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.gateways.cluster import KubernetesClusters
from chalicelib.gateways.secrets import Secrets
from chalicelib.settings import SettingsError
from infra.cloudformation import api_url, describe, is_emulated, outputs_of, parameters_of
from infra.doctor.admin import KubectlReader, check_as_admin
from infra.doctor.api import check_api
from infra.doctor.clusters import check_clusters
from infra.doctor.findings import Finding, untold
from infra.doctor.secrets import check_secrets
from infra.doctor.stack import check_stack, guarded
from infra.doctor.zones import check_domains, check_zones
from infra.region import adopt_region
from infra.stages import StageError, load_settings, stack_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chalicelib.settings import Settings


def examine(stage: str, kubeconfigs: Mapping[str, Path]) -> Iterator[Finding]:
    """Yield a finding for each thing that was tried.

    kubeconfigs are an admin's, by the clusters' names. Raises StageError, and BotoCoreError where
    AWS cannot be reached at all.
    """
    stack, described, finding = stack_name(stage), None, None
    try:
        described = describe(boto3.client("cloudformation"), stack)
        if described is None:
            finding = Finding(f"stack {stack}", "There is none.", f"make deploy STAGE={stage}")
    except ClientError as error:
        finding = Finding(f"stack {stack}", f"{error}", "use credentials that may look at it.")
    try:
        settings = load_settings(stage, parameters_of(described))
    except SettingsError as error:
        yield Finding("settings", f"{error}", "correct them, and deploy again.")
    else:
        yield from _examine_outside(stage, settings, kubeconfigs)
    if finding is not None:
        yield finding
    if described is not None:
        yield from _examine_stack(stage, described)


def _examine_outside(
    stage: str, settings: Settings, kubeconfigs: Mapping[str, Path]
) -> Iterator[Finding]:
    """Yield what became of what the settings name: secrets, clusters, zones."""
    yield from check_secrets(boto3.client("secretsmanager"), settings)
    secrets = Secrets(AwsClients())
    clusters = KubernetesClusters(
        lambda name: secrets.read(f"{settings.kubeconfig_secret_prefix}{name}"),
        allow_loopback=settings.allow_loopback_cluster,
    )
    readers = {name: KubectlReader(path) for name, path in kubeconfigs.items()}
    yield from guarded("clusters", lambda: check_clusters(clusters, settings))
    for name in settings.cluster_names:
        yield from check_as_admin(name, readers.get(name), settings, stage=stage)

    def read_token() -> str | None:
        return secrets.read(settings.cloudflare_secret)

    dns = CloudflareDns(read_token, None, url=settings.cloudflare_url)
    yield from check_domains(settings)
    yield from guarded("zones", lambda: check_zones(dns, read_token, settings))


def _examine_stack(stage: str, described: Mapping[str, Any]) -> Iterator[Finding]:
    endpoint, outputs = os.environ.get("AWS_ENDPOINT_URL"), outputs_of(described)
    yield from check_stack(described, is_emulated=is_emulated(endpoint))
    if not {"RestAPIId", "EndpointURL"} <= outputs.keys():
        yield untold("API", "the stack has no output EndpointURL.", "deploy again.")
        return
    yield from check_api(api_url(outputs, stage, endpoint))


def main(arguments: Sequence[str] | None = None) -> int:
    """Try everything that a deployment of the Friends API needs."""
    parser = argparse.ArgumentParser(prog="python -m infra.doctor", description=main.__doc__)
    parser.add_argument("--stage", required=True, help="a stage of .chalice/config.json")
    parser.add_argument(
        "--kubeconfig",
        action="append",
        default=[],
        metavar="[CLUSTER=]FILE",
        help="an admin's, for what the API's own account may not see (default cluster: main)",
    )
    options = parser.parse_args(arguments)
    adopt_region()
    kubeconfigs = dict(map(_named_file, options.kubeconfig))
    is_well = True
    try:
        for finding in examine(options.stage, kubeconfigs):
            print(finding, flush=True)  # noqa: T201 (a command's output)
            is_well = is_well and finding.is_well
    except (StageError, ClientError, BotoCoreError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 (the error)
        return 1
    return 0 if is_well else 1


def _named_file(option: str) -> tuple[str, Path]:
    name, separator, file = option.partition("=")
    return (name, Path(file)) if separator else ("main", Path(option))


if __name__ == "__main__":
    sys.exit(main())
