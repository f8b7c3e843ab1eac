"""An exposure's record and route: put up, brought back, taken down, under its host name's lease.

claim (who owns the name) ──▶ DNS record ──▶ IngressRoute
                 removal:      DNS record ──▶ IngressRoute ──▶ claim, kept as a tombstone for a TTL

Of two that are at work on one name, one wins and the other is told to try again. What a crash
leaves half done, a repeat finds and finishes. Requests, deletions and reconciliation run this code.
"""

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Domain, Record, WrongZone, is_within, owner_of
from chalicelib.domain.errors import ApiError, Conflict, UpstreamFailed
from chalicelib.domain.exposures import exposure_not_found
from chalicelib.domain.ingress_routes import build_ingress_route, route_name
from chalicelib.domain.kinds import ref_of
from chalicelib.domain.model import Exposure, Friend, JsonObject
from chalicelib.domain.ownership import is_of
from chalicelib.domain.plan import contains
from chalicelib.domain.record_plan import build_record, plan_record, plan_removal
from chalicelib.ports import (
    Clusters,
    Dns,
    ExposureStore,
    FriendStore,
    KindMissing,
    LeaseLost,
    RecordTaken,
)
from chalicelib.services.leases import Term, new_term

_log = logging.getLogger(__name__)

# Cloudflare's automatic TTL is 300 s. Source: developers.cloudflare.com/dns, "Time to Live".
_TOMBSTONE_SECONDS: Final = 300
RECORD_NOT_OURS: Final = "record_not_ours"
ROUTE_NOT_OURS: Final = "route_not_ours"
_CANNOT_BE_HAD: Final = frozenset({RECORD_NOT_OURS, WrongZone.default_code})
# The lease outlasts the last call that is made under it, and recording how it went.
_SLACK_SECONDS: Final = 8
_TRIES: Final = 3


@dataclass(frozen=True)
class Published:
    """An exposure that is up, with its record and its route as they are."""

    exposure: Exposure
    record: Record
    route: JsonObject


