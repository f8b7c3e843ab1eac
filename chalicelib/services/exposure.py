"""What a request can do with exposures: look at what they stand on, put them up, judge them.

How a record and a route are made and removed is publishing's matter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from chalicelib.domain import kinds
from chalicelib.domain.backends import require_port
from chalicelib.domain.checks import check_exposure
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Domain, Record, owner_of
from chalicelib.domain.errors import Conflict
from chalicelib.domain.exposures import (
    ExposeRequest,
    exposure_elsewhere,
    exposure_not_found,
    hostname_of,
)
from chalicelib.domain.ingress_routes import build_ingress_route, route_name
from chalicelib.domain.kinds import ObjectRef
from chalicelib.domain.model import Exposure, Friend, FriendRecord, JsonObject, Principal
from chalicelib.domain.namespace import NETWORK_POLICY_NAME, UID_LABEL, ClusterLayout
from chalicelib.domain.ownership import namespace_missing, require_ours, require_staying
from chalicelib.domain.record_plan import build_record, plan_record
from chalicelib.domain.summaries import well_formed
from chalicelib.domain.timestamps import timestamp
from chalicelib.ports import Cluster, Clusters, Dns, ExposureStore
from chalicelib.services.access import Access
from chalicelib.services.concurrency import side_by_side
from chalicelib.services.publishing import Publisher, is_recorded, route_not_ours
from chalicelib.services.reads import get_as_list
from chalicelib.services.stale import retry_stale

MOST_EXPOSURES: Final = 20
_LOOKED_AT: Final = (kinds.SERVICE, kinds.INGRESS_ROUTE, kinds.POD)


@dataclass(frozen=True)
class Seen:
    """What a namespace holds of an exposure's concern."""

    service: JsonObject | None
    pods: Sequence[JsonObject]
    policy: JsonObject | None


@dataclass(frozen=True)
class Site:
    """An exposure with all that it stands on. domain is None when it is not configured any more."""

    friend: Friend
    exposure: Exposure
    domain: Domain | None
    seen: Seen


