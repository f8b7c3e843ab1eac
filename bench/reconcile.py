"""A pass over very many friends on a real cluster: what it sends, its time and its memory.

BENCH_FRIENDS says how many; fewer are made when making them takes too long, and the figures say how
many there were. AWS is MiniStack and DNS is the double, both at hand over HTTP.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from statistics import median
from typing import Any, Final
from unittest.mock import patch

import boto3

from bench.aws import be_patient, run_aws
from bench.clusters import open_clusters, run_real_cluster
from bench.measure import Figure
from bench.population import Inhabitant, create_inhabitants, record, settle
from chalicelib.bootstrap import Dependencies, wire
from chalicelib.domain import kinds
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.kinds import ObjectRef, ref_of
from chalicelib.domain.namespace import NAMESPACE_KINDS, QUOTA_NAME, build_namespace_objects
from chalicelib.ports import Cluster
from chalicelib.settings import Settings
from infra.local import cloudflare
from tests.cluster_client import ClusterClient
from tests.exposures import create_domain
from tests.harness import ENVIRONMENT, Api, create_backend

_FRIENDS: Final = int(os.environ.get("BENCH_FRIENDS", "10000"))
_SETTLING_SECONDS: Final = 360.0
_ROUNDS: Final = 3
_SAMPLE: Final = 1000
_AT_ONCE: Final = 16
_DEADLINE_SECONDS: Final = 3600
_DRIFTED_ONE_IN: Final = 100
_LEASE_WRITES: Final = 2
_MOST_MB: Final = 256.0
_ANSWER_MB: Final = 6.0
_MB: Final = 1024 * 1024
# One answer without a limit holds so many friends, if they fit; a few more are on another page.
_LISTED: Final = 10_000
_BEYOND: Final = 500
_LONGEST_NAME: Final = "\N{GRINNING FACE}" * 100
_DOMAIN: Final = create_domain()


def measure_reconcile() -> list[Figure]:
    """Measure a clean pass, one after drift, and the list of all friends."""
    with run_real_cluster() as cluster:
        if cluster is None:
            skipped = "no control plane is built yet: make test-cluster builds it"
            return [Figure(f"reconciling {_FRIENDS} friends", 0.05, skipped=skipped)]
        with _world(cluster.kubeconfig) as world:
            return [*_measure_clean(world), *_measure_drifted(world), _measure_list(world)]


@dataclass(frozen=True)
class _World:
    """Friends, and where all of theirs is."""

    kubeconfig: str
    inhabitants: Sequence[Inhabitant]
    dependencies: Dependencies

    @property
    def size(self) -> str:
        """How many friends there are, for the names of figures."""
        return f"{len(self.inhabitants)} friends"

    @cached_property
    def collections(self) -> frozenset[str]:
        """What a page of a list is asked by."""
        paths = [f"/{'apis' if k.group else 'api'}/{k.api_version}/{k.plural}" for k in _LISTS]
        return frozenset(f"cluster GET {path}" for path in paths)


_LISTS: Final = (*NAMESPACE_KINDS, kinds.INGRESS_ROUTE)


@contextmanager
def _world(kubeconfig: str) -> Iterator[_World]:
    zones = {_DOMAIN.zone_id: _DOMAIN.name}
    with run_aws() as aws, cloudflare.serve(zones=zones) as double:
        domain = {"name": _DOMAIN.name, "zone_id": _DOMAIN.zone_id, "target": _DOMAIN.target}
        environment = {
            **ENVIRONMENT,
            **aws,
            "CLOUDFLARE_URL": double.url,
            "DOMAINS": json.dumps([domain]),
        }
        with patch.dict(os.environ, environment):
            be_patient()
            boto3.setup_default_session()
            create_backend(kubeconfig)
            secrets = boto3.client("secretsmanager")
            secrets.create_secret(Name="friends/cloudflare", SecretString=double.token)
            yield _populate(kubeconfig)


def _populate(kubeconfig: str) -> _World:
    dependencies = wire(Settings.from_env(os.environ))
    layout = dependencies.settings.layout
    wanted = create_inhabitants(_FRIENDS, _DOMAIN)
    started = time.monotonic()
    settled = settle(wanted, kubeconfig, layout, seconds=_SETTLING_SECONDS)
    inhabitants = wanted[:settled]
    record(inhabitants, dependencies, _DOMAIN)
    exposures = sum(len(each.exposures) for each in inhabitants)
    print(
        f"reconcile: {settled} of {_FRIENDS} friends, {exposures} exposures, "
        f"made in {time.monotonic() - started:.0f} s"
    )
    return _World(kubeconfig, inhabitants, dependencies)


def _run_pass(world: _World) -> Any:  # noqa: ANN401 - what one_pass prints
    """Make a pass in a process of its own and return what it tells."""
    warm_up = world.inhabitants[0].friend.id
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "bench.one_pass", warm_up],
        check=True,
        stdout=subprocess.PIPE,
    )
    told = json.loads(done.stdout)
    assert told["report"]["ok"], told["report"]  # noqa: S101 - a benchmark of a failure is none
    return told


def _measure_clean(world: _World) -> list[Figure]:
    cluster = open_clusters(world.kubeconfig).open("main", Deadline.after(_DEADLINE_SECONDS))
    passes, singly, at_once = [], [], []
    for turn in range(_ROUNDS):
        sample = _sample(world, turn)
        passes.append(_run_pass(world))
        singly.append(_measure_gets(cluster, sample, threads=1))
        at_once.append(_measure_gets(cluster, sample, threads=_AT_ONCE))
    objects = len(NAMESPACE_KINDS) * len(world.inhabitants)
    seconds = median(each["seconds"] for each in passes)
    clean = f"a clean pass over {world.size}"
    against = f"{clean}, warm, against a GET for each of their {objects} objects"
    return [
        Figure(f"{against}, in turn", 0.05, seconds, median(singly) * objects, unit="s"),
        Figure(f"{against}, {_AT_ONCE} at once", 1.0, seconds, median(at_once) * objects, unit="s"),
        _judge_memory(clean, passes),
        _judge_requests(clean, passes[0], world),
        Figure(
            f"{clean}: its writes, against the two of its lease",
            1.0,
            max(_writes(each) for each in passes),
            _LEASE_WRITES,
            unit="",
        ),
    ]


def _sample(world: _World, turn: int) -> list[ObjectRef]:
    """Return some of the objects, other ones each time, spread over all friends."""
    layout = world.dependencies.settings.layout
    step = max(1, len(world.inhabitants) * len(NAMESPACE_KINDS) // _SAMPLE)
    chosen = world.inhabitants[turn % step :: step]
    return [ref_of(o) for each in chosen for o in build_namespace_objects(each.friend, layout)]


def _measure_gets(cluster: Cluster, refs: Sequence[ObjectRef], *, threads: int) -> float:
    """Return seconds a GET, by the API's own gateway."""
    cluster.get(refs[0])
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(cluster.get, refs))
    assert all(found)  # noqa: S101 - a benchmark of a failure is none
    return (time.perf_counter() - started) / len(refs)


