"""Orphans: things of the API's that no row asks for. Deleted where the table proves it.

An orphan is what a crash between two steps leaves: a namespace that was made while its friend was
being deleted, the record of an exposure that is gone. It is deleted only when this table proves
that it was deleted (services/evidence). That nothing recorded wants it was read from an index, so
the rows are read again before anything is deleted; and where many would go, none does.

Everything else that looks like ours is left, and told as one finding for each kind and place: as
refused where it may be ours, because a table that was emptied or restored has to be noticed; as
unproved where it is most likely another stage's, because beside another stage that is no fault.
What raises at the other look is left alone, and the other orphans are none the worse for it.
"""

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, Generic, TypeVar

from chalicelib.domain import kinds
from chalicelib.domain.claims import claims_of
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Domain, Record, owner_of
from chalicelib.domain.evidence import RemovedExposure
from chalicelib.domain.ingress_routes import route_name_of
from chalicelib.domain.kinds import ObjectRef
from chalicelib.domain.model import FriendRecord, Lease, NameClaim, namespace_of
from chalicelib.domain.namespace import UID_LABEL
from chalicelib.domain.reconciliation import (
    Finding,
    Findings,
    deletions_refused,
    most_deletions,
    orphans_unproved,
)
from chalicelib.ports import (
    Clusters,
    FriendStore,
    Inventory,
    ProfileFate,
    StoredProfile,
    Workspace,
)
from chalicelib.services.attempting import attempt
from chalicelib.services.evidence import Evidence
from chalicelib.services.observation import ClusterView, Stray
from chalicelib.services.zones import Zones, ZoneView

T = TypeVar("T")

# A removal is held for longer than the calls may take that go by it.
_SLACK_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Collecting:
    """What one run's garbage collection goes by.

    friends are those who are recorded. remains are other ids of which this deployment's own table
    or workspace still holds something: they may have been ours. damaged_ids are those of whom a row
    cannot be read: nothing of theirs is touched, and the damaged row has a finding of its own.
    """

    evidence: Evidence
    friends: Mapping[str, FriendRecord]
    remains: Collection[str]
    damaged_ids: Collection[str]
    findings: Findings
    deadline: Deadline
    dry_run: bool

    def may_be_ours(self, friend_id: str) -> bool:
        """Tell whether something of this friend may be this deployment's."""
        return friend_id in self.friends or friend_id in self.remains

    def is_recorded(self, friend_id: str, uid: str) -> bool:
        """Tell whether this registration of the friend is recorded."""
        record = self.friends.get(friend_id)
        return record is not None and record.friend.uid == uid


@dataclass(frozen=True)
class _Orphan(Generic[T]):
    """A thing that nothing recorded wants. name is what a person finds it by."""

    thing: T
    friend_id: str
    name: str
    is_proved: bool
    may_be_ours: bool = True


@dataclass(frozen=True)
class _Hold:
    """The removals that a deletion goes by: what is held is not published meanwhile."""

    inventory: Inventory
    lease: Lease
    now: float
    held: list[RemovedExposure] = field(default_factory=list)

    def take(self, removals: Sequence[RemovedExposure]) -> bool:
        """Hold them; tell whether all are held, so that they are true until the lease ends."""
        for removed in removals:
            if not self.inventory.hold_removed(removed, self.lease, self.now):
                return False
            self.held.append(removed)
        return True


