"""What must be true of a world that is at rest, whatever happened in it before.

    row <=> namespace with its objects <=> claims <=> DNS record <=> IngressRoute <=> profile.json

and every operation that was accepted is over. What breaks this is one of two: LOST is what is
recorded and the world lacks, LEAKED what the world holds and nothing that is recorded wants.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from chalicelib.domain import kinds
from chalicelib.domain.claims import claims_of
from chalicelib.domain.dns import OWNER_PREFIX
from chalicelib.domain.friend_limits import count_friends
from chalicelib.domain.ingress_routes import build_ingress_route
from chalicelib.domain.model import Exposure, FriendRecord, JsonObject, NameClaim, Phase
from chalicelib.domain.namespace import (
    FRIEND_LABEL,
    MANAGED_BY_LABEL,
    MANAGER,
    NAMESPACE_KINDS,
    UID_LABEL,
    build_namespace_object,
)
from chalicelib.domain.plan import contains
from chalicelib.domain.presentation import build_profile
from chalicelib.domain.record_plan import build_record
from tests.observed import Observed
from tests.world import DOMAIN

_UNFINISHED: Final = frozenset({"pending", "running"})


@dataclass
class Problems:
    """What is wrong, each with a sentence."""

    lost: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lost or self.leaked)


def find_problems(
    seen: Observed, *, others: Sequence[Observed] = (), contested: Collection[str] = ()
) -> Problems:
    """Return everything that is wrong with the world as it is now.

    others are the stages that share the cluster and the zone. contested are the names of claims
    that were lost: another friend of this stage may have them by now.
    """
    problems = Problems()
    for record in seen.records.values():
        problems.lost += _missing(seen, record, contested)
    problems.lost += _miscounted(seen)
    problems.leaked += _unwanted(seen, others)
    return problems


def _miscounted(seen: Observed) -> Iterator[str]:
    wanted = count_friends(each.friend for each in seen.records.values())
    rows = [each for each in seen.items if each["pk"] == "COUNTER#friends"]
    counted = {each["sk"]: int(each["friends"]) for each in rows}
    for of in sorted(wanted.keys() | counted.keys()):
        if counted.get(of, 0) != wanted[of]:
            yield f"{wanted[of] - counted.get(of, 0)} in the count of friends of {of}"


def _missing(seen: Observed, record: FriendRecord, contested: Collection[str]) -> Iterator[str]:
    friend = record.friend
    if friend.phase is not Phase.READY:
        yield f"{friend.id} is {friend.phase}"
    if not record.queue.is_drained:
        yield f"{friend.id}'s line of operations is not drained"
    if record.queue.unfinished:
        yield f"{friend.id}'s row counts operations as unfinished"
    for kind in NAMESPACE_KINDS:
        desired = build_namespace_object(kind, friend, seen.layout)
        if not _says(seen.find(kind, desired), desired):
            yield f"{friend.id}'s {kind.name} is not as desired"
    for claim in claims_of(friend, record.exposures) - seen.claims:
        if claim.name not in contested or not _is_held(seen, claim):
            yield f"{friend.id}'s claim of {claim.name}"
    if seen.profiles.get(friend.id) != build_profile(friend):
        yield f"{friend.id}'s profile.json is not as recorded"
    for exposure in record.exposures:
        yield from _missing_of(seen, record, exposure)


def _missing_of(seen: Observed, record: FriendRecord, exposure: Exposure) -> Iterator[str]:
    route = build_ingress_route(record.friend, exposure)
    if not _says(seen.find(kinds.INGRESS_ROUTE, route), route):
        yield f"the IngressRoute of {exposure.hostname}"
    wanted = build_record(exposure, DOMAIN)
    found = [each for each in seen.dns if each.spec == wanted]
    if not found:
        yield f"the DNS record of {exposure.hostname}"
    elif exposure.record_id not in {each.id for each in found}:
        yield f"the row of {exposure.hostname} does not note its record"


def _is_held(seen: Observed, wanted: NameClaim) -> bool:
    """Tell whether another friend who wants the name has the claim of it."""
    return any(
        claim in claims_of(record.friend, record.exposures)
        for claim in seen.claims
        if (claim.kind, claim.name) == (wanted.kind, wanted.name)
        for record in seen.records.values()
    )


def _unwanted(seen: Observed, others: Sequence[Observed]) -> Iterator[str]:
    records = [each for one in (seen, *others) for each in one.records.values()]
    yield from _unwanted_items(seen)
    yield from _unwanted_objects(seen, records)
    exposures = list(chain.from_iterable(each.exposures for each in records))
    wanted = {(each.hostname, build_record(each, DOMAIN).comment) for each in exposures}
    for record in seen.dns:
        owner = (record.spec.name, record.spec.comment)
        if owner in wanted:
            wanted.remove(owner)
        elif record.spec.comment.startswith(OWNER_PREFIX):
            yield f"the DNS record {record.spec.name} of {record.spec.comment}"
    for friend_id in seen.profiles.keys() - seen.records.keys():
        yield f"{friend_id}'s profile.json"


def _unwanted_items(seen: Observed) -> Iterator[str]:
    wanted: set[NameClaim] = set()
    for record in seen.records.values():
        wanted |= claims_of(record.friend, record.exposures)
    for claim in seen.claims - wanted:
        yield f"the claim of {claim.name} for {claim.friend_id}"
    uids = {record.friend.uid for record in seen.records.values()}
    for item in seen.items:
        kind, _, _ = str(item["pk"]).partition("#")
        if kind == "FRIEND" and item["uid"] not in uids:
            yield f"the row {item['pk']} {item['sk']}"
        if kind == "OPERATIONS" and (item["status"] in _UNFINISHED or "list_pk" in item):
            yield f"the {item['status']} operation {item['pk']} {item['sk']}"


def _unwanted_objects(seen: Observed, records: Sequence[FriendRecord]) -> Iterator[str]:
    owners = {(each.friend.id, each.friend.uid) for each in records}
    for namespace in seen.objects[kinds.NAMESPACE]:
        labels = namespace["metadata"].get("labels") or {}
        owner = (labels.get(FRIEND_LABEL), labels.get(UID_LABEL))
        if labels.get(MANAGED_BY_LABEL) == MANAGER and owner not in owners:
            yield f"the namespace {namespace['metadata']['name']}"
    routes = {
        (record.friend.namespace, build_ingress_route(record.friend, each)["metadata"]["name"])
        for record in records
        for each in record.exposures
    }
    for route in seen.objects[kinds.INGRESS_ROUTE]:
        metadata = route["metadata"]
        is_ours = (metadata.get("labels") or {}).get(MANAGED_BY_LABEL) == MANAGER
        if is_ours and (metadata["namespace"], metadata["name"]) not in routes:
            yield f"the IngressRoute {metadata['name']} in {metadata['namespace']}"


def _says(found: JsonObject | None, desired: JsonObject) -> bool:
    if found is None or "deletionTimestamp" in found["metadata"]:
        return False
    said = {key: value for key, value in desired.items() if key not in {"apiVersion", "kind"}}
    return contains(found, said)