@dataclass(frozen=True)
class Publisher:
    """Works on one exposure at a time."""

    friends: FriendStore
    store: ExposureStore
    clusters: Clusters
    dns: Dns
    domains: tuple[Domain, ...]
    now: Callable[[], datetime]

    def put_up(
        self, friend: Friend, exposure: Exposure, domain: Domain, deadline: Deadline
    ) -> Published:
        """Claim the name, then make the record, then the route. Safe to repeat.

        Raises StaleVersion when the friend is gone or being deleted, and Conflict for a name that
        is another friend's, a record that is not ours, or while another is at work on it.
        """
        term = new_term(uuid.uuid4().hex, self.now)
        with self._holding(exposure, term):
            self.store.claim(friend, exposure, term.lease, self.now().timestamp())
            bounded = term.bound(deadline, slack_seconds=_SLACK_SECONDS)
            try:
                kept = self._converge_record(exposure, domain, bounded)
            except (Conflict, WrongZone) as error:
                if error.code in _CANNOT_BE_HAD and exposure.record_id is None:
                    # The name cannot be had, and there never was a record of ours to remember.
                    free_at = self.now().timestamp()
                    _hand_in(partial(self.store.forget, exposure, term.owner, free_at))
                raise
            exposure = replace(exposure, record_id=kept.id)
            route = self._apply_route(friend, exposure, bounded)
        _hand_in(partial(self.store.settle, exposure, term.owner))
        return Published(exposure, kept, route)

    def take_down(self, friend: Friend, exposure: Exposure, deadline: Deadline) -> None:
        """Remove an exposure's record, route and row; leave the claim for a TTL. Safe to repeat.

        Raises NotFound when the exposure is gone, and Conflict while another is at work on it.
        """
        domain = self.domain_of(exposure)
        term = new_term(uuid.uuid4().hex, self.now)
        with self._holding(exposure, term):
            self.store.lock(exposure, term.lease, self.now().timestamp())
            bounded = term.bound(deadline, slack_seconds=_SLACK_SECONDS)
            self._remove(friend, exposure, domain, bounded)
        free_at = self.now().timestamp() + _TOMBSTONE_SECONDS
        _hand_in(partial(self.store.forget, exposure, term.owner, free_at))

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
        domain = self.domain_of(exposure)
        differing = []
        if record_too and not is_recorded(self.dns, exposure, domain, deadline):
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
        term = new_term(uuid.uuid4().hex, self.now)
        with self._holding(exposure, term):
            self.store.lock(exposure, term.lease, self.now().timestamp())
            # A request may have changed the row before the lease was ours.
            record = self.friends.load(friend.id)
            current = None if record is None else record.exposure_of(exposure.name)
            if current is None or current.uid != exposure.uid:
                raise exposure_not_found()
            bounded = term.bound(deadline, slack_seconds=_SLACK_SECONDS)
            if record_too:
                require_zone(self.dns, domain, bounded)
                kept = self._converge_record(current, domain, bounded)
                current = replace(current, record_id=kept.id)
            self._apply_route(friend, current, bounded)
        _hand_in(partial(self.store.settle, current, term.owner))

    def _is_routed(self, friend: Friend, exposure: Exposure, deadline: Deadline) -> bool:
        route = build_ingress_route(friend, exposure)
        found = self.clusters.open(friend.cluster, deadline).get(ref_of(route))
        if found is not None and not is_of(found, friend):
            raise route_not_ours(route_name(exposure))
        return found is not None and contains(found, route)

    def configured(self, exposure: Exposure) -> Domain | None:
        """Return the exposure's domain, or None when it is not configured any more."""
        return next((each for each in self.domains if each.name == exposure.domain), None)

    def domain_of(self, exposure: Exposure) -> Domain:
        """Return the exposure's domain. Raises UpstreamFailed when it is not configured now."""
        domain = self.configured(exposure)
        if domain is None:
            msg = (
                "The exposure's domain is not configured any more, so its record is out of reach. "
                "Ask an admin to configure the domain again."
            )
            raise UpstreamFailed(msg, code="dns_misconfigured")
        return domain

    @contextmanager
    def _holding(self, exposure: Exposure, term: Term) -> Iterator[None]:
        """Give the lease back when the work under it, or taking it, fails: it may be ours."""
        try:
            yield
        except Exception:
            self._release(exposure, term)
            raise

    def _release(self, exposure: Exposure, term: Term) -> None:
        try:
            self.store.release(exposure, term.owner)
        except ApiError as error:
            # What went wrong first is what the caller has to know; the lease runs out by itself.
            _log.warning("a lease was left to run out", extra={"code": error.code})

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
        self._remove_misnamed(exposure, domain, deadline)
        msg = "Others keep changing the DNS records of this host name. Try again."
        raise Conflict(msg, code="record_busy", retry_after_seconds=2)

    def _apply_route(self, friend: Friend, exposure: Exposure, deadline: Deadline) -> JsonObject:
        cluster = self.clusters.open(friend.cluster, deadline)
        return cluster.apply(build_ingress_route(friend, exposure), force=True).manifest

    def _remove(
        self, friend: Friend, exposure: Exposure, domain: Domain, deadline: Deadline
    ) -> None:
        # Out of traffic first: a name never points at what is no longer there.
        found = self._owned(exposure, domain, deadline)
        if not found and exposure.record_id is not None:
            # Gone, or where it cannot be seen.
            require_zone(self.dns, domain, deadline)
        for record in found:
            self.dns.delete(domain.zone_id, record.id, deadline)
        cluster = self.clusters.open(friend.cluster, deadline)
        ref = ref_of(build_ingress_route(friend, exposure))
        try:
            route = cluster.get(ref)
        except KindMissing:
            # The routes went with their definition.
            return
        if route is not None and is_of(route, friend):
            cluster.delete(ref, seen=route)

    def _remove_misnamed(self, exposure: Exposure, domain: Domain, deadline: Deadline) -> None:
        """Delete what a try whose answer was lost has made under a longer name; raise WrongZone."""
        name = exposure.hostname
        for record in self._owned(exposure, domain, deadline):
            if record.spec.name != name:
                self.dns.delete(domain.zone_id, record.id, deadline)
                raise WrongZone(domain.name, record.spec.name.removeprefix(f"{name}."))

    def _owned(self, exposure: Exposure, domain: Domain, deadline: Deadline) -> tuple[Record, ...]:
        owner = owner_of(exposure.uid, exposure.name)
        found = self.dns.list_owned(domain.zone_id, owner, deadline)
        return plan_removal(found, owner, exposure.hostname)


def require_zone(dns: Dns, domain: Domain, deadline: Deadline) -> None:
    """Insist that the zone can hold the domain's names, as far as the token may know its name.

    Raises WrongZone.
    """
    zone = dns.zone_name(domain.zone_id, deadline)
    if zone is not None and not is_within(domain.name, zone):
        raise WrongZone(domain.name, zone)


def is_recorded(dns: Dns, exposure: Exposure, domain: Domain, deadline: Deadline) -> bool:
    """Tell whether the zone holds the exposure's record, and the row its id. Changes nothing.

    Raises Conflict for a record that is not ours.
    """
    found = dns.find(domain.zone_id, exposure.hostname, deadline)
    plan = plan_record(found, build_record(exposure, domain), exposure.record_id)
    if plan.foreign:
        raise _record_not_ours(exposure)
    return plan.is_settled_as(exposure.record_id)


def route_not_ours(name: str) -> Conflict:
    """Return the answer to a route of that name that is somebody else's."""
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


def _hand_in(write: Callable[[], None]) -> None:
    try:
        write()
    except LeaseLost as error:
        msg = "This took so long that another request took the exposure over. Look at it again."
        raise Conflict(msg, code="exposure_busy", retry_after_seconds=2) from error