@dataclass(frozen=True)
class Sweeper:
    """Deletes orphans."""

    friends: FriendStore
    inventory: Inventory
    clusters: Clusters
    workspace: Workspace
    zones: Zones
    now: Callable[[], datetime]

    def sweep_claims(self, strays: Sequence[NameClaim], count: int, run: Collecting) -> None:
        """Give up the claims of names that no recorded friend wants, out of so many claims."""
        orphans = [
            _Orphan(each, each.friend_id, f"{each.kind} {each.name}", _is_claim_proved(each, run))
            for each in strays
        ]
        for claim in _collectable("claims of names", orphans, count, self._is_unclaimed, run):
            sweep = partial(self._drop_claim, claim, run)
            attempt(run.findings, sweep, of=claim.friend_id)

    def _is_unclaimed(self, claim: NameClaim) -> bool:
        record = self.friends.load(claim.friend_id)
        # Which name a damaged exposure has, nobody can tell.
        return record is None or not (
            record.damaged or claim in claims_of(record.friend, record.exposures)
        )

    def _drop_claim(self, claim: NameClaim, run: Collecting) -> None:
        if run.dry_run or self.inventory.drop(claim, self.now().timestamp()):
            what = f"claim of {claim.kind} {claim.name} given up"
            _note(run.findings, claim.friend_id, what)

    def sweep_cluster(self, cluster: str, view: ClusterView, run: Collecting) -> None:
        """Delete the cluster's orphaned routes, then its orphaned namespaces."""
        routes = [
            _Orphan(
                each,
                each.friend_id,
                f"{each.route} in {namespace_of(each.friend_id)}",
                run.evidence.is_route_removed(each.uid, str(each.route)),
            )
            for each in view.stray_routes
        ]
        namespaces = [
            _Orphan(
                each,
                each.friend_id,
                namespace_of(each.friend_id),
                run.evidence.is_deleted(each.friend_id, each.uid),
                may_be_ours=run.may_be_ours(each.friend_id),
            )
            for each in view.stray_namespaces
        ]
        # One in a recorded friend's way is told with what it keeps from being made.
        namespaces = [
            each
            for each in namespaces
            if each.is_proved or not _lives_in(cluster, run.friends.get(each.friend_id))
        ]
        for what, orphans, count in (
            (f"routes in {cluster}", routes, view.routes),
            (f"namespaces in {cluster}", namespaces, view.namespaces),
        ):
            for stray in _collectable(what, orphans, count, self._is_unwanted, run):
                delete = partial(self._delete, cluster, stray, run)
                if attempt(run.findings, delete, of=stray.friend_id):
                    ref = _ref_of(stray)
                    _note(run.findings, stray.friend_id, f"{ref.kind.name} {ref.name} deleted")

    def sweep_profiles(self, strays: Sequence[StoredProfile], count: int, run: Collecting) -> None:
        """Delete the profiles of friends who were deleted.

        The workspace is this deployment's alone, so that any other profile there is a loss of ours.
        """
        strays = [each for each in strays if each.friend_id not in run.damaged_ids]
        proved = [each for each in strays if run.evidence.registrations_of(each.friend_id)]
        left = [each for each in strays if each not in proved]
        looked_at: list[StoredProfile] = []
        if len(left) <= most_deletions(count):
            # What the API did not write at all is told by another name.
            looked_at, left = left, []
        if _may_delete("profiles", len(proved), count - len(left) - len(looked_at), run.findings):
            looked_at += proved
        for stored in looked_at:
            sweep = partial(self._sweep_profile, stored, run)
            if attempt(run.findings, sweep, of=stored.friend_id) is ProfileFate.UNPROVED:
                left.append(stored)
        ids = [each.friend_id for each in left]
        names = [f"friends/{friend_id}/profile.json" for friend_id in ids]
        _report_refused("profiles in the workspace", names, ids, run.findings)

    def _sweep_profile(self, stored: StoredProfile, run: Collecting) -> ProfileFate:
        friend_id = stored.friend_id
        if self.friends.load(friend_id) is not None:
            return ProfileFate.GONE
        registrations = run.evidence.registrations_of(friend_id)
        fate = self.workspace.drop_profile(stored, registrations, dry_run=run.dry_run)
        if fate is ProfileFate.DELETED:
            _note(run.findings, friend_id, "profile.json deleted")
        elif fate is ProfileFate.NOT_OURS:
            sentence = f"friends/{friend_id}/profile.json is not the API's; it is left alone."
            run.findings.refused.append(Finding(friend_id, sentence, "profile_not_ours"))
        return fate

    def sweep_records(self, domain: Domain, view: ZoneView, run: Collecting) -> frozenset[Record]:
        """Delete the zone's records of exposures that are gone, in one batch; return them."""
        orphans = [_orphaned_record(each, domain, run) for each in view.strays]
        # One in the way of a wanted record is told with that.
        orphans = [each for each in orphans if each.is_proved or each.name not in view.wanted_names]
        what = f"DNS records of {domain.name}"
        with self._holding(run) as hold:
            is_stray = partial(self._is_stray, domain, run, hold)
            strays = _collectable(what, orphans, view.ours, is_stray, run)
            if strays and not run.dry_run:
                self.zones.delete(domain, strays, run.deadline)
        for record in strays:
            _note(run.findings, None, f"DNS record {record.spec.name} deleted")
        return frozenset(strays)

    @contextmanager
    def _holding(self, run: Collecting) -> Iterator[_Hold]:
        """Yield what holds removals until the block ends."""
        now = self.now().timestamp()
        until = now + max(0.0, run.deadline.remaining_seconds) + _SLACK_SECONDS
        hold = _Hold(self.inventory, Lease(uuid.uuid4().hex, int(until)), now)
        try:
            yield hold
        finally:
            for removed in hold.held:
                release = partial(self.inventory.release_removed, removed, hold.lease.owner)
                attempt(run.findings, release, of=removed.friend_id)

    def _is_stray(self, domain: Domain, run: Collecting, hold: _Hold, record: Record) -> bool:
        """Tell whether no exposure of that name and owner is there by now, and the record is.

        What proves that it was removed is held first: it is not put up after this look.
        """
        exposure_name = record.exposure_name
        hostname, uid = record.spec.name, record.owner_uid
        removals = run.evidence.removals_of_record(hostname, uid, exposure_name)
        if not (run.dry_run or hold.take(removals)):
            return False
        found = self.friends.load(_owner_of(record, domain))
        if found and owner_of(found.friend.uid, exposure_name) == record.spec.comment:
            exposure = found.exposure_of(exposure_name)
            # Which host name a damaged one has, nobody can tell.
            is_wanted = exposure is None or exposure.hostname == record.spec.name
            if is_wanted and exposure_name in found.exposed_names:
                return False
        return self.zones.is_unchanged(domain, record, run.deadline)

    def _is_unwanted(self, stray: Stray) -> bool:
        record = self.friends.load(stray.friend_id)
        if record is None or record.friend.uid != stray.uid:
            return True
        return stray.route is not None and not _has_route(record, stray.route)

    def _delete(self, cluster_name: str, stray: Stray, run: Collecting) -> bool:
        """Delete the orphan, if it is still that owner's; tell whether it was there.

        The rows are read after the object, and while its removal is held: who puts it up on another
        domain meanwhile changes it, and what is deleted is what was seen.
        """
        cluster = self.clusters.open(cluster_name, run.deadline)
        ref, removals = _ref_of(stray), list[RemovedExposure]()
        if stray.route is not None:
            removals += run.evidence.removals_of_route(stray.uid, stray.route)
        with self._holding(run) as hold:
            if not (run.dry_run or hold.take(removals)):
                return False
            found = cluster.get(ref)
            if found is None or (found["metadata"].get("labels") or {}).get(UID_LABEL) != stray.uid:
                return False
            if not self._is_unwanted(stray):
                return False
            return run.dry_run or cluster.delete(ref, seen=found)


