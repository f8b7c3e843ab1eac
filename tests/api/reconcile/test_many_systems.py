"""Many clusters and zones at once: one that hangs costs its own time, and none of the others'."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import boto3
import pytest
import yaml

from chalicelib.gateways import cluster as cluster_gateway
from chalicelib.gateways.cloudflare import CloudflareDns
from chalicelib.gateways.workspace import S3Workspace
from chalicelib.services import comparing, observation, reconciling
from chalicelib.services.provisioning import Provisioner
from infra.local.cloudflare import CloudflareDouble
from infra.local.cluster import ClusterDouble
from tests.api.reconcile.outside import Outside, codes, delete_quota, repairs, set_row
from tests.cluster_client import ClusterClient
from tests.harness import Api, Clock, configure_domain

_BOUND_SECONDS = 2.0


@pytest.fixture
def api(
    backend: None,
    kube: ClusterDouble,
    cloudflare: CloudflareDouble,
    clock: Clock,
    names: list[str],
) -> Api:
    """The app with alice in the cluster main, and further clusters with these names."""
    environment = configure_domain(cloudflare)
    second = {"name": "second.example", "zone_id": "f" * 32, "target": "t.cfargotunnel.com"}
    environment["DOMAINS"] = json.dumps([*json.loads(environment["DOMAINS"]), second])
    environment["CLUSTERS"] = ",".join(["main", *names])
    for name in names:
        store_kubeconfig(name, kube.kubeconfig())
    api = Api(environment, now=clock.now)
    api.register_friend()
    return api


@pytest.fixture
def hanging() -> Iterator[Callable[[], str]]:
    """Make the address of a server that takes connections and never says a word."""
    with ExitStack() as stack:

        def listen() -> str:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            return f"https://127.0.0.1:{server.getsockname()[1]}"

        yield listen


def store_kubeconfig(name: str, text: str) -> None:
    boto3.client("secretsmanager").create_secret(
        Name=f"friends/kubeconfig/{name}", SecretString=text
    )


def hang(name: str, kubeconfig: str, server: str) -> None:
    """Give the cluster of this name an address that does not answer."""
    document = yaml.safe_load(kubeconfig)
    document["clusters"][0]["cluster"]["server"] = server
    boto3.client("secretsmanager").put_secret_value(
        SecretId=f"friends/kubeconfig/{name}", SecretString=yaml.safe_dump(document)
    )


@pytest.mark.case("M13")
@pytest.mark.parametrize("names", [["one", "two"], [f"c{number}" for number in range(6)]])
def test_clusters_zones_and_the_workspace_are_read_side_by_side(
    api: Api, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each waits here until all are there: one after another, none would get any further.
    barrier = threading.Barrier(len(names) + 1 + 2 + 1, timeout=20)

    def meet(target: Any, name: str) -> None:
        read = getattr(target, name)
        waited: set[tuple[Any, ...]] = set()

        def read_together(*about: Any) -> Any:
            if about not in waited:
                waited.add(about)
                barrier.wait()
            return read(*about)

        monkeypatch.setattr(target, name, read_together)

    for target, name in ((S3Workspace, "list_profiles"), (CloudflareDns, "list_all")):
        meet(target, name)
    observe = observation.observe_cluster

    def observe_together(*about: Any) -> Any:
        barrier.wait()
        return observe(*about)

    monkeypatch.setattr(comparing, "observe_cluster", observe_together)
    report = api.reconcile()
    assert (report["ok"], report["failed"]) == (True, [])


@pytest.mark.case("M13")
@pytest.mark.parametrize("names", [[f"c{number}" for number in range(6)]])
def test_clusters_that_hang_cost_one_bound_and_the_others_are_converged(  # noqa: PLR0913, PLR0917 - what hangs and what does not
    api: Api,
    names: list[str],
    kube: ClusterDouble,
    cluster: ClusterClient,
    cloudflare: CloudflareDouble,
    hanging: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number, name in enumerate(names):
        api.register_friend(f"f{number}")
        set_row(f"FRIEND#f{number}", "PROFILE", cluster=name, phase="provisioning")
        hang(name, kube.kubeconfig(), hanging())
    monkeypatch.setattr(cluster_gateway, "_READ_SECONDS", 0.5)
    monkeypatch.setattr(comparing, "_SYSTEM_SECONDS", _BOUND_SECONDS)
    provisioned: list[str] = []
    provision = Provisioner.provision

    def note(self: Any, friend: Any, *about: Any, **options: Any) -> Any:
        provisioned.append(friend.id)
        return provision(self, friend, *about, **options)

    monkeypatch.setattr(Provisioner, "provision", note)
    delete_quota(Outside(cluster, cloudflare))
    begun = time.monotonic()
    report = api.reconcile()
    assert time.monotonic() - begun < len(names) * _BOUND_SECONDS
    assert repairs(report) == ["ResourceQuota friend-quota created"]
    assert codes(report["failed"]) <= {"cluster_unreachable", "out_of_time"}
    told = " ".join(each["what"] for each in report["failed"])
    assert len(report["failed"]) == len(names)
    assert all(f"The cluster {name}" in told for name in names)
    # Whoever lives there is not asked about one by one: that would take the same time again.
    assert provisioned == ["alice"]


FRIENDS = [f"f{number}" for number in range(5)]


@pytest.mark.case("M6")
@pytest.mark.parametrize("names", [[]])
@pytest.mark.parametrize(("here", "chunk", "started"), [(1, 1, 2), (1, 2, 1), (2, 1, 1)])
def test_a_run_starts_so_many_further_ones_and_leaves_the_rest_to_the_next(  # noqa: PLR0913, PLR0917 - the bounds are parameters
    api: Api,
    cluster: ClusterClient,
    clock: Clock,
    invocations: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    here: int,
    chunk: int,
    started: int,
) -> None:
    for name, value in (("_MOST_HERE", here), ("_CHUNK", chunk), ("_MOST_STARTED", started)):
        monkeypatch.setattr(reconciling, name, value)
    for friend_id in FRIENDS:
        api.register_friend(friend_id)
        cluster.delete(f"/api/v1/namespaces/friend-{friend_id}/limitranges/friend-limits")
    report = api.reconcile()
    assert len(invocations) == started
    assert (report["changed"], report["handed_on"]) == (here, started * chunk)
    assert report["postponed"] == len(FRIENDS) - here - started * chunk
    for _ in range(2):
        api.deliver(invocations)
        clock.pass_seconds(300)
        report = api.reconcile()
    api.deliver(invocations)
    assert api.reconcile()["changed"] == 0
    assert report["postponed"] == 0


@pytest.mark.case("M6")
@pytest.mark.parametrize("names", [[]])
def test_friends_who_fail_each_time_do_not_delay_the_others(  # noqa: PLR0913, PLR0917 - the bounds are patched
    api: Api,
    cluster: ClusterClient,
    kube: ClusterDouble,
    clock: Clock,
    invocations: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_MOST_HERE", "_CHUNK", "_MOST_STARTED"):
        monkeypatch.setattr(reconciling, name, 1)
    for friend_id in FRIENDS:
        api.register_friend(friend_id)
        cluster.delete(f"/api/v1/namespaces/friend-{friend_id}/limitranges/friend-limits")
    kube.fail_next(status=400, times=999, match="PATCH .*/friend-f[0-3]/")
    for _ in range(8):
        api.reconcile()
        api.deliver(invocations)
        clock.pass_seconds(301)
    assert cluster.find("/api/v1/namespaces/friend-f4/limitranges/friend-limits")
