"""What all systems hold, looked at side by side and compared with what is recorded.

    look at clusters, claims, workspace, zones ──▶ what to do about each ──▶ done in one order

What differs for a friend becomes work; what of ours is nobody's is swept; a zone's records are
converged by batches. A system that cannot be read is left alone, and keeps none of the others.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from chalicelib.domain.claims import claims_of
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Domain, Record
from chalicelib.domain.model import DamagedRow, Exposure, FriendRecord, NameClaim, Phase
from chalicelib.domain.namespace import ClusterLayout
from chalicelib.domain.ownership import NAMESPACE_NOT_OURS
from chalicelib.domain.presentation import build_profile
from chalicelib.domain.reconciliation import Finding, Findings, Part, Work
from chalicelib.ports import Clusters, Inventory, StoredProfile, Workspace
from chalicelib.services.attempting import attempt
from chalicelib.services.concurrency import side_by_side
from chalicelib.services.observation import ClusterView, observe_cluster
from chalicelib.services.publishing import RECORD_NOT_OURS
from chalicelib.services.sweeping import Sweeper
from chalicelib.services.zones import Zones, ZoneView, view_zone

T = TypeVar("T")


@dataclass
class Pass:
    """What one pass knows and has found so far."""

    deadline: Deadline
    dry_run: bool
    friends: dict[str, FriendRecord]
    damaged: list[DamagedRow] = field(default_factory=list)
    must_exist: bool = False
    findings: Findings = field(default_factory=Findings)
    work: Work = field(default_factory=Work)

    def attempt(self, what: str, step: Callable[[], T]) -> T | None:
        """Take a step; a system that cannot be read or written now is left alone."""
        return attempt(self.findings, step, what=what)


@dataclass(frozen=True)
class _Look:
    """What to do about what a system showed, and what kept it from being seen, if it was not."""

    what: str
    act: Callable[[], None] | None
    findings: Findings

    @classmethod
    def at(cls, what: str, look: Callable[[], Callable[[], None]]) -> "_Look":
        """Look at a system, side by side with others; nothing is done about it yet."""
        findings = Findings()
        return cls(what, attempt(findings, look, what=what), findings)


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

    def compare(self, here: Pass) -> None:
        """Look at everything, sweep and converge zones, and add the friends' work to the pass."""
        for look in self._look_at_everything(here):
            here.findings.add(look.findings)
            if look.act is not None:
                here.attempt(look.what, look.act)

    def _look_at_everything(self, here: Pass) -> list[_Look]:
        """Read all systems at once, as one waits while another answers; what to do, in order."""
        zones = _exposures_by_domain(here.friends.values(), self.domains, here.findings)
        looks: list[tuple[str, Callable[[], Callable[[], None]]]] = [
            ("The claims of names", partial(self._look_at_claims, here)),
            ("The workspace", partial(self._look_at_profiles, here)),
        ]
        looks += [
            (f"The zone of {domain.name}", partial(self._look_at_zone, here, domain, *exposures))
            for domain, exposures in zones.items()
        ]
        # The clusters are first: what runs reads side by side itself has to be.
        clusters, *rest = side_by_side(
            [
                partial(self._look_at_clusters, here),
                *(partial(_one_look, what, look) for what, look in looks),
            ]
        )
        (claims, *others) = itertools.chain.from_iterable(rest)
        return [claims, *clusters, *others]

    def _look_at_claims(self, here: Pass) -> Callable[[], None]:
        return partial(self._compare_claims, here, self.inventory.claims(None, here.damaged))

    def _compare_claims(self, here: Pass, claims: Sequence[NameClaim]) -> None:
        wanted: set[NameClaim] = set()
        for friend_id, each in here.friends.items():
            names = partial(claims_of, each.friend, each.exposures)
            wanted |= attempt(here.findings, names, of=friend_id) or frozenset()
        lost = wanted.difference(claims)
        here.work.add({each.friend_id for each in lost}, Part.CLAIMS)
        # Without its claim, nobody may work at a host name: the zone's batch leaves it out.
        here.work.add({each.friend_id for each in lost if each.kind == "host"}, Part.RECORDS)
        strays = [each for each in claims if each not in wanted]
        self.sweeper.sweep_claims(strays, len(claims), here.findings, dry_run=here.dry_run)

    def _look_at_clusters(self, here: Pass) -> list[_Look]:
        by_cluster: dict[str, dict[str, FriendRecord]] = defaultdict(dict)
        for friend_id, record in here.friends.items():
            by_cluster[record.friend.cluster][friend_id] = record
        looks = [
            _Look.at(
                f"The cluster {name}",
                partial(self._look_at_cluster, here, name, by_cluster.pop(name, {})),
            )
            for name in self.cluster_names
        ]
        for name, friends in by_cluster.items():
            sentence = (
                f"The cluster {name} is not configured, so nothing is known of the friends who "
                f"live in it: {len(friends)}, {min(friends)} among them."
            )
            found = Findings(failed=[Finding(None, sentence, "cluster_misconfigured")])
            looks.append(_Look(f"The cluster {name}", None, found))
        return looks

    def _look_at_cluster(
        self, here: Pass, name: str, friends: Mapping[str, FriendRecord]
    ) -> Callable[[], None]:
        view = observe_cluster(self.clusters.open(name, here.deadline), friends, self.layout)
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
        self.sweeper.sweep_cluster(name, view, here.findings, here.deadline, dry_run=here.dry_run)

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
        return partial(self._compare_profiles, here, unsound, strays, count)

    def _compare_profiles(
        self, here: Pass, unsound: Sequence[str], strays: Sequence[StoredProfile], count: int
    ) -> None:
        here.work.add(unsound, Part.PROFILE)
        self.sweeper.sweep_profiles(strays, count, here.findings, dry_run=here.dry_run)

    def _look_at_zone(
        self,
        here: Pass,
        domain: Domain,
        staying: Sequence[Exposure],
        leaving: Sequence[Exposure],
    ) -> Callable[[], None]:
        observed = self.zones.observe(domain, here.deadline)
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
        sweep = partial(self.sweeper.sweep_records, domain, view, here.findings, here.deadline)
        swept = here.attempt(f"The strays of {domain.name}", partial(sweep, dry_run=here.dry_run))
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
            else self.zones.converge(domain, view.drifted, here.deadline, here.findings)
        )
        for exposure in done:
            what = f"DNS record {exposure.hostname} restored"
            here.findings.repaired.append(Finding(exposure.friend_id, what, "restored"))


def _one_look(what: str, look: Callable[[], Callable[[], None]]) -> list[_Look]:
    return [_Look.at(what, look)]


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
