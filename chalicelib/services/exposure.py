"""A friend's service on the public web: claim, record, route; and back again, in the other order.

claim (who owns the name) ──▶ DNS record ──▶ IngressRoute
                 removal:      DNS record ──▶ IngressRoute ──▶ claim, kept as a tombstone for a TTL

All of it runs under the host name's lease, so that of two that are at work on one name, one wins
and the other is told to try again. What a crash leaves half done, a repeat finds and finishes.
"""

import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from chalicelib.domain import kinds
from chalicelib.domain.backends import require_port
from chalicelib.domain.checks import Check, check_exposure
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Domain, Record, owner_of
from chalicelib.domain.errors import ApiError, Conflict, UpstreamFailed
from chalicelib.domain.exposures import (
    ExposeRequest,
    exposure_elsewhere,
    exposure_not_found,
    hostname_of,
)
from chalicelib.domain.ingress_routes import build_ingress_route, route_name
from chalicelib.domain.kinds import ObjectRef, ref_of
from chalicelib.domain.model import Exposure, Friend, FriendRecord, JsonObject, Lease, Principal
from chalicelib.domain.namespace import NETWORK_POLICY_NAME, UID_LABEL, ClusterLayout
from chalicelib.domain.plan import (
    contains,
    is_of,
    namespace_missing,
    require_ours,
    require_staying,
)
from chalicelib.domain.record_plan import build_record, plan_record, plan_removal
from chalicelib.domain.summaries import well_formed
from chalicelib.domain.timestamps import timestamp
from chalicelib.ports import Cluster, Clusters, Dns, ExposureStore, LeaseLost, RecordTaken
from chalicelib.services.access import Access
from chalicelib.services.concurrency import side_by_side
from chalicelib.services.execution import LEASE_SECONDS, new_lease
from chalicelib.services.reads import get_as_list
from chalicelib.services.stale import retry_stale

_log = logging.getLogger(__name__)

