"""The one place that knows every part: settings in, services out.

Nothing is connected here: clients are made when they are first used, so that importing the app
opens no connection and a route pays only for what it needs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from chalicelib.gateways.answers import DynamoAnswerStore
from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.gateways.cloudflare_budget import Purpose, RequestBudget
from chalicelib.gateways.cluster import KubernetesClusters
from chalicelib.gateways.dispatcher import LambdaDispatcher
from chalicelib.gateways.dynamodb import DynamoFriendStore
from chalicelib.gateways.exposures import DynamoExposureStore
from chalicelib.gateways.inventory import DynamoInventory
from chalicelib.gateways.operations import DynamoOperationStore
from chalicelib.gateways.seam import Seam
from chalicelib.gateways.secrets import Secrets, SecretTokens
from chalicelib.gateways.table import Table
from chalicelib.gateways.workspace import S3Workspace
from chalicelib.routes.services import Services
from chalicelib.routes.throttle import Throttle
from chalicelib.services.access import Access
from chalicelib.services.comparing import Comparison
from chalicelib.services.convergence import Convergence
from chalicelib.services.credentials import Credentials
from chalicelib.services.execution import Executor
from chalicelib.services.exposure import Exposures
from chalicelib.services.friends import Friends
from chalicelib.services.namespaces import Namespaces
from chalicelib.services.operations import Operations
from chalicelib.services.provisioning import Provisioner
from chalicelib.services.publishing import Publisher
from chalicelib.services.reconciling import Reconciler
from chalicelib.services.rollout_status import RolloutStatus
from chalicelib.services.sweeping import Sweeper
from chalicelib.services.teardown import Teardown
from chalicelib.services.worker import Worker
from chalicelib.services.zones import Zones
from chalicelib.settings import Settings


@dataclass(frozen=True)
class Dependencies:
    """Everything that app.py hands to the routes and to the functions."""

    settings: Settings
    services: Services
    worker: Worker
    reconciler: Reconciler


def utc_now() -> datetime:
    """Return the current time, UTC."""
    return datetime.now(UTC)


def wire(
    settings: Settings,
    *,
    now: Callable[[], datetime] = utc_now,
    seam: Seam | None = None,
) -> Dependencies:
    """Build every part from the settings. Opens no connection.

    All that leaves passes the one seam.
    """
    seam = seam or Seam()
    aws = AwsClients(seam)
    secrets = Secrets(aws)
    clusters = KubernetesClusters(
        lambda name: secrets.read(f"{settings.kubeconfig_secret_prefix}{name}"),
        allow_loopback=settings.allow_loopback_cluster,
        seam=seam,
    )
    table = Table(aws, settings.table_name)
    store, operations = DynamoFriendStore(table), DynamoOperationStore(table)
    access = Access(store, require_relationship=settings.require_relationship)
    dispatcher = LambdaDispatcher(
        aws,
        run_operation=settings.run_operation_function,
        reconcile=settings.reconcile_function,
    )
    executor = Executor(clusters, now)
    rollouts = RolloutStatus(operations, clusters, now)
    workspace = S3Workspace(aws, settings.workspace_bucket)
    exposure_store = DynamoExposureStore(table)
    cloudflare = CloudflareDns(
        lambda: secrets.read(settings.cloudflare_secret),
        RequestBudget(table, now),
        url=settings.cloudflare_url,
        seam=seam,
    )
    # Writes may use more of Cloudflare's budget than reads; deletions and reconcile may use all.
    dns = {purpose: cloudflare.acting_for(purpose) for purpose in Purpose}
    publisher = Publisher(
        store, exposure_store, clusters, dns[Purpose.WRITE], settings.domains, now
    )
    converger = replace(publisher, dns=dns[Purpose.RECONCILE])
    exposures = Exposures(
        access=access,
        publisher=publisher,
        store=exposure_store,
        clusters=clusters,
        dns=dns[Purpose.READ],
        domains=settings.domains,
        layout=settings.layout,
        now=now,
    )
    provisioner = Provisioner(clusters, settings.layout)
    services = Services(
        access=access,
        friends=Friends(
            store=store,
            access=access,
            provisioner=provisioner,
            workspace=workspace,
            cluster_names=settings.cluster_names,
            limits=settings.friend_limits,
            now=now,
        ),
        namespaces=Namespaces(clusters),
        exposures=exposures,
        operations=Operations(access, operations, clusters, dispatcher, executor, rollouts, now),
        tokens=SecretTokens(secrets, settings.api_tokens_secret),
        answers=DynamoAnswerStore(aws, settings.table_name),
        reserved_labels=settings.reserved_labels,
        now=now,
        requests=Throttle(settings.requests_per_second, now),
        guesses=Throttle(settings.requests_per_second / 5, now),
        gateway_path=settings.gateway_path,
    )
    teardown = Teardown(store, operations, converger, clusters, workspace, now)
    worker = Worker(operations, dispatcher, executor, teardown, now)
    inventory, zones = DynamoInventory(table), Zones(dns[Purpose.RECONCILE], exposure_store, now)
    comparison = Comparison(
        inventory=inventory,
        clusters=clusters,
        workspace=workspace,
        zones=zones,
        sweeper=Sweeper(store, inventory, clusters, workspace, zones, now),
        domains=settings.domains,
        cluster_names=settings.cluster_names,
        layout=settings.layout,
        now=now,
    )
    convergence = Convergence(
        friends=store,
        inventory=inventory,
        provisioner=provisioner,
        workspace=workspace,
        publisher=converger,
        exposure_store=exposure_store,
        operations=operations,
        rollouts=rollouts,
        dispatcher=dispatcher,
        now=now,
    )
    reconciler = Reconciler(
        inventory=inventory,
        operations=operations,
        comparison=comparison,
        convergence=convergence,
        dispatcher=dispatcher,
        credentials=Credentials(clusters, settings.cluster_names, now),
        now=now,
    )
    return Dependencies(settings, services, worker, reconciler)
