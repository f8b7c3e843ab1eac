"""Many friends at once, as if each had been registered and some had exposed a service.

The product's own code says what is written, and its own stores write rows, profiles and records.
The cluster's objects are sent by bare clients in several processes: that takes half the time.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Any, Final
from uuid import uuid4

from bench.clusters import collection_of, server_side_apply
from chalicelib.bootstrap import Dependencies
from chalicelib.domain import kinds
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Domain, RecordChanges
from chalicelib.domain.exposures import hostname_of
from chalicelib.domain.ingress_routes import build_ingress_route
from chalicelib.domain.model import Contact, Exposure, Friend, JsonObject, Lease
from chalicelib.domain.namespace import ClusterLayout, build_namespace_objects
from chalicelib.domain.presentation import build_profile
from chalicelib.domain.record_plan import build_record
from tests.cluster_client import ClusterClient
from tests.exposures import create_exposure
from tests.factories import create_friend

# One friend in so many exposes a service.
_EXPOSING: Final = 33
_CHUNK: Final = 250
_PROCESSES: Final = 2
_THREADS: Final = 8
_SMALLEST_DISCORD_ID: Final = 10**17
_DEADLINE_SECONDS: Final = 600
_CONFLICT: Final = 409
_FIRST_ERROR: Final = 400


@dataclass(frozen=True)
class Inhabitant:
    """A friend, and what they expose."""

    friend: Friend
    exposures: tuple[Exposure, ...]


def create_inhabitants(count: int, domain: Domain) -> list[Inhabitant]:
    """Return so many friends, none of whom is there yet."""
    return [_create_inhabitant(number, domain) for number in range(count)]


def settle(
    inhabitants: Sequence[Inhabitant], kubeconfig: str, layout: ClusterLayout, *, seconds: float
) -> int:
    """Make namespaces, with all that is in them, until the time is over; return how many.

    Those of the first friends are made first.
    """
    chunks = [inhabitants[at : at + _CHUNK] for at in range(0, len(inhabitants), _CHUNK)]
    work = partial(_settle_chunk, kubeconfig, layout, time.time() + seconds)
    # Not forked: this process has threads, and a fork would have their locks.
    with ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(work, chunks))


def record(inhabitants: Sequence[Inhabitant], into: Dependencies, domain: Domain) -> None:
    """Write everybody's rows and profiles, and their exposures' records."""
    exposures = _create_records([e for each in inhabitants for e in each.exposures], into, domain)
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(partial(record_friend, into), [each.friend for each in inhabitants]))
        friends = {each.friend.id: each.friend for each in inhabitants}
        list(pool.map(partial(_record_exposure, into, friends), exposures))


def record_friend(into: Dependencies, friend: Friend) -> None:
    """Write a friend's row, claims and profile."""
    into.services.friends.store.create(friend, None)
    into.reconciler.comparison.workspace.put_profile(friend, build_profile(friend))


def _create_inhabitant(number: int, domain: Domain) -> Inhabitant:
    contact = Contact(f"Friend number {number}", discord_id=str(_SMALLEST_DISCORD_ID + number))
    friend = create_friend(id=f"bench-{number:06}", uid=uuid4().hex, contact=contact)
    exposure = create_exposure(
        friend_id=friend.id,
        uid=friend.uid,
        domain=domain.name,
        hostname=hostname_of("my-app", friend.id, domain.name),
    )
    return Inhabitant(friend, () if number % _EXPOSING else (exposure,))


def _settle_chunk(
    kubeconfig: str, layout: ClusterLayout, until: float, chunk: Sequence[Inhabitant]
) -> int:
    if time.time() > until:
        return 0
    move_in = partial(_settle_one, ClusterClient(kubeconfig), layout)
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(move_in, chunk))
    return len(chunk)


def _settle_one(client: ClusterClient, layout: ClusterLayout, inhabitant: Inhabitant) -> None:
    friend = inhabitant.friend
    objects = list(build_namespace_objects(friend, layout))
    # The quota comes last: with it, each further object waits until the controllers have counted.
    objects.sort(key=lambda each: each["kind"] == kinds.RESOURCE_QUOTA.name)
    objects[1:1] = [build_ingress_route(friend, each) for each in inhabitant.exposures]
    for manifest in objects:
        _create(client, manifest)


def _create(client: ClusterClient, manifest: JsonObject) -> None:
    path = f"{collection_of(manifest)}?fieldManager=friends-api"
    status, answer = client.call("POST", path, manifest)
    if status == _CONFLICT:
        # The controllers were faster with the default ServiceAccount.
        status, answer = server_side_apply(client, manifest)
    if status >= _FIRST_ERROR:
        raise RuntimeError(answer)


def _create_records(
    exposures: Sequence[Exposure], into: Dependencies, domain: Domain
) -> list[Exposure]:
    specs = tuple(build_record(each, domain) for each in exposures)
    deadline = Deadline.after(_DEADLINE_SECONDS)
    created = into.reconciler.comparison.zones.dns.write(
        domain.zone_id, RecordChanges(created=specs), deadline
    )
    ids = {each.spec.name: each.id for each in created}
    return [replace(each, record_id=ids[each.hostname]) for each in exposures]


def _record_exposure(into: Dependencies, friends: dict[str, Friend], exposure: Exposure) -> None:
    store: Any = into.services.exposures.store
    now = into.reconciler.now().timestamp()
    lease = Lease("bench", int(now) + _DEADLINE_SECONDS)
    store.claim(friends[exposure.friend_id], exposure, lease, now)
    store.settle(exposure, lease.owner)