MOST_EXPOSURES: Final = 20
# Cloudflare's automatic TTL is 300 s. Source: developers.cloudflare.com/dns, "Time to Live".
_TOMBSTONE_SECONDS: Final = 300
RECORD_NOT_OURS: Final = "record_not_ours"
ROUTE_NOT_OURS: Final = "route_not_ours"
_LOOKED_AT: Final = (kinds.SERVICE, kinds.INGRESS_ROUTE, kinds.POD)
# The lease outlasts the last call that is made under it, and recording how it went.
_SLACK_SECONDS: Final = 8
_TRIES: Final = 3


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
class Exposed:
    """An exposure, and whether it works."""

    exposure: Exposure
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Exposures:
    """What a request can do with exposures."""

    access: Access
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
    ) -> Exposed:
        """Put a service on the web under the friend's own name. Safe to repeat.

        Raises NotFound for a service or port that is not there, and Conflict for a name that is
        another friend's, a record that is not ours, or while another request is at work on it.
        """
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
            self._domain_of(exposure)
            self.store.require_claimable(exposure, self.now().timestamp())
            return
        self.take_down(record.friend, exposure, deadline)

    def take_down(self, friend: Friend, exposure: Exposure, deadline: Deadline) -> None:
        """Remove an exposure's record, route and row; leave the claim for a TTL. Safe to repeat.

        Raises NotFound when the exposure is gone, and Conflict while another is at work on it.
        """
        domain = self._domain_of(exposure)
        lease = new_lease(uuid.uuid4().hex, self.now)
        with self._holding(exposure, lease):
            self.store.lock(exposure, lease, self.now().timestamp())
            bounded = deadline.within(LEASE_SECONDS - _SLACK_SECONDS)
            self._take_down(friend, exposure, domain, bounded)
        free_at = self.now().timestamp() + _TOMBSTONE_SECONDS
        self._hand_in(partial(self.store.forget, exposure, lease.owner, free_at))

    def restore(
        self,
        friend: Friend,
        exposure: Exposure,
        deadline: Deadline,
        *,
        record_too: bool,
        dry_run: bool,
    ) -> list[str]:
        """Bring an exposure's route, and its record if asked, back to what the row says.

        Returns what differed. Safe to repeat: looking alone takes no lease and writes nothing.
        Raises Conflict for what is not ours, and while a request is at work on the exposure.
        """
        domain = self._domain_of(exposure)
        differing = []
        if record_too and not self._is_recorded(exposure, domain, deadline):
            differing.append(f"DNS record {exposure.hostname}")
        if not self._is_routed(friend, exposure, deadline):
            differing.append(f"IngressRoute {route_name(exposure)}")
        if differing and not dry_run:
            self._restore(friend, exposure, domain, deadline, record_too=record_too)
        return differing

    def _restore(
        self,
        friend: Friend,
        exposure: Exposure,
        domain: Domain,
        deadline: Deadline,
        *,
        record_too: bool,
    ) -> None:
        lease = new_lease(uuid.uuid4().hex, self.now)
        with self._holding(exposure, lease):
            self.store.lock(exposure, lease, self.now().timestamp())
            # A request may have changed the row before the lease was ours.
            record = self.access.friends.load(friend.id)
            current = None if record is None else record.exposure_of(exposure.name)
            if current is None or current.uid != exposure.uid:
                raise exposure_not_found()
            bounded = deadline.within(LEASE_SECONDS - _SLACK_SECONDS)
            if record_too:
                kept = self._converge_record(current, domain, bounded)
                current = replace(current, record_id=kept.id)
            route = build_ingress_route(friend, current)
            self.clusters.open(friend.cluster, bounded).apply(route, force=True)
        self._hand_in(partial(self.store.settle, current, lease.owner))

    def _is_routed(self, friend: Friend, exposure: Exposure, deadline: Deadline) -> bool:
        route = build_ingress_route(friend, exposure)
        found = self.clusters.open(friend.cluster, deadline).get(ref_of(route))
        if found is not None and not is_of(found, friend):
            raise _route_not_ours(route_name(exposure))
        return found is not None and contains(found, route)

    def _is_recorded(self, exposure: Exposure, domain: Domain, deadline: Deadline) -> bool:
        found = self.dns.find(domain.zone_id, exposure.hostname, deadline)
        plan = plan_record(found, build_record(exposure, domain), exposure.record_id)
        if plan.foreign:
            raise _record_not_ours(exposure)
        return plan.kept is not None and plan.is_settled and plan.kept.id == exposure.record_id

    def list_all(self, principal: Principal, friend_id: str, deadline: Deadline) -> list[Exposed]:
        """Return the friend's exposures, and whether each works: all reads side by side."""
        record = self.access.load(principal, friend_id)
        if not record.exposures:
            return []
        return self._look(record, deadline)

    def _expose_once(
        self,
        principal: Principal,
        friend_id: str,
        wanted: ExposeRequest,
        deadline: Deadline,
        dry_run: bool,  # noqa: FBT001 - bound by position in partial
    ) -> Exposed:
        record = self.access.load(principal, friend_id)
        require_staying(record.friend)
        exposure = self._build(record, wanted)
        cluster = self.clusters.open(record.friend.cluster, deadline)
        seen = _see(cluster, record.friend, exposure, wanted)
        site = Site(record.friend, exposure, wanted.domain, seen)
        if dry_run:
            return self._rehearse(site, wanted.domain, deadline)
        lease = new_lease(uuid.uuid4().hex, self.now)
        with self._holding(exposure, lease):
            self.store.claim(record.friend, exposure, lease, self.now().timestamp())
            bounded = deadline.within(LEASE_SECONDS - _SLACK_SECONDS)
            try:
                exposed = self._put_up(site, wanted.domain, bounded)
            except Conflict as error:
                if error.code == RECORD_NOT_OURS and exposure.record_id is None:
                    # The name cannot be had, and there never was a record of ours to remember.
                    free_at = self.now().timestamp()
                    self._hand_in(partial(self.store.forget, exposure, lease.owner, free_at))
                raise
        self._hand_in(partial(self.store.settle, exposed.exposure, lease.owner))
        return exposed

    @contextmanager
    def _holding(self, exposure: Exposure, lease: Lease) -> Iterator[None]:
        """Give the lease back when the work under it, or taking it, fails: it may be ours."""
        try:
            yield
        except Exception:
            self._release(exposure, lease)
            raise

    def _release(self, exposure: Exposure, lease: Lease) -> None:
        try:
            self.store.release(exposure, lease.owner)
        except ApiError as error:
            # What went wrong first is what the caller has to know; the lease runs out by itself.
            _log.warning("a lease was left to run out", extra={"code": error.code})

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

    def _put_up(self, site: Site, domain: Domain, deadline: Deadline) -> Exposed:
        kept = self._converge_record(site.exposure, domain, deadline)
        cluster = self.clusters.open(site.friend.cluster, deadline)
        route = build_ingress_route(site.friend, site.exposure)
        applied = cluster.apply(route, force=True).manifest
        exposure = replace(site.exposure, record_id=kept.id)
        return Exposed(exposure, self._check(site, [kept], applied))

    def _rehearse(self, site: Site, domain: Domain, deadline: Deadline) -> Exposed:
        """Have everybody judge the exposure, and change nothing."""
        exposure = site.exposure
        self.store.require_claimable(exposure, self.now().timestamp())
        found = self.dns.find(domain.zone_id, exposure.hostname, deadline)
        if plan_record(found, build_record(exposure, domain), exposure.record_id).foreign:
            raise _record_not_ours(exposure)
        cluster = self.clusters.open(site.friend.cluster, deadline)
        route = build_ingress_route(site.friend, exposure)
        judged = cluster.apply(route, force=True, dry_run=True).manifest
        planned = Record("planned", build_record(exposure, domain))
        return Exposed(exposure, self._check(site, [planned], judged))

    def _converge_record(self, exposure: Exposure, domain: Domain, deadline: Deadline) -> Record:
        """Have the zone hold exactly our record of this name, and return it."""
        wanted = build_record(exposure, domain)
        for _ in range(_TRIES):
            found = self.dns.find(domain.zone_id, exposure.hostname, deadline)
            plan = plan_record(found, wanted, exposure.record_id)
            if plan.foreign:
                raise _record_not_ours(exposure)
            for record_id in plan.delete:
                self.dns.delete(domain.zone_id, record_id, deadline)
            if plan.kept is not None and plan.update is None:
                return plan.kept
            try:
                written = (
                    self.dns.create(domain.zone_id, wanted, deadline)
                    if plan.update is None
                    else self.dns.update(domain.zone_id, plan.update, deadline)
                )
            except RecordTaken:
                # Somebody was faster, or an earlier try of ours whose answer was lost.
                continue
            if written is not None:
                return written
        msg = "Others keep changing the DNS records of this host name. Try again."
        raise Conflict(msg, code="record_busy", retry_after_seconds=2)

    def _take_down(
        self, friend: Friend, exposure: Exposure, domain: Domain, deadline: Deadline
    ) -> None:
        # Out of traffic first: a name never points at what is no longer there.
        found = self.dns.find(domain.zone_id, exposure.hostname, deadline)
        owner = owner_of(exposure.uid, exposure.name)
        for record_id in plan_removal(found, owner):
            self.dns.delete(domain.zone_id, record_id, deadline)
        cluster = self.clusters.open(friend.cluster, deadline)
        ref = ref_of(build_ingress_route(friend, exposure))
        route = cluster.get(ref)
        if route is not None and _labels(route).get(UID_LABEL) == exposure.uid:
            cluster.delete(ref)

    def _look(self, record: FriendRecord, deadline: Deadline) -> list[Exposed]:
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
        held = [each for zone in records for each in zone]
        policy = next(iter(policies), None)
        return [
            Exposed(
                exposure,
                self._check(
                    Site(
                        friend,
                        exposure,
                        self._configured(exposure),
                        Seen(by_name.get(exposure.service), pods, policy),
                    ),
                    [each for each in held if each.spec.name == exposure.hostname],
                    routes_by_name.get(route_name(exposure)),
                ),
            )
            for exposure in record.exposures
        ]

    def _check(
        self, site: Site, records: Sequence[Record], route: JsonObject | None
    ) -> tuple[Check, ...]:
        with well_formed():
            return check_exposure(
                site.exposure,
                site.domain,
                records=records,
                route=route,
                service=site.seen.service,
                pods=site.seen.pods,
                policy=site.seen.policy,
                layout=self.layout,
            )

    def _configured(self, exposure: Exposure) -> Domain | None:
        return next((each for each in self.domains if each.name == exposure.domain), None)

    def _domain_of(self, exposure: Exposure) -> Domain:
        domain = self._configured(exposure)
        if domain is None:
            msg = (
                "The exposure's domain is not configured any more, so its record is out of reach. "
                "Ask an admin to configure the domain again."
            )
            raise UpstreamFailed(msg, code="dns_misconfigured")
        return domain

    @staticmethod
    def _hand_in(write: Callable[[], None]) -> None:
        try:
            write()
        except LeaseLost as error:
            msg = "This took so long that another request took the exposure over. Look at it again."
            raise Conflict(msg, code="exposure_busy", retry_after_seconds=2) from error


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
        raise _route_not_ours(routes[0]["metadata"]["name"])
    service = next(iter(services), None)
    with well_formed():
        require_port(service, wanted)
    return Seen(service, pods, next(iter(policies), None))


def _labels(thing: JsonObject) -> JsonObject:
    return thing["metadata"].get("labels") or {}


def _route_not_ours(name: str) -> Conflict:
    msg = (
        f"The friend's namespace holds an IngressRoute {name} that is not the API's, and it stays "
        "untouched. Choose another name, or ask an admin to remove that route."
    )
    return Conflict(msg, code=ROUTE_NOT_OURS)


def _record_not_ours(exposure: Exposure) -> Conflict:
    msg = (
        f"The zone holds a record for {exposure.hostname} that is not the API's, and it stays "
        "untouched. Choose another name, or ask an admin to remove that record."
    )
    return Conflict(msg, code=RECORD_NOT_OURS)