@dataclass(frozen=True)
class Exposures:
    """What a request can do with exposures. dns is for reads; the publisher has another."""

    access: Access
    publisher: Publisher
    store: ExposureStore
    clusters: Clusters
    dns: Dns
    domains: tuple[Domain, ...]
    layout: ClusterLayout
    now: Callable[[], datetime]

    def expose(
        self,
        principal: Principal,
        friend_id: str,
        wanted: ExposeRequest,
        deadline: Deadline,
        *,
        dry_run: bool,
    ) -> Exposure:
        """Put a service on the web under the friend's own name. Safe to repeat.

        Raises NotFound for a service or port that is not there, and Conflict for a name that is
        another friend's, a record that is not ours, or while another request is at work on it, and
        TooManyRequests for an agent that exposes or removes too often.
        """
        if not dry_run:
            self._count_change(principal)
        attempt = partial(self._expose_once, principal, friend_id, wanted, deadline, dry_run)
        return retry_stale(attempt)

    def remove(
        self, principal: Principal, friend_id: str, name: str, deadline: Deadline, *, dry_run: bool
    ) -> None:
        """Take an exposure off the web and leave nothing behind. Raises NotFound, Conflict."""
        record = self.access.load(principal, friend_id)
        exposure = record.exposure_of(name)
        if exposure is None:
            raise exposure_not_found()
        if dry_run:
            self.publisher.domain_of(exposure)
            self.store.require_claimable(exposure, self.now().timestamp())
            return
        self._count_change(principal)
        self.publisher.take_down(record.friend, exposure, deadline)

    def list_all(
        self, principal: Principal, friend_id: str, deadline: Deadline, *, check: bool
    ) -> list[Exposure]:
        """Return the friend's exposures with the checks that are recorded.

        check has the cluster and the zones looked at, and what is seen recorded, unless that was
        done within the last 30 s.
        """
        record = self.access.load(principal, friend_id)
        if not (check and record.exposures):
            return list(record.exposures)
        if not self.store.begin_checks(record.friend, self.now().timestamp()):
            return list(record.exposures)
        checked = self._look(record, deadline)
        side_by_side([partial(self.store.record_checks, each) for each in checked])
        return checked

    def _count_change(self, principal: Principal) -> None:
        """Leave room in Cloudflare's budget for the other agents. Raises TooManyRequests."""
        if principal.agent_id is not None:
            self.store.count_change(principal.agent_id, self.now().timestamp())

    def _expose_once(
        self,
        principal: Principal,
        friend_id: str,
        wanted: ExposeRequest,
        deadline: Deadline,
        dry_run: bool,  # noqa: FBT001 - bound by position in partial
    ) -> Exposure:
        record = self.access.load(principal, friend_id)
        require_staying(record.friend)
        exposure = self._build(record, wanted)
        cluster = self.clusters.open(record.friend.cluster, deadline)
        seen = _see(cluster, record.friend, exposure, wanted)
        site = Site(record.friend, exposure, wanted.domain, seen)
        if dry_run:
            return self._rehearse(site, wanted.domain, deadline)
        published = self.publisher.put_up(record.friend, exposure, wanted.domain, deadline)
        site = replace(site, exposure=published.exposure)
        checked = self._check(site, [published.record], published.route)
        self.store.record_checks(checked)
        return checked

    def _build(self, record: FriendRecord, wanted: ExposeRequest) -> Exposure:
        before = record.exposure_of(wanted.name)
        if before is not None and before.domain != wanted.domain.name:
            raise exposure_elsewhere()
        if before is None and len(record.exposures) >= MOST_EXPOSURES:
            msg = f"A friend may have {MOST_EXPOSURES} exposures. Delete one that is not needed."
            raise Conflict(msg, code="too_many_exposures")
        friend = record.friend
        return Exposure(
            name=wanted.name,
            friend_id=friend.id,
            uid=friend.uid,
            hostname=hostname_of(wanted.name, friend.id, wanted.domain.name),
            service=wanted.service,
            port=wanted.port,
            domain=wanted.domain.name,
            created_at=before.created_at if before else timestamp(self.now()),
            record_id=before.record_id if before else None,
        )

    def _rehearse(self, site: Site, domain: Domain, deadline: Deadline) -> Exposure:
        """Have everybody judge the exposure, and change nothing."""
        exposure = site.exposure
        self.store.require_claimable(exposure, self.now().timestamp())
        is_recorded(self.dns, exposure, domain, deadline)
        cluster = self.clusters.open(site.friend.cluster, deadline)
        route = build_ingress_route(site.friend, exposure)
        judged = cluster.apply(route, force=True, dry_run=True).manifest
        planned = Record("planned", build_record(exposure, domain))
        return self._check(site, [planned], judged)

    def _look(self, record: FriendRecord, deadline: Deadline) -> list[Exposure]:
        friend = record.friend
        cluster = self.clusters.open(friend.cluster, deadline)
        policy_ref = ObjectRef(kinds.NETWORK_POLICY, NETWORK_POLICY_NAME, friend.namespace)
        listed = [partial(cluster.list_all, kind, friend.namespace) for kind in _LOOKED_AT]
        in_use = {exposure.domain for exposure in record.exposures}
        zones = sorted({each.zone_id for each in self.domains if each.name in in_use})
        owned = [
            partial(self.dns.list_owned, zone, owner_of(friend.uid, ""), deadline) for zone in zones
        ]
        reads: list[Callable[[], list[Any]]] = [
            *listed,
            partial(get_as_list, cluster, policy_ref),
            *owned,
        ]
        services, routes, pods, policies, *records = side_by_side(reads)
        by_name = {each["metadata"]["name"]: each for each in services}
        routes_by_name = {each["metadata"]["name"]: each for each in routes}
        held = self._records_of(record, [each for zone in records for each in zone], deadline)
        policy = next(iter(policies), None)
        return [
            self._check(
                Site(
                    friend,
                    exposure,
                    self.publisher.configured(exposure),
                    Seen(by_name.get(exposure.service), pods, policy),
                ),
                held[exposure.hostname],
                routes_by_name.get(route_name(exposure)),
            )
            for exposure in record.exposures
        ]

    def _records_of(
        self, record: FriendRecord, owned: Sequence[Record], deadline: Deadline
    ) -> dict[str, list[Record]]:
        """Return the records of each host name, of those that are the friend's.

        Where these are not as they should be, whoever's: somebody else's may be in the way.
        """
        by_name = {
            exposure.hostname: [each for each in owned if each.spec.name == exposure.hostname]
            for exposure in record.exposures
        }
        looks = {}
        for exposure in record.exposures:
            name, domain = exposure.hostname, self.publisher.configured(exposure)
            if domain is None:
                continue
            plan = plan_record(by_name[name], build_record(exposure, domain), exposure.record_id)
            if not plan.is_settled:
                looks[name] = partial(self.dns.find, domain.zone_id, name, deadline)
        found = side_by_side(list(looks.values()))
        return by_name | dict(zip(looks, found, strict=True))

    def _check(self, site: Site, records: Sequence[Record], route: JsonObject | None) -> Exposure:
        """Return the exposure with what is to be said of it now."""
        with well_formed():
            checks = check_exposure(
                site.exposure,
                site.domain,
                records=records,
                route=route,
                service=site.seen.service,
                pods=site.seen.pods,
                policy=site.seen.policy,
                layout=self.layout,
            )
        return replace(site.exposure, checks=checks, checked_at=timestamp(self.now()))


def _see(cluster: Cluster, friend: Friend, exposure: Exposure, wanted: ExposeRequest) -> Seen:
    """Return what the namespace holds of the exposure's concern, read side by side.

    Raises NotFound for a Service or a port that is not there.
    """
    inside = friend.namespace
    refs = (
        ObjectRef(kinds.NAMESPACE, inside),
        ObjectRef(kinds.SERVICE, wanted.service, inside),
        ObjectRef(kinds.NETWORK_POLICY, NETWORK_POLICY_NAME, inside),
        ObjectRef(kinds.INGRESS_ROUTE, route_name(exposure), inside),
    )
    reads = [partial(get_as_list, cluster, ref) for ref in refs]
    namespaces, services, policies, routes, pods = side_by_side(
        [*reads, partial(cluster.list_all, kinds.POD, inside)]
    )
    if not namespaces:
        raise namespace_missing()
    require_ours(namespaces[0], friend)
    if routes and _labels(routes[0]).get(UID_LABEL) != friend.uid:
        raise route_not_ours(routes[0]["metadata"]["name"])
    service = next(iter(services), None)
    with well_formed():
        require_port(service, wanted)
    return Seen(service, pods, next(iter(policies), None))


def _labels(thing: JsonObject) -> JsonObject:
    return thing["metadata"].get("labels") or {}
