"""A whole zone converged to what is recorded, by pages and batches, however many exposures.

observe ──▶ plan ──▶ lock what differs ──▶ one batch for 200 changes ──▶ note the records' ids

Each change is made under the lease of its host name, so that no request is at work on it.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Domain, Record, RecordChanges, RecordSpec, owner_of
from chalicelib.domain.errors import ApiError, Conflict, NotFound
from chalicelib.domain.model import Exposure, Lease
from chalicelib.domain.reconciliation import Findings
from chalicelib.domain.record_plan import build_record, plan_record
from chalicelib.domain.zone_plan import plan_zone
from chalicelib.ports import Dns, ExposureStore, LeaseLost, RecordTaken
from chalicelib.services.attempting import attempt
from chalicelib.services.concurrency import side_by_side
from chalicelib.services.leases import new_term
from chalicelib.services.publishing import require_zone

_TRIES: Final = 3
# The leases of so many exposures are taken at once, and their records written in one batch.
_AT_ONCE: Final = 200
_SLACK_SECONDS: Final = 8


@dataclass(frozen=True)
class ZoneView:
    """How a zone differs from what is recorded.

    ours is how many records are the API's. drifted are the exposures whose record is missing, is
    not as wanted, is one of several, or is not noted in the row; blocked those at whose name
    another's record stands; strays the records of ours that no exposure needs. wanted_names are the
    host names of all exposures, of those that are leaving too.
    """

    ours: int
    drifted: tuple[Exposure, ...]
    blocked: tuple[Exposure, ...]
    strays: tuple[Record, ...]
    wanted_names: frozenset[str]


@dataclass(frozen=True)
class Zones:
    """Converges the records of a domain's exposures."""

    dns: Dns
    store: ExposureStore
    now: Callable[[], datetime]

    def observe(self, domain: Domain, deadline: Deadline) -> list[Record]:
        """Return all records of the domain's zone, whoever's."""
        return self.dns.list_all(domain.zone_id, deadline)

    def converge(
        self,
        domain: Domain,
        drifted: Sequence[Exposure],
        deadline: Deadline,
        findings: Findings,
    ) -> list[Exposure]:
        """Have the zone hold exactly the records of these exposures; return those that it does.

        Exposures that a request is at work on, or that are gone, are left to it, and those whose
        lease cannot be had to the next pass: findings says which. Safe to repeat: the second time
        there is nothing to do. Raises WrongZone, and what Cloudflare's calls raise.
        """
        done: list[Exposure] = []
        if drifted:
            # Otherwise each run would make records under other names, and delete them again.
            require_zone(self.dns, domain, deadline)
        for start in range(0, len(drifted), _AT_ONCE):
            batch = drifted[start : start + _AT_ONCE]
            done += self._converge(domain, batch, deadline, findings)
        return done

    def is_unchanged(self, domain: Domain, record: Record, deadline: Deadline) -> bool:
        """Tell whether a record that was listed still says the same, and whose it is."""
        return record in self.dns.find(domain.zone_id, record.spec.name, deadline)

    def delete(self, domain: Domain, strays: Sequence[Record], deadline: Deadline) -> None:
        """Delete these records. Safe to repeat."""
        for start in range(0, len(strays), _AT_ONCE):
            deleted = tuple(each.id for each in strays[start : start + _AT_ONCE])
            try:
                self.dns.write(domain.zone_id, RecordChanges(deleted=deleted), deadline)
            except RecordTaken:
                # One of them is gone already, and with it the whole batch: one by one, then.
                for record_id in deleted:
                    self.dns.delete(domain.zone_id, record_id, deadline)

    def _converge(
        self,
        domain: Domain,
        drifted: Sequence[Exposure],
        deadline: Deadline,
        findings: Findings,
    ) -> list[Exposure]:
        term = new_term(uuid.uuid4().hex, self.now)
        tried = side_by_side(
            [partial(self._try_lock, each, term.lease, findings) for each in drifted]
        )
        locked = [each for each, is_locked in zip(drifted, tried, strict=True) if is_locked]
        try:
            bounded = term.bound(deadline, slack_seconds=_SLACK_SECONDS)
            records = self._write(domain, locked, bounded) if locked else {}
        except Exception:
            side_by_side([partial(self._release, each, term.owner) for each in locked])
            raise
        written = [
            replace(each, record_id=records[each.hostname])
            for each in locked
            if each.hostname in records
        ]
        kept_off = [each for each in locked if each.hostname not in records]
        side_by_side([partial(self._release, each, term.owner) for each in kept_off])
        settled = side_by_side(
            [partial(self._settle, each, term.owner, findings) for each in written]
        )
        return [each for each, is_settled in zip(written, settled, strict=True) if is_settled]

    def _write(
        self, domain: Domain, exposures: Sequence[Exposure], deadline: Deadline
    ) -> Mapping[str, str]:
        """Make the exposures' records what they should be; return their ids by host name."""
        owners = {each.hostname: owner_of(each.uid, each.name) for each in exposures}
        for _ in range(_TRIES):
            # Listed under the leases: what was listed before may have changed since.
            observed = self.observe(domain, deadline)
            relevant = [each for each in observed if each.spec.name in owners]
            changes = plan_zone_of(domain, exposures, relevant)
            try:
                created = (
                    [] if changes.is_empty else self.dns.write(domain.zone_id, changes, deadline)
                )
            except RecordTaken:
                # The zone has changed since it was listed, or an answer was lost.
                continue
            gone = set(changes.deleted)
            kept = [
                each
                for each in relevant
                if each.is_owned_by(owners[each.spec.name]) and each.id not in gone
            ]
            return {each.spec.name: each.id for each in (*kept, *created)}
        msg = "Others keep changing the DNS records of these host names. The next pass tries again."
        raise Conflict(msg, code="record_busy", retry_after_seconds=2)

    def _try_lock(self, exposure: Exposure, lease: Lease, findings: Findings) -> bool:
        def lock() -> bool:
            try:
                self.store.lock(exposure, lease, self.now().timestamp())
            except (Conflict, NotFound):
                return False
            except ApiError:
                # The lease may be ours all the same.
                self._release(exposure, lease.owner)
                raise
            return True

        return attempt(findings, lock, of=exposure.friend_id) or False

    def _release(self, exposure: Exposure, owner: str) -> None:
        try:
            self.store.release(exposure, owner)
        except ApiError:
            # What went wrong first is what has to be told; the lease runs out by itself.
            return

    def _settle(self, exposure: Exposure, owner: str, findings: Findings) -> bool:
        def settle() -> bool:
            try:
                self.store.settle(exposure, owner)
            except LeaseLost:
                return False
            except ApiError:
                self._release(exposure, owner)
                raise
            return True

        return attempt(findings, settle, of=exposure.friend_id) or False


