"""What all systems hold, looked at side by side and compared with what is recorded.

    look at clusters, claims, workspace, zones ──▶ what to do about each ──▶ done in one order

What differs for a friend becomes work; orphans that are proved to be deleted are garbage
collected; a zone's records are converged by batches. A system that cannot be read is left alone,
and does not delay the others: each has a time limit of its own.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

from chalicelib.domain.claims import claims_of
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Domain, Record, is_right_below
from chalicelib.domain.evidence import RemovedExposure
from chalicelib.domain.exposures import hostname_of
from chalicelib.domain.ingress_routes import route_name_of
from chalicelib.domain.model import DamagedRow, Exposure, FriendRecord, NameClaim, Phase
from chalicelib.domain.namespace import ClusterLayout
from chalicelib.domain.ownership import NAMESPACE_NOT_OURS
from chalicelib.domain.presentation import build_profile
from chalicelib.domain.reconciliation import Finding, Findings, Part, Work
from chalicelib.ports import Claims, Clusters, Inventory, StoredProfile, Workspace
from chalicelib.services.attempting import attempt
from chalicelib.services.concurrency import each_of
from chalicelib.services.evidence import Evidence
from chalicelib.services.observation import ClusterView, observe_cluster
from chalicelib.services.publishing import RECORD_NOT_OURS
from chalicelib.services.sweeping import Collecting, Sweeper
from chalicelib.services.zones import Zones, ZoneView, view_zone

T = TypeVar("T")

# What a system may take to be read, and again to have repaired what is not one friend's alone. Ten
# thousand friends are twenty pages of each kind; an invocation has 300 s.
_SYSTEM_SECONDS: Final = 120.0
# These say that nothing answers: another call would wait for the time-out again.
_NO_ANSWER: Final = frozenset({"cluster_unreachable", "cluster_unavailable", "out_of_time"})
_IN_CLUSTER: Final = (Part.NAMESPACE, Part.ROUTES, Part.RECORDS)
# Records of removals, so many of which a run forgets, and so many at once.
_MOST_FORGOTTEN: Final = 500
_AT_ONCE: Final = 8


@dataclass
class Pass:
    """What one pass knows and has found so far.

    evidence is None until the claims have been read: without it, nothing is proved. remains are ids
    of friends who are not recorded, and of whom the table or the workspace holds something.
    clusters and zones are what has been seen, by name: of a zone, its orphaned records.
    """

    deadline: Deadline
    dry_run: bool
    friends: dict[str, FriendRecord]
    damaged: list[DamagedRow] = field(default_factory=list)
    must_exist: bool = False
    findings: Findings = field(default_factory=Findings)
    work: Work = field(default_factory=Work)
    evidence: Evidence | None = None
    remains: set[str] = field(default_factory=set)
    clusters: dict[str, ClusterView] = field(default_factory=dict)
    zones: dict[str, Collection[Record]] = field(default_factory=dict)

    @property
    def system_deadline(self) -> Deadline:
        """The bound of what is done with one system, begun now."""
        return self.deadline.within(_SYSTEM_SECONDS)

    def collecting(self, evidence: Evidence) -> Collecting:
        """Return what garbage collection in one system goes by."""
        damaged_ids = {each.friend_id for each in self.damaged if each.friend_id is not None}
        return Collecting(
            evidence=evidence,
            friends=self.friends,
            remains=self.remains,
            damaged_ids=damaged_ids,
            findings=self.findings,
            deadline=self.system_deadline,
            dry_run=self.dry_run,
        )

    def attempt(self, what: str, step: Callable[[], T]) -> T | None:
        """Take a step; a system that cannot be read or written now is left alone."""
        return attempt(self.findings, step, what=what)


@dataclass(frozen=True)
class _Look:
    """What to do about what a system showed, and what kept it from being seen, if it was not.

    cluster is the name of the cluster, where it is one.
    """

    what: str
    act: Callable[[], None] | None
    findings: Findings
    cluster: str | None = None

    @property
    def has_no_answer(self) -> bool:
        """Whether the system hangs, or is not there."""
        return any(each.code in _NO_ANSWER for each in self.findings.failed)


@dataclass(frozen=True)
class _System:
    """A system that is to be looked at; look returns what to do about what it shows."""

    what: str
    look: Callable[[], Callable[[], None]]
    cluster: str | None = None

    def observe(self) -> _Look:
        """Look at it, side by side with others; nothing is done about it yet."""
        findings = Findings()
        act = attempt(findings, self.look, what=self.what)
        return _Look(self.what, act, findings, self.cluster)


@dataclass(frozen=True)
class Comparison:
    """Looks at all systems, and does what does not belong to one friend alone."""

    inventory: Inventory
    clusters: Clusters
    workspace: Workspace
    zones: Zones
    sweeper: Sweeper
    domains: tuple[Domain, ...]
    cluster_names: tuple[str, ...]
    layout: ClusterLayout
    now: Callable[[], datetime]

    def compare(self, here: Pass) -> None:
        """Look at everything, sweep and converge zones, and add the friends' work to the pass."""
        for look in self._look_at_everything(here):
            here.findings.add(look.findings)
            if look.act is not None:
                here.attempt(look.what, look.act)
            elif look.cluster is not None and look.has_no_answer:
                silent = _living_in(look.cluster, here.friends)
                here.work.leave_out(silent, _IN_CLUSTER)
        here.attempt("The claims of names", partial(self._forget_removed, here))

    def _look_at_everything(self, here: Pass) -> list[_Look]:
        """Read all systems at once, as one waits while another answers; what to do, in order."""
        zones = _exposures_by_domain(here.friends.values(), self.domains, here.findings)
        _tell_unconfigured(here.friends.values(), self.cluster_names, here.findings)
        systems = [
            _System("The claims of names", partial(self._look_at_claims, here)),
            *(
                _System(f"The cluster {name}", partial(self._look_at_cluster, here, name), name)
                for name in self.cluster_names
            ),
            _System("The workspace", partial(self._look_at_profiles, here)),
            *(
                _System(
                    f"The zone of {domain.name}",
                    partial(self._look_at_zone, here, domain, *exposures),
                )
                for domain, exposures in zones.items()
            ),
        ]
        return each_of(_System.observe, systems, at_once=len(systems))

    def _look_at_claims(self, here: Pass) -> Callable[[], None]:
        claims = self.inventory.claims(None, here.damaged)
        here.evidence = Evidence(self.inventory, claims.removed)
        here.remains.update(
            each.friend_id for each in claims.in_force if each.friend_id not in here.friends
        )
        return partial(self._compare_claims, here, claims)

    def _compare_claims(self, here: Pass, claims: Claims) -> None:
        wanted: set[NameClaim] = set()
        for friend_id, each in here.friends.items():
            names = partial(claims_of, each.friend, each.exposures)
            wanted |= attempt(here.findings, names, of=friend_id) or frozenset()
        lost = wanted.difference(claims.in_force)
        here.work.add({each.friend_id for each in lost}, Part.CLAIMS)
        # Without its claim, nobody may work at a host name: the zone's batch leaves it out.
        here.work.add({each.friend_id for each in lost if each.kind == "host"}, Part.RECORDS)
        strays = [each for each in claims.in_force if each not in wanted]
        if here.evidence is not None:
            run = here.collecting(here.evidence)
            self.sweeper.sweep_claims(strays, len(claims.in_force), run)

    def _look_at_cluster(self, here: Pass, name: str) -> Callable[[], None]:
        friends = _living_in(name, here.friends)
        cluster = self.clusters.open(name, here.system_deadline)
        view = observe_cluster(cluster, friends, self.layout)
        here.clusters[name] = view
        return partial(self._compare_cluster, here, name, friends, view)

    def _compare_cluster(
        self, here: Pass, name: str, friends: Mapping[str, FriendRecord], view: ClusterView
    ) -> None:
        here.work.add(view.drifted, Part.NAMESPACE)
        here.work.add(view.misrouted, Part.ROUTES)
        for friend_id in view.foreign:
            if friend_id not in friends:
                sentence = f"The namespace friend-{friend_id} lacks the API's labels: it stays."
                here.findings.refused.append(Finding(friend_id, sentence, NAMESPACE_NOT_OURS))
        if here.evidence is not None:
            self.sweeper.sweep_cluster(name, view, here.collecting(here.evidence))

    def _look_at_profiles(self, here: Pass) -> Callable[[], None]:
        sound, strays, count = set(), [], 0
        for stored in self.workspace.list_profiles():
            count += 1
            record = here.friends.get(stored.friend_id)
            if record is None:
                strays.append(stored)
            elif self.workspace.has_digest(stored, build_profile(record.friend)):
                sound.add(stored.friend_id)
        unsound = [
            friend_id
            for friend_id, record in here.friends.items()
            if record.friend.phase is not Phase.DELETING and friend_id not in sound
        ]
        here.remains.update(each.friend_id for each in strays)
        return partial(self._compare_profiles, here, unsound, strays, count)

    def _compare_profiles(
        self, here: Pass, unsound: Sequence[str], strays: Sequence[StoredProfile], count: int
    ) -> None:
        here.work.add(unsound, Part.PROFILE)
        if here.evidence is not None:
            self.sweeper.sweep_profiles(strays, count, here.collecting(here.evidence))

    def _look_at_zone(
        self,
        here: Pass,
        domain: Domain,
        staying: Sequence[Exposure],
        leaving: Sequence[Exposure],
    ) -> Callable[[], None]:
        others = [each.name for each in self.domains if each != domain]
        observed = [
            each
            for each in self.zones.observe(domain, here.system_deadline)
            # Domains may share a zone: what is on another of them is looked at with that one.
            if not any(is_right_below(each.spec.name, other) for other in others)
        ]
        view_of = partial(view_zone, domain, staying, leaving=leaving)
        return partial(self._compare_zone, here, domain, view_of, observed)

    def _compare_zone(
        self,
        here: Pass,
        domain: Domain,
        view_of: Callable[[Sequence[Record]], ZoneView],
        observed: Sequence[Record],
    ) -> None:
        view = view_of(observed)
        here.zones[domain.name] = view.strays
        swept: frozenset[Record] | None = None
        if here.evidence is not None:
            sweep = partial(
                self.sweeper.sweep_records, domain, view, here.collecting(here.evidence)
            )
            swept = here.attempt(f"The orphans of {domain.name}", sweep)
        if swept:
            # What stood in the way of a wanted record may be gone.
            view = view_of([each for each in observed if each not in swept])
        for exposure in view.blocked:
            sentence = f"{exposure.hostname} has a DNS record that is not this exposure's."
            found = Finding(exposure.friend_id, sentence, RECORD_NOT_OURS)
            here.findings.refused.append(found)
        done = (
            list(view.drifted)
            if here.dry_run
            else self.zones.converge(domain, view.drifted, here.system_deadline, here.findings)
        )
        for exposure in done:
            what = f"DNS record {exposure.hostname} restored"
            here.findings.repaired.append(Finding(exposure.friend_id, what, "restored"))

    def _forget_removed(self, here: Pass) -> None:
        """Forget the removals of which nothing was seen any more: the evidence has served."""
        evidence = here.evidence
        if here.dry_run or evidence is None:
            return
        moment = self.now().timestamp()
        due = [each for each in evidence.removed if each.free_at <= moment]
        over = [each for each in due if _is_over(each, here, evidence)]
        each_of(self.inventory.forget_removed, over[:_MOST_FORGOTTEN], at_once=_AT_ONCE)


