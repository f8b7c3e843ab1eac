"""What is gone from the cluster, the zone and the table, held to what the table proves.

A uid is random and made in one table, so what carries it can be another stage's, or of a table
that was lost: then nothing proves that it may go, and it has to stay.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import boto3

from chalicelib.domain import kinds
from chalicelib.domain.dns import OWNER_PREFIX
from chalicelib.domain.namespace import MANAGED_BY_LABEL, MANAGER, UID_LABEL
from tests.observed import Observed
from tests.world import MAIN, OTHER, ZONE_ID, World

_ROUTE_PREFIX: Final = "expose-"


@dataclass(frozen=True)
class Thing:
    """Something that the API made: whose it is by its uid, and of which exposure, if of one."""

    kind: str
    uid: str
    exposure: str | None = None


def things_in(seen: Observed) -> frozenset[Thing]:
    """Return all that the API made and that is there, whichever stage made it."""
    return frozenset((*_namespaces(seen), *_routes(seen), *_records(seen)))


def unproven(gone: frozenset[Thing], before: Observed, after: Observed) -> list[Thing]:
    """Return what of all that is gone the stage's table, before or after, does not prove."""
    proof = _Proof([*before.items, *after.items], after)
    return [each for each in gone if not proof.of(each)]


class _Proof:
    def __init__(self, items: list[dict[str, Any]], after: Observed) -> None:
        self._deleted = {_tombstone(each) for each in items} | {
            each["uid"] for each in items if each.get("phase") == "deleting"
        }
        self._once_exposed = {
            (each["uid"], each["name"]) for each in items if each["sk"].startswith("EXPOSURE#")
        } | {
            (each["uid"], each["exposure"])
            for each in items
            if each["pk"].startswith("HOST#") and "exposure" in each
        }
        self._exposed = {
            (each.uid, each.name) for record in after.records.values() for each in record.exposures
        }

    def of(self, thing: Thing) -> bool:
        if thing.uid in self._deleted:
            return True
        exposure = (thing.uid, thing.exposure)
        return exposure in self._once_exposed and exposure not in self._exposed


def remove_orphans(world: World) -> None:
    """Delete what no row of either stage wants, as the runbook tells an admin to.

    After an older table was put back, what was made since has no row, and nothing proves it.
    """
    stages = [Observed.of(world), Observed.of(world, OTHER)]
    records = [record for stage in stages for record in stage.records.values()]
    uids = {record.friend.uid for record in records}
    exposed = {(each.uid, each.name) for record in records for each in record.exposures}
    for thing in things_in(stages[0]):
        if thing.kind == "namespace" and thing.uid not in uids:
            _remove_namespace(world, stages[0], thing.uid)
        if thing.kind == "record" and (thing.uid, thing.exposure) not in exposed:
            world.cloudflare.remove(ZONE_ID, comment=f"{OWNER_PREFIX}{thing.uid}/{thing.exposure}")
    for stage in stages[:1]:
        _remove_routes(world, stage, exposed)
        for friend_id in stage.profiles.keys() - stage.records.keys():
            key = f"friends/{friend_id}/profile.json"
            boto3.client("s3").delete_object(Bucket=MAIN.bucket, Key=key)


def _remove_namespace(world: World, seen: Observed, uid: str) -> None:
    for each in seen.objects[kinds.NAMESPACE]:
        if (each["metadata"].get("labels") or {}).get(UID_LABEL) == uid:
            world.admin.delete_namespace(each["metadata"]["name"])


def _remove_routes(world: World, seen: Observed, exposed: set[tuple[str, str]]) -> None:
    for each in seen.objects[kinds.INGRESS_ROUTE]:
        metadata = each["metadata"]
        labels = metadata.get("labels") or {}
        name = metadata["name"].removeprefix(_ROUTE_PREFIX)
        if labels.get(MANAGED_BY_LABEL) == MANAGER and (labels.get(UID_LABEL), name) not in exposed:
            path = f"/apis/traefik.io/v1alpha1/namespaces/{metadata['namespace']}/ingressroutes"
            world.admin.call("DELETE", f"{path}/{metadata['name']}")


def _tombstone(item: dict[str, Any]) -> str | None:
    kind, _, uid = str(item["pk"]).partition("#")
    return uid if kind == "TOMBSTONE" else None


def _namespaces(seen: Observed) -> Iterator[Thing]:
    for each in seen.objects[kinds.NAMESPACE]:
        metadata = each["metadata"]
        labels = metadata.get("labels") or {}
        if labels.get(MANAGED_BY_LABEL) == MANAGER and "deletionTimestamp" not in metadata:
            yield Thing("namespace", labels.get(UID_LABEL, ""))


def _routes(seen: Observed) -> Iterator[Thing]:
    for each in seen.objects[kinds.INGRESS_ROUTE]:
        labels = each["metadata"].get("labels") or {}
        if labels.get(MANAGED_BY_LABEL) == MANAGER:
            name = each["metadata"]["name"].removeprefix(_ROUTE_PREFIX)
            yield Thing("route", labels.get(UID_LABEL, ""), name)


def _records(seen: Observed) -> Iterator[Thing]:
    for each in seen.dns:
        if each.spec.comment.startswith(OWNER_PREFIX):
            uid, _, name = each.spec.comment.removeprefix(OWNER_PREFIX).partition("/")
            yield Thing("record", uid, name)
