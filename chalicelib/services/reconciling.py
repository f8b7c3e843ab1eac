"""A pass over everything: observe -> plan -> execute, from whatever died before it.

    read what is recorded
      ├─ clusters, claims, workspace, zones: a few paged lists each, all looked at side by side
      ├─ records: in batches, under the leases of their host names
      ├─ strays: what is ours and belongs to nobody; few at a time, each looked at again
      └─ friends: the parts that differ, side by side; beyond a few hundred, by further invocations

A clean pass writes nothing but its own lease. What could not be read is left alone.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

from chalicelib.domain.claims import claims_of
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Domain, Record
from chalicelib.domain.model import (
    DamagedRow,
    Exposure,
    FriendRecord,
    JsonObject,
    Lease,
    NameClaim,
    Phase,
)
from chalicelib.domain.namespace import ClusterLayout
from chalicelib.domain.operations import operation_id
from chalicelib.domain.presentation import build_profile
from chalicelib.domain.reconciliation import (
    ALL_PARTS,
    Finding,
    Findings,
    Part,
    Work,
    build_report,
    chunks_of,
    damaged_row,
)
from chalicelib.ports import (
    Clusters,
    Dispatcher,
    Inventory,
    OperationStore,
    StoredProfile,
    Watched,
    Workspace,
)
from chalicelib.services.attempting import attempt
from chalicelib.services.concurrency import each_of, side_by_side
from chalicelib.services.convergence import Convergence
from chalicelib.services.memory import collector_paused
from chalicelib.services.observation import ClusterView, observe_cluster
from chalicelib.services.sweeping import Sweeper
from chalicelib.services.zones import Zones, view_zone

T = TypeVar("T")

# One invocation converges so many friends; what is more, others do, so many each.
_MOST_HERE: Final = 500
_CHUNK: Final = 250
_AT_ONCE: Final = 8
# What must be left of an invocation to begin with another few friends.
_ENOUGH_SECONDS: Final = 20.0
# An invocation is not over before its deadline is: that leaves time for recording how it went.
_SLACK_SECONDS: Final = 10.0
# Of unfinished operations, so many are looked at to tell how old the oldest is.
_LOOKED_AT: Final = 50


@dataclass
class _Pass:
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
class Reconciler:
    """What the reconcile function does with an event that has passed validation."""

    inventory: Inventory
    operations: OperationStore
    clusters: Clusters
    workspace: Workspace
    zones: Zones
    convergence: Convergence
    sweeper: Sweeper
    dispatcher: Dispatcher
    domains: tuple[Domain, ...]
    cluster_names: tuple[str, ...]
    layout: ClusterLayout
    now: Callable[[], datetime]

    def run_pass(self, owner: str, deadline: Deadline, *, dry_run: bool) -> JsonObject | None:
        """Converge everything and return the report; None while another pass is under way.

        Raises what keeps it from reading what is recorded: then nothing at all is done.
        """
        if dry_run:
            return self._run_pass(deadline, dry_run=True)
        now = self.now().timestamp()
        # Whatever becomes of this invocation, its lease is over when its time is.
        lease = Lease(owner, int(now + max(0.0, deadline.remaining_seconds) + _SLACK_SECONDS))
        if not self.inventory.begin_pass(lease, now):
            return None
        try:
            return self._run_pass(deadline, dry_run=False)
        finally:
            self.inventory.end_pass(owner)

    def converge(
        self, parts: Mapping[str, frozenset[Part]], deadline: Deadline, *, dry_run: bool
    ) -> JsonObject:
        """Converge these parts of these friends and return the report. Safe to repeat.

        A friend who is gone by now needs nothing.
        """
        here = _Pass(deadline, dry_run, {})
        for friend_id, each in parts.items():
            here.work.parts[friend_id] |= each
        return self._converge(here)

    def converge_friend(self, friend_id: str, deadline: Deadline, *, dry_run: bool) -> JsonObject:
        """Converge whatever of one friend's differs and return the report. Safe to repeat.

        A friend who is not there has failed: whoever named them has to know.
        """
        here = _Pass(deadline, dry_run, {}, must_exist=True)
        here.work.parts[friend_id] |= ALL_PARTS
        return self._converge(here)

    def _converge(self, here: _Pass) -> JsonObject:
        checked, handed_on = len(here.work.parts), 0
        if here.dry_run or here.deadline.remaining_seconds >= _ENOUGH_SECONDS:
            handed_on = self._work(here)
        else:
            # Handing on from here would go on for ever.
            sentence = "The invocation had no time to begin: its timeout is too short."
            here.findings.failed.append(Finding(None, sentence, "timeout_too_short"))
        return build_report(
            here.findings, checked=checked, dry_run=here.dry_run, handed_on=handed_on
        )

    def _run_pass(self, deadline: Deadline, *, dry_run: bool) -> JsonObject:
        with collector_paused():
            damaged: list[DamagedRow] = []
            here = _Pass(deadline, dry_run, self._recorded(damaged), damaged)
            unfinished = here.attempt("The operations", partial(self._unfinished, here))
            for look in self._look_at_everything(here):
                here.findings.add(look.findings)
                if look.act is not None:
                    here.attempt(look.what, look.act)
        here.findings.failed += map(damaged_row, here.damaged)
        handed_on = self._work(here)
        return build_report(
            here.findings,
            checked=len(here.friends),
            dry_run=dry_run,
            handed_on=handed_on,
            oldest_unfinished_seconds=unfinished,
        )

    def _recorded(self, damaged: list[DamagedRow]) -> dict[str, FriendRecord]:
        """Return every friend with their exposures, by id."""
        exposures: dict[tuple[str, str], list[Exposure]] = defaultdict(list)
        for each in self.inventory.exposures(damaged):
            exposures[each.friend_id, each.uid].append(each)
        return {
            each.friend.id: replace(
                each, exposures=tuple(exposures[each.friend.id, each.friend.uid])
            )
            for each in self.inventory.friends(damaged)
        }

    def _unfinished(self, here: _Pass) -> int:
        """Plan what nobody is at work on; return the age of the oldest operation, in seconds."""
        moment = self.now().timestamp()
        pending = [each for each in here.friends.values() if not each.queue.is_drained]
        idle = [each.friend.id for each in pending if not each.queue.is_held(moment)]
        here.work.add(idle, Part.OPERATIONS)
        unready = [
            each.friend.id
            for each in here.friends.values()
            if each.friend.phase in {Phase.PROVISIONING, Phase.DEGRADED}
        ]
        here.work.add(unready, Part.NAMESPACE)
        registered = {each.friend.uid for each in here.friends.values()}
        listed = self.inventory.watched(None, here.damaged)
        watched = [each for each in listed if each.uid in registered]
        here.work.add({each.friend_id for each in watched}, Part.OPERATIONS)
        return self._oldest_seconds(here, watched, pending)

    def _oldest_seconds(
        self, here: _Pass, watched: Sequence[Watched], pending: Sequence[FriendRecord]
    ) -> int:
        dates = [each.created_at for each in watched]
        for record in pending[:_LOOKED_AT]:
            identifier = operation_id(record.friend, record.queue.finished + 1)
            find = partial(self.operations.find, record.friend, identifier)
            if found := attempt(here.findings, find, of=record.friend.id):
                dates.append(found.created_at)
        if not dates:
            return 0
        return max(0, int((self.now() - datetime.fromisoformat(min(dates))).total_seconds()))

    def _look_at_everything(self, here: _Pass) -> list[_Look]:
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

    def _look_at_claims(self, here: _Pass) -> Callable[[], None]:
        return partial(self._compare_claims, here, self.inventory.claims(None, here.damaged))

    def _compare_claims(self, here: _Pass, claims: Sequence[NameClaim]) -> None:
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

    def _look_at_clusters(self, here: _Pass) -> list[_Look]:
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
        self, here: _Pass, name: str, friends: Mapping[str, FriendRecord]
    ) -> Callable[[], None]:
        view = observe_cluster(self.clusters.open(name, here.deadline), friends, self.layout)
        return partial(self._compare_cluster, here, name, friends, view)

    def _compare_cluster(
        self, here: _Pass, name: str, friends: Mapping[str, FriendRecord], view: ClusterView
    ) -> None:
        here.work.add(view.drifted, Part.NAMESPACE)
        here.work.add(view.misrouted, Part.ROUTES)
        for friend_id in view.foreign:
            if friend_id not in friends:
                sentence = f"The namespace friend-{friend_id} lacks the API's labels: it stays."
                here.findings.refused.append(Finding(friend_id, sentence, "namespace_not_ours"))
        self.sweeper.sweep_cluster(name, view, here.findings, here.deadline, dry_run=here.dry_run)

    def _look_at_profiles(self, here: _Pass) -> Callable[[], None]:
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
        self, here: _Pass, unsound: Sequence[str], strays: Sequence[StoredProfile], count: int
    ) -> None:
        here.work.add(unsound, Part.PROFILE)
        self.sweeper.sweep_profiles(strays, count, here.findings, dry_run=here.dry_run)

    def _look_at_zone(
        self,
        here: _Pass,
        domain: Domain,
        staying: Sequence[Exposure],
        leaving: Sequence[Exposure],
    ) -> Callable[[], None]:
        observed = self.zones.observe(domain, here.deadline)
        return partial(self._compare_zone, here, domain, staying, leaving, observed)

    def _compare_zone(  # noqa: PLR0913, PLR0917 - bound by position in partial
        self,
        here: _Pass,
        domain: Domain,
        staying: Sequence[Exposure],
        leaving: Sequence[Exposure],
        observed: Sequence[Record],
    ) -> None:
        view = view_zone(domain, staying, observed, leaving=leaving)
        sweep = partial(self.sweeper.sweep_records, domain, view, here.findings, here.deadline)
        swept = here.attempt(f"The strays of {domain.name}", partial(sweep, dry_run=here.dry_run))
        if swept:
            # What stood in the way of a wanted record may be gone.
            left = [each for each in observed if each not in swept]
            view = view_zone(domain, staying, left, leaving=leaving)
        for exposure in view.blocked:
            sentence = f"{exposure.hostname} has a DNS record that is not this exposure's."
            found = Finding(exposure.friend_id, sentence, "record_not_ours")
            here.findings.refused.append(found)
        done = (
            list(view.drifted)
            if here.dry_run
            else self.zones.converge(domain, view.drifted, here.deadline, here.findings)
        )
        for exposure in done:
            what = f"DNS record {exposure.hostname} restored"
            here.findings.repaired.append(Finding(exposure.friend_id, what, "restored"))

    def _work(self, here: _Pass) -> int:
        """Converge what differs, as far as it is for this invocation; hand on the rest.

        Returns how many friends were handed on.
        """
        waiting = here.work.in_order()
        later = [] if here.dry_run else waiting[_MOST_HERE:]
        now = waiting[: len(waiting) - len(later)]
        while now and here.deadline.remaining_seconds >= _ENOUGH_SECONDS:
            batch, now = now[: 4 * _AT_ONCE], now[4 * _AT_ONCE :]
            converge = partial(self._converge_one, here)
            for found in each_of(converge, batch, at_once=_AT_ONCE):
                here.findings.add(found)
        left = [*now, *later]
        if here.dry_run:
            # Handed on, it would be planned by an invocation whose report nobody reads.
            return len(left)
        for chunk in chunks_of(left, _CHUNK):
            here.attempt("Handing on", partial(self.dispatcher.dispatch_work, chunk))
        return len(left)

    def _converge_one(self, here: _Pass, work: tuple[str, frozenset[Part]]) -> Findings:
        friend_id, parts = work
        return self.convergence.converge(
            friend_id, parts, here.deadline, dry_run=here.dry_run, must_exist=here.must_exist
        )


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