def _judge_memory(clean: str, passes: Sequence[Any]) -> Figure:
    name = f"{clean}: the process's peak memory, against {_MOST_MB:.0f} MB"
    peaks = [each["peak_mb"] for each in passes]
    if None in peaks:
        return Figure(name, 1.0, skipped="this system does not tell a process's peak")
    return Figure(name, 1.0, max(peaks), _MOST_MB, unit="MB")


def _judge_requests(clean: str, told: Any, world: _World) -> Figure:  # noqa: ANN401 - see _run_pass
    asked = {name: n for name, n in told["reads"].items() if name.startswith("cluster ")}
    pages = sum(n for name, n in asked.items() if name in world.collections)
    name = f"{clean}: what it asks the cluster beside pages of lists, against those"
    return Figure(name, 0.0, sum(asked.values()) - pages, pages, unit="")


def _writes(told: Any) -> int:  # noqa: ANN401 - see _run_pass
    """Return the writes, but for the one that counts each request to Cloudflare (decision 40)."""
    asked = [*told["reads"].items(), *told["writes"].items()]
    counts = sum(number for name, number in asked if name.startswith("cloudflare "))
    return int(sum(told["writes"].values()) - counts)


def _measure_drifted(world: _World) -> list[Figure]:
    drifted = [each.friend for each in world.inhabitants[::_DRIFTED_ONE_IN]]
    paths = [f"/api/v1/namespaces/{each.namespace}/resourcequotas/{QUOTA_NAME}" for each in drifted]
    client = ClusterClient(world.kubeconfig)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        edit = {"spec": {"hard": {"pods": "99"}}}
        list(pool.map(partial(client.merge, patch=edit), paths))
    told, after = _run_pass(world), _run_pass(world)
    mended = {name for name in told["writes"] if name.startswith("cluster PATCH ")}
    missed = {f"cluster PATCH {path}" for path in paths} - mended
    share = f"a pass after {len(paths)} quotas of {world.size} were edited"
    return [
        Figure(
            f"{share}: its writes, lease aside, against those quotas",
            1.0,
            _writes(told) - _LEASE_WRITES,
            len(paths),
            unit="",
        ),
        Figure(
            f"{share}: what it missed and what the next one writes, against those quotas",
            0.0,
            len(missed) + _writes(after) - _LEASE_WRITES,
            len(paths),
            unit="",
        ),
    ]


def _measure_list(world: _World) -> Figure:
    first = len(world.inhabitants)
    total = max(first, _LISTED) + _BEYOND
    store = world.dependencies.services.friends.store
    more = [each.friend for each in create_inhabitants(total, _DOMAIN)[first:]]
    longest = [replace(e, contact=replace(e.contact, display_name=_LONGEST_NAME)) for e in more]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda friend: store.create(friend, None), longest))
    sizes, listed = _walk(Api(os.environ))
    assert listed == total, listed  # noqa: S101 - a benchmark of a failure is none
    return Figure(
        f"GET /api/friends, {total} friends in {len(sizes)} answers: the largest, against Lambda's",
        1.0,
        max(sizes) / _MB,
        _ANSWER_MB,
        unit="MB",
    )


def _walk(api: Api) -> tuple[list[int], int]:
    """Follow the list from page to page; return each answer's bytes, and how many friends came."""
    sizes, listed, url = [], 0, "/api/friends"
    while url:
        answer = api.get(url)
        # As the runtime hands the answer to Lambda, which is where it counts.
        response = {"statusCode": 200, "headers": dict(answer.headers), "body": answer.text}
        sizes.append(len(json.dumps(response)))
        listed += len(answer.json)
        url = answer.next_url
    return sizes, listed
