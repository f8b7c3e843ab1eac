"""Threat G09: whatever the order of their calls, one winner, one record, and nothing half done."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import boto3
import pytest

from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests.cluster_client import ClusterClient
from tests.harness import DOMAIN, TABLE, ZONE_ID, Api, Clock, configure_domain
from tests.interleaving import run
from tests.manifests import create_service_manifest

# Each kind of race runs as many seeds, split so that the parts run side by side.
SEEDS = 250
PARTS = 5
part = pytest.mark.parametrize("part", range(PARTS))


@pytest.fixture
def clock() -> Clock:
    """The time, which stands still while calls race."""
    return Clock()


@pytest.fixture
def api(backend: None, cloudflare: CloudflareDouble, clock: Clock) -> Api:
    """The app with a domain, and two friends with two services each."""
    api = Api(configure_domain(cloudflare), now=clock.now)
    for friend_id in ("c", "b-c"):
        api.register_friend(friend_id)
        services = [create_service_manifest("web"), create_service_manifest("other")]
        assert api.post(f"/api/friends/{friend_id}/namespace/apply", services).status == 200
    return api


@pytest.fixture
def world(api: Api, kube: ClusterDouble, cloudflare: CloudflareDouble) -> "World":
    """What the races are about."""
    return World(api, ClusterClient(kube.kubeconfig()), cloudflare)


class World:
    """The host name a-b-c, which two friends can spell."""

    def __init__(self, api: Api, cluster: ClusterClient, cloudflare: CloudflareDouble) -> None:
        """Nothing is exposed yet."""
        self.api = api
        self.cluster = cluster
        self.cloudflare = cloudflare
        self.table: Any = boto3.resource("dynamodb").Table(TABLE)

    def expose(self, friend_id: str = "c", service: str = "web") -> Callable[[], int]:
        """Return the call that exposes a service."""
        name = "a-b" if friend_id == "c" else "a"
        url, body = self.url(friend_id), {"name": name, "service": service}
        return lambda: self.api.post(url, body).status

    def remove(self) -> Callable[[], int]:
        """Return the call that takes c's exposure down."""
        return lambda: self.api.delete(f"{self.url('c')}/a-b").status

    def url(self, friend_id: str) -> str:
        """Return where a friend's exposures are."""
        return f"/api/friends/{friend_id}/namespace/expose"

    def rows(self) -> list[tuple[str, str]]:
        """Return each recorded exposure's friend and service."""
        items = self.table.scan()["Items"]
        rows = [each for each in items if each["sk"].startswith("EXPOSURE#")]
        return sorted((each["friend_id"], each["service"]) for each in rows)

    def routes(self) -> list[tuple[str, str]]:
        """Return each route's friend and service."""
        listed = self.cluster.get("/apis/traefik.io/v1alpha1/ingressroutes")["items"]
        return sorted(
            (
                each["metadata"]["namespace"].removeprefix("friend-"),
                each["spec"]["routes"][0]["services"][0]["name"],
            )
            for each in listed
        )

    def require_whole(self, note: object) -> None:
        """Require that what is recorded is there, whole, and nothing else is."""
        assert self.routes() == self.rows(), note
        assert len(self.cloudflare.records(ZONE_ID)) == len(self.rows()) <= 1, note

    def clear(self) -> None:
        """Take everything down, and forget who had the name."""
        for friend_id, name in (("c", "a-b"), ("b-c", "a")):
            path = f"/apis/traefik.io/v1alpha1/namespaces/friend-{friend_id}/ingressroutes"
            self.cluster.call("DELETE", f"{path}/expose-{name}")
            self.table.delete_item(Key={"pk": f"FRIEND#{friend_id}", "sk": f"EXPOSURE#{name}"})
        self.table.delete_item(Key={"pk": f"HOST#a-b-c.{DOMAIN}", "sk": "CLAIM"})
        for item in self.table.scan()["Items"]:
            # Time stands still, so Cloudflare's budget would never be whole again.
            if item["pk"] == "COUNTER#cloudflare" or item["sk"].startswith("REMOVED#"):
                self.table.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})
        self.cloudflare.reset()

    def end(self) -> None:
        """Do to c what the end of a friend begins with: no more exposures, then none at all."""
        self.mark("deleting")
        while self.remove()() == HTTPStatus.CONFLICT:
            continue

    def mark(self, phase: str) -> None:
        """Set c's phase."""
        self.table.update_item(
            Key={"pk": "FRIEND#c", "sk": "PROFILE"},
            UpdateExpression="SET phase = :phase",
            ExpressionAttributeValues={":phase": phase},
        )


def seeds(number: int) -> range:
    return range(number, SEEDS, PARTS)


@part
def test_g09_two_friends_expose_one_host(world: World, part: int) -> None:
    for seed in seeds(part):
        statuses = run(seed, [world.expose("c"), world.expose("b-c")])
        assert sorted(statuses) == [200, 409], seed
        world.require_whole(seed)
        assert [friend for friend, _ in world.rows()] == ["c" if statuses[0] == 200 else "b-c"]
        world.clear()


@part
def test_g09_one_friend_exposes_two_services_under_one_name(world: World, part: int) -> None:
    for seed in seeds(part):
        statuses = run(seed, [world.expose(service="web"), world.expose(service="other")])
        assert set(statuses) <= {200, 409}, seed
        assert 200 in statuses, seed
        world.require_whole(seed)
        world.clear()


@part
def test_g09_an_expose_against_a_removal(world: World, part: int) -> None:
    for seed in seeds(part):
        assert world.expose()() == 200
        exposed, removed = run(seed, [world.expose(service="other"), world.remove()])
        assert (exposed in {200, 409}, removed in {200, 409}) == (True, True), seed
        assert 200 in (exposed, removed), seed
        world.require_whole(seed)
        if exposed != 200:
            assert world.rows() == [], seed
        world.clear()


@part
def test_g09_an_expose_against_the_friends_end(world: World, part: int) -> None:
    for seed in seeds(part):
        if seed % 2:
            assert world.expose()() == 200
        exposed, _ = run(seed, [world.expose(service="other"), world.end])
        assert exposed in {200, 409}, seed
        assert (world.rows(), world.routes()) == ([], []), seed
        assert world.cloudflare.records(ZONE_ID) == [], seed
        world.mark("ready")
        world.clear()
