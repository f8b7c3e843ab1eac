"""What is the API's and belongs to nobody: deleted a few at a time, after another look.

A stray is what a crash between two steps leaves: a namespace that was made while its friend was
being deleted, the record of an exposure that is gone. That nothing recorded wants it was read from
an index, so the rows are read again before anything is deleted; and where many would go, none does.
What raises at that look is left alone, and the other strays are none the worse for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from chalicelib.domain import kinds
from chalicelib.domain.claims import claims_of
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Domain, Record, owner_of
from chalicelib.domain.ingress_routes import route_name_of
from chalicelib.domain.kinds import ObjectRef
from chalicelib.domain.model import FriendRecord, NameClaim, namespace_of
from chalicelib.domain.namespace import UID_LABEL
from chalicelib.domain.reconciliation import (
    Finding,
    Findings,
    deletions_refused,
    most_deletions,
)
from chalicelib.ports import Clusters, FriendStore, Inventory, StoredProfile, Workspace
from chalicelib.services.attempting import attempt
from chalicelib.services.observation import ClusterView, Stray
from chalicelib.services.zones import Zones, ZoneView


@dataclass(frozen=True)
class Sweeper:
    """Deletes strays."""

    friends: FriendStore
    inventory: Inventory
    clusters: Clusters
    workspace: Workspace
    zones: Zones
    now: Callable[[], datetime]

    def sweep_claims(
        self, strays: Sequence[NameClaim], count: int, findings: Findings, *, dry_run: bool
    ) -> None:
        """Give up the claims of names that no recorded friend wants, out of so many claims."""
        if not _may_delete("claims of names", len(strays), count, findings):
            return
        for claim in strays:
            sweep = partial(self._sweep_claim, claim, findings, dry_run=dry_run)
            attempt(findings, sweep, of=claim.friend_id)

    def _sweep_claim(self, claim: NameClaim, findings: Findings, *, dry_run: bool) -> None:
        record = self.friends.load(claim.friend_id)
        # Which name a damaged exposure has, nobody can tell.
        if record is not None and (
            record.damaged or claim in claims_of(record.friend, record.exposures)
        ):
            return
        if dry_run or self.inventory.drop(claim, self.now().timestamp()):
            _note(findings, claim.friend_id, f"claim of {claim.kind} {claim.name} given up")

    def sweep_cluster(
        self,
        cluster: str,
        view: ClusterView,
        findings: Findings,
        deadline: Deadline,
        *,
        dry_run: bool,
    ) -> None:
        """Delete the cluster's stray routes, then its stray namespaces."""
        swept = (
            ("routes", view.stray_routes, view.routes),
            ("namespaces", view.stray_namespaces, view.namespaces),
        )
        for what, strays, count in swept:
            if not _may_delete(f"{what} in {cluster}", len(strays), count, findings):
                continue
            for stray in strays:
                delete = partial(self._delete_unwanted, cluster, stray, deadline, dry_run)
                if attempt(findings, delete, of=stray.friend_id):
                    ref = _ref_of(stray)
                    _note(findings, stray.friend_id, f"{ref.kind.name} {ref.name} deleted")

    def sweep_profiles(
        self, strays: Sequence[StoredProfile], count: int, findings: Findings, *, dry_run: bool
    ) -> None:
        """Delete the profiles of those who are nobody's friend any more."""
        if not _may_delete("profiles", len(strays), count, findings):
            return
        for stored in strays:
            sweep = partial(self._sweep_profile, stored, findings, dry_run=dry_run)
            attempt(findings, sweep, of=stored.friend_id)

    def _sweep_profile(self, stored: StoredProfile, findings: Findings, *, dry_run: bool) -> None:
        friend_id = stored.friend_id
        if self.friends.load(friend_id) is not None:
            return
        if self.workspace.drop_profile(stored, dry_run=dry_run):
            _note(findings, friend_id, "profile.json deleted")
        else:
            sentence = f"friends/{friend_id}/profile.json is not the API's; it is left alone."
            findings.refused.append(Finding(friend_id, sentence, "profile_not_ours"))

    def sweep_records(
        self,
        domain: Domain,
        view: ZoneView,
        findings: Findings,
        deadline: Deadline,
        *,
        dry_run: bool,
    ) -> frozenset[Record]:
        """Delete the zone's records of exposures that are gone, in one batch; return them."""
        if not _may_delete(f"DNS records of {domain.name}", len(view.strays), view.ours, findings):
            return frozenset()
        strays = []
        for each in view.strays:
            is_stray = partial(self._is_stray, each, domain, deadline)
            if attempt(findings, is_stray, of=_owner_of(each, domain)):
                strays.append(each)
        if strays and not dry_run:
            self.zones.delete(domain, strays, deadline)
        for record in strays:
            _note(findings, None, f"DNS record {record.spec.name} deleted")
        return frozenset(strays)

    def _is_stray(self, record: Record, domain: Domain, deadline: Deadline) -> bool:
        """Tell whether no exposure of that name and owner is there by now, and the record is."""
        name = _name_in(record)
        found = self.friends.load(_owner_of(record, domain))
        if found and owner_of(found.friend.uid, name) == record.spec.comment:
            exposure = found.exposure_of(name)
            # Which host name a damaged one has, nobody can tell.
            is_wanted = exposure is None or exposure.hostname == record.spec.name
            if is_wanted and name in found.exposed_names:
                return False
        return self.zones.is_unchanged(domain, record, deadline)

    def _delete_unwanted(
        self,
        cluster: str,
        stray: Stray,
        deadline: Deadline,
        dry_run: bool,  # noqa: FBT001 - a pass-through
    ) -> bool:
        return not self._is_wanted(stray) and self._delete(cluster, stray, deadline, dry_run)

    def _is_wanted(self, stray: Stray) -> bool:
        record = self.friends.load(stray.friend_id)
        if record is None or record.friend.uid != stray.uid:
            return False
        return stray.route is None or _has_route(record, stray.route)

    def _delete(
        self,
        cluster_name: str,
        stray: Stray,
        deadline: Deadline,
        dry_run: bool,  # noqa: FBT001 - a pass-through
    ) -> bool:
        """Delete the stray, if it is still that owner's; tell whether it was there."""
        cluster = self.clusters.open(cluster_name, deadline)
        ref = _ref_of(stray)
        found = cluster.get(ref)
        if found is None or (found["metadata"].get("labels") or {}).get(UID_LABEL) != stray.uid:
            return False
        return dry_run or cluster.delete(ref, seen=found)


def _has_route(record: FriendRecord, route: str) -> bool:
    return any(route_name_of(name) == route for name in record.exposed_names)


def _name_in(record: Record) -> str:
    return record.spec.comment.rpartition("/")[2]


def _owner_of(record: Record, domain: Domain) -> str:
    label = record.spec.name.removesuffix(f".{domain.name}")
    return label.removeprefix(f"{_name_in(record)}-")


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