def view_zone(
    domain: Domain,
    exposures: Iterable[Exposure],
    observed: Sequence[Record],
    *,
    leaving: Iterable[Exposure] = (),
) -> ZoneView:
    """Return how the zone differs from these exposures, all of which are on the domain.

    The records of those that are leaving are no strays: who takes them down removes them.
    """
    by_name: dict[str, list[Record]] = defaultdict(list)
    for record in observed:
        by_name[record.spec.name].append(record)
    drifted, blocked = [], []
    wanted = {(each.hostname, owner_of(each.uid, each.name)) for each in leaving}
    for exposure in exposures:
        spec = build_record(exposure, domain)
        wanted.add((spec.name, spec.comment))
        plan = plan_record(by_name[exposure.hostname], spec, exposure.record_id)
        if plan.foreign:
            blocked.append(exposure)
        elif not plan.is_settled_as(exposure.record_id):
            drifted.append(exposure)
    ours = [each for each in observed if each.is_ours]
    strays = [each for each in ours if (each.spec.name, each.spec.comment) not in wanted]
    names = frozenset(name for name, _ in wanted)
    return ZoneView(len(ours), tuple(drifted), tuple(blocked), tuple(strays), names)


def plan_zone_of(
    domain: Domain, exposures: Sequence[Exposure], observed: Sequence[Record]
) -> RecordChanges:
    """Return what makes the zone hold the exposures' records; what is another's stays untouched."""
    wanted = [build_record(each, domain) for each in exposures]
    by_name: dict[str, list[Record]] = defaultdict(list)
    for record in observed:
        by_name[record.spec.name].append(record)
    known_ids = [each.record_id for each in exposures if each.record_id is not None]
    taken = [spec.name for spec in wanted if _is_taken(spec, by_name[spec.name])]
    return plan_zone(observed, wanted, known_ids=known_ids, taken_names=taken)


def _is_taken(wanted: RecordSpec, found: Sequence[Record]) -> bool:
    return bool(plan_record(found, wanted, None).foreign)
