"""A whole world for tests: AWS, a cluster and a DNS zone, friends in them, and what is foreign.

with serve_world() as world:
    api = world.start()             # a process of the API, as a cold start leaves it
    restore = world.save()          # restore() brings everything back as it is now
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any, Final
from unittest import mock

import boto3

from chalicelib.domain.dns import Domain
from chalicelib.gateways import cloudflare as cloudflare_gateway
from chalicelib.gateways import kubeconfig, tls
from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.seam import Seam, SeamedClient
from infra.local import cloudflare as cloudflare_double
from infra.local import cluster as cluster_double
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests import aws_double
from tests.aws_double import AwsDouble
from tests.cluster_client import ClusterClient, create_pod, create_secret
from tests.factories import AGENT_TOKEN
from tests.harness import BUCKET, TABLE, Api, Clock, create_backend, create_storage
from tests.manifests import create_config_map_manifest, create_service_manifest

ZONE_ID: Final = "0123456789abcdef0123456789abcdef"
# An address: of those, a race may leave two at one name.
DOMAIN: Final = Domain("friends.example", ZONE_ID, "203.0.113.9", proxied=True)
FOREIGN_ROUTE: Final = "theirs"
FOREIGN_NAMESPACE: Final = "friend-zed"
FOREIGN_KEYS: Final = ("friends/alice/notes.md", "shared/notes.txt")

# Who stands back before a repeat, by time.sleep.
_STANDING_BACK: Final = (
    "chalicelib.gateways.cloudflare",
    "chalicelib.gateways.cluster",
    "chalicelib.gateways.table",
    "chalicelib.services.stale",
)


@dataclass(frozen=True)
class Storage:
    """What a stage has of its own; stages may share a cluster and a zone."""

    table: str
    bucket: str


MAIN: Final = Storage(TABLE, BUCKET)
OTHER: Final = Storage("friends-other", "workspace-other")


@dataclass
class World:
    """The three doubles and the time; the friends are in them."""

    aws: AwsDouble
    kube: ClusterDouble
    cloudflare: CloudflareDouble
    clock: Clock = field(default_factory=Clock)

    @property
    def invocations(self) -> list[Any]:
        """The events of asynchronous invocations that nobody has delivered yet."""
        return self.aws.invocations

    @property
    def admin(self) -> ClusterClient:
        """The cluster, as its admin sees it."""
        return ClusterClient(self.kube.kubeconfig())

    def start(self, seam: Seam | None = None, storage: "Storage | None" = None) -> Api:
        """Start another process of the API, of the stage that has this storage."""
        storage = storage or MAIN
        domain = {"name": DOMAIN.name, "zone_id": DOMAIN.zone_id, "target": DOMAIN.target}
        environment = {
            "DOMAINS": json.dumps([domain]),
            "CLOUDFLARE_URL": self.cloudflare.url,
            "TABLE_NAME": storage.table,
            "WORKSPACE_BUCKET": storage.bucket,
        }
        parts = {"now": self.clock.now, "seam": seam or Seam()}
        return Api(environment, **parts)

    def save(self) -> Callable[[], None]:
        """Return a function that brings everything back as it is now, and forgets all requests."""
        doubles = (
            self.kube.save(),
            self.cloudflare.save(),
            self.aws.save({each.table: each.bucket for each in (MAIN, OTHER)}),
        )
        moment = self.clock.moment

        def restore() -> None:
            for restore_one in doubles:
                restore_one()
            self.clock.moment = moment

        return restore

    def populate(self) -> None:
        """Let alice and bob be friends, alice with a service on the web; and plant the foreign."""
        api = self.start()
        api.register_friend("alice", discord_id="1" * 18, token=AGENT_TOKEN)
        api.register_friend("bob", signal="+491701234567", whatsapp="+491701234567")
        manifests = [create_service_manifest(), create_config_map_manifest("pages")]
        assert api.post("/api/friends/alice/namespace/apply", manifests).status == 200
        body = {"name": "app", "service": "web"}
        assert api.post("/api/friends/alice/namespace/expose", body).status == 200
        self._plant_foreign()

    def _plant_foreign(self) -> None:
        self.admin.create_namespace(FOREIGN_NAMESPACE)
        self.admin.create(create_route(FOREIGN_ROUTE, "friend-alice"))
        self.admin.apply(create_secret("theirs"))
        self.admin.create(create_pod("theirs"))
        self.cloudflare.seed(
            ZONE_ID, name="www", type="A", content="203.0.113.7", comment="friends-api docs"
        )
        for key in FOREIGN_KEYS:
            boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=key.encode())


def create_route(name: str, namespace: str, **metadata: Any) -> dict[str, Any]:
    """Return an IngressRoute as somebody else writes it."""
    service = {"kind": "Service", "name": "web", "port": 80}
    rule = {"kind": "Rule", "match": "Host(`theirs.example`)", "services": [service]}
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"entryPoints": ["web"], "routes": [rule]},
    }


@contextmanager
def serve_world() -> Iterator[World]:
    """Serve an empty world until the block ends; nobody in it ever really sleeps."""
    with ExitStack() as stack:
        stack.enter_context(aws_double.no_real_aws())
        stack.enter_context(aws_double.one_loader())
        aws = stack.enter_context(aws_double.serve())
        stack.enter_context(_shared_connections())
        kube = stack.enter_context(cluster_double.serve())
        zones = {ZONE_ID: DOMAIN.name}
        cloudflare = stack.enter_context(cloudflare_double.serve(zones=zones))
        world = World(aws, kube, cloudflare)
        clock = SimpleNamespace(sleep=world.clock.sleep, monotonic=time.monotonic)
        for module in _STANDING_BACK:
            stack.enter_context(mock.patch(f"{module}.time", clock))
        create_backend(kube.kubeconfig())
        create_storage(OTHER.table, OTHER.bucket)
        boto3.client("secretsmanager").create_secret(
            Name="friends/cloudflare", SecretString=cloudflare.token
        )
        yield world


@contextmanager
def _shared_connections() -> Iterator[None]:
    """Have all processes share what takes long to make, and remembers nothing of a call."""
    made: dict[str, SeamedClient] = {}
    make = AwsClients._make

    def make_once(clients: AwsClients, service: str) -> SeamedClient:
        if service not in made:
            made[service] = make(clients, service)
        client, seam = made[service]._client, clients._seam  # noqa: SLF001 - what is shared, and what is not
        return SeamedClient(client, service, seam)

    build_session = cloudflare_gateway._build_session  # noqa: SLF001 - a cache is put around it
    with (
        mock.patch.object(AwsClients, "_make", make_once),
        mock.patch.object(kubeconfig, "parse_kubeconfig", cache(kubeconfig.parse_kubeconfig)),
        mock.patch.object(tls, "build_pool", cache(tls.build_pool)),
        mock.patch.object(cloudflare_gateway, "_build_session", cache(build_session)),
    ):
        yield
