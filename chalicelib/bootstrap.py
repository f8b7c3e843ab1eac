"""The one place that knows every part: settings in, services out.

Nothing is connected here: clients are made when they are first used, so that importing the app
opens no connection and a route pays only for what it needs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.gateways.answers import DynamoAnswerStore
from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.cluster import KubernetesClusters
from chalicelib.gateways.dynamodb import DynamoFriendStore
from chalicelib.gateways.secrets import Secrets, SecretTokens
from chalicelib.gateways.workspace import S3Workspace
from chalicelib.routes.services import Services
from chalicelib.services.access import Access
from chalicelib.services.friends import Friends
from chalicelib.services.namespaces import Namespaces
from chalicelib.services.provisioning import Provisioner
from chalicelib.settings import Settings


@dataclass(frozen=True)
class Dependencies:
    """Everything that app.py hands to the routes and, in time, to the scheduled functions."""

    settings: Settings
    services: Services


def utc_now() -> datetime:
    """Return the current time, UTC."""
    return datetime.now(UTC)


def wire(settings: Settings, *, now: Callable[[], datetime] = utc_now) -> Dependencies:
    """Build every part from the settings. Opens no connection."""
    aws = AwsClients()
    secrets = Secrets(aws)
    clusters = KubernetesClusters(
        lambda name: secrets.read(f"{settings.kubeconfig_secret_prefix}{name}"),
        allow_loopback=settings.allow_loopback_cluster,
    )
    store = DynamoFriendStore(aws, settings.table_name)
    access = Access(store, require_relationship=settings.require_relationship)
    friends = Friends(
        store=store,
        access=access,
        provisioner=Provisioner(clusters, settings.layout),
        workspace=S3Workspace(aws, settings.workspace_bucket),
        cluster_names=settings.cluster_names,
        now=now,
    )
    services = Services(
        access=access,
        friends=friends,
        namespaces=Namespaces(clusters),
        tokens=SecretTokens(secrets, settings.api_tokens_secret),
        answers=DynamoAnswerStore(aws, settings.table_name),
        now=now,
    )
    return Dependencies(settings, services)