def _collectable(
    what: str,
    orphans: Sequence[_Orphan[T]],
    observed: int,
    is_orphan: Callable[[T], bool],
    run: Collecting,
) -> list[T]:
    """Return those that may be deleted: proved, few, and orphans at another look. Tell the others.

    observed is how many of the kind there are.
    """

    def is_still(orphan: _Orphan[T]) -> bool:
        return attempt(run.findings, partial(is_orphan, orphan.thing), of=orphan.friend_id) or False

    orphans = [each for each in orphans if each.friend_id not in run.damaged_ids]
    proved = [each for each in orphans if each.is_proved]
    left = [each for each in orphans if not each.is_proved]
    ours = [each for each in left if each.may_be_ours]
    others = [each for each in left if not each.may_be_ours]
    if len(ours) <= most_deletions(observed):
        # A friend may have registered since the rows were read. So many at once have not.
        ours = [each for each in ours if is_still(each)]
    _report_refused(
        what, [each.name for each in ours], [each.friend_id for each in ours], run.findings
    )
    if others:
        names, ids = [each.name for each in others], {each.friend_id for each in others}
        run.findings.unproved.append(orphans_unproved(what, names, ids))
        run.findings.orphans += len(others)
    if not _may_delete(what, len(proved), observed - len(left), run.findings):
        return []
    return [each.thing for each in proved if is_still(each)]


def _report_refused(
    what: str, names: Sequence[str], friend_ids: Sequence[str], findings: Findings
) -> None:
    if names:
        findings.refused.append(orphans_unproved(what, names, set(friend_ids)))
        findings.orphans += len(names)


def _is_claim_proved(claim: NameClaim, run: Collecting) -> bool:
    if run.evidence.is_deleted(claim.friend_id, claim.uid):
        return True
    if claim.kind == "host":
        return run.evidence.is_record_removed(claim.name, claim.uid, str(claim.exposure))
    # The friend's own row says which platform ids are theirs, and nothing outside hangs on it.
    return run.is_recorded(claim.friend_id, claim.uid)


def _orphaned_record(record: Record, domain: Domain, run: Collecting) -> _Orphan[Record]:
    friend_id, uid = _owner_of(record, domain), record.owner_uid
    hostname, exposure = record.spec.name, record.exposure_name
    is_proved = run.evidence.is_record_removed(hostname, uid, exposure) or run.evidence.is_deleted(
        friend_id, uid
    )
    return _Orphan(record, friend_id, hostname, is_proved, run.may_be_ours(friend_id))


def _lives_in(cluster: str, record: FriendRecord | None) -> bool:
    return record is not None and record.friend.cluster == cluster


def _has_route(record: FriendRecord, route: str) -> bool:
    return any(route_name_of(name) == route for name in record.exposed_names)


def _owner_of(record: Record, domain: Domain) -> str:
    label = record.spec.name.removesuffix(f".{domain.name}")
    return label.removeprefix(f"{record.exposure_name}-")


def _ref_of(stray: Stray) -> ObjectRef:
    namespace = namespace_of(stray.friend_id)
    if stray.route is None:
        return ObjectRef(kinds.NAMESPACE, namespace)
    return ObjectRef(kinds.INGRESS_ROUTE, stray.route, namespace)


def _may_delete(what: str, planned: int, observed: int, findings: Findings) -> bool:
    if planned <= most_deletions(observed):
        return True
    findings.refused.append(deletions_refused(what, planned, observed))
    return False


def _note(findings: Findings, friend_id: str | None, what: str) -> None:
    findings.repaired.append(Finding(friend_id, what, "deleted"))