def _is_over(removed: RemovedExposure, here: Pass, evidence: Evidence) -> bool:
    """Tell whether nothing is left of a removed exposure, or the friend's tombstone proves more."""
    record = here.friends.get(removed.friend_id)
    if record is None or record.friend.uid != removed.uid:
        return evidence.is_deleted(removed.friend_id, removed.uid)
    view = here.clusters.get(record.friend.cluster)
    zone = next((name for name in here.zones if _is_on(name, removed)), None)
    if view is None or zone is None:
        return False
    route = route_name_of(removed.exposure)
    has_route = any((each.uid, each.route) == (removed.uid, route) for each in view.stray_routes)
    has_record = any(
        (each.spec.name, each.owner_uid) == (removed.hostname, removed.uid)
        for each in here.zones[zone]
    )
    return not (has_route or has_record)


def _is_on(domain_name: str, removed: RemovedExposure) -> bool:
    return removed.hostname == hostname_of(removed.exposure, removed.friend_id, domain_name)


def _living_in(cluster: str, friends: Mapping[str, FriendRecord]) -> dict[str, FriendRecord]:
    return {each: record for each, record in friends.items() if record.friend.cluster == cluster}


def _tell_unconfigured(
    records: Iterable[FriendRecord], cluster_names: Collection[str], findings: Findings
) -> None:
    """Find as failed the clusters in which friends live, and which are not configured."""
    lost: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record.friend.cluster not in cluster_names:
            lost[record.friend.cluster].append(record.friend.id)
    for name, friend_ids in lost.items():
        sentence = (
            f"The cluster {name} is not configured, so nothing is known of the friends who "
            f"live in it: {len(friend_ids)}, {min(friend_ids)} among them."
        )
        findings.failed.append(Finding(None, sentence, "cluster_misconfigured"))


def _exposures_by_domain(
    records: Iterable[FriendRecord], domains: Sequence[Domain], findings: Findings
) -> dict[Domain, tuple[list[Exposure], list[Exposure]]]:
    """Return each domain's exposures: of friends who stay, and of those who are being deleted.

    Those of a domain that is not configured are found as failed.
    """
    staying: dict[str, list[Exposure]] = defaultdict(list)
    leaving: dict[str, list[Exposure]] = defaultdict(list)
    for record in records:
        side = leaving if record.friend.phase is Phase.DELETING else staying
        for exposure in record.exposures:
            side[exposure.domain].append(exposure)
    found = {
        domain: (staying.pop(domain.name, []), leaving.pop(domain.name, [])) for domain in domains
    }
    for name, exposures in staying.items():
        sentence = (
            f"The domain {name} is not configured, so the records of its exposures are out of "
            f"reach: {len(exposures)}, {min(each.hostname for each in exposures)} among them."
        )
        findings.failed.append(Finding(None, sentence, "dns_misconfigured"))
    return found
