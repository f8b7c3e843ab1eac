"""Alice, who has a platform id and an exposure; the time; and what she has, from outside."""

import pytest

from chalicelib.gateways.seam import Seam
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests.api.reconcile.outside import DISCORD_ID, FRIEND, Outside
from tests.cluster_client import ClusterClient
from tests.harness import Api, Clock, configure_domain
from tests.manifests import create_service_manifest


@pytest.fixture
def clock() -> Clock:
    """The time, which passes when somebody sleeps."""
    return Clock()


@pytest.fixture
def seam() -> Seam:
    """What counts all that leaves."""
    return Seam()


@pytest.fixture
def api(
    backend: None, kube: ClusterDouble, cloudflare: CloudflareDouble, clock: Clock, seam: Seam
) -> Api:
    """The app with a domain and alice, who has a platform id and an exposure."""
    kube.timing.termination_seconds = 0.0
    api = Api(
        configure_domain(cloudflare),
        now=clock.now,
        seam=seam,
    )
    api.register_friend(discord_id=DISCORD_ID)
    assert api.post(f"{FRIEND}/namespace/apply", create_service_manifest()).status == 200
    exposed = api.post(f"{FRIEND}/namespace/expose", {"name": "app", "service": "web"})
    assert exposed.status == 200
    return api


@pytest.fixture
def cluster(kube: ClusterDouble) -> ClusterClient:
    """The cluster, as its admin sees it."""
    return ClusterClient(kube.kubeconfig())


@pytest.fixture
def outside(cluster: ClusterClient, cloudflare: CloudflareDouble) -> Outside:
    """What drifts."""
    return Outside(cluster, cloudflare)
