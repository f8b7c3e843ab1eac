"""A pass over everything: observe -> plan -> execute, from whatever died before it.

    read what is recorded
      ├─ clusters, claims, workspace, zones: a few paged lists each, all looked at side by side
      ├─ records: in batches, under the leases of their host names
      ├─ orphans: what is proved to be deleted; few at a time, each looked at again
      └─ friends: the parts that differ, side by side; beyond a few hundred, by further invocations

A clean pass writes nothing but its own lease. What could not be read is left alone.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.friend_limits import FriendCount, count_friends
from chalicelib.domain.model import (
    DamagedRow,
    Exposure,
    FriendRecord,
    JsonObject,
    Lease,
    Phase,
)
from chalicelib.domain.operations import operation_id
from chalicelib.domain.reconciliation import (
    ALL_PARTS,
    Finding,
    Findings,
    Part,
    build_report,
    chunks_of,
    damaged_row,
)
from chalicelib.domain.timestamps import timestamp
from chalicelib.ports import (
    Dispatcher,
    Inventory,
    OperationStore,
)
from chalicelib.services.attempting import attempt
from chalicelib.services.comparing import Comparison, Pass
from chalicelib.services.concurrency import each_of
from chalicelib.services.convergence import Convergence
from chalicelib.services.credentials import Credentials
from chalicelib.services.memory import collector_paused

# One invocation converges so many friends; what is more, others do, so many each.
_MOST_HERE: Final = 500
_CHUNK: Final = 250
# So many further invocations are started by one. At three at once they are done when the next run
# comes: Lambda's queue never grows. What is more is left to that run.
_MOST_STARTED: Final = 8
_AT_ONCE: Final = 8
# What must be left of an invocation to begin with another few friends.
_ENOUGH_SECONDS: Final = 20.0
# An invocation is not over before its deadline is: that leaves time for recording how it went.
_SLACK_SECONDS: Final = 10.0
_COUNTS: Final = "The counts of friends"
# An index shows a write within milliseconds; a count that changed later than this ago may be ahead.
_INDEX_FOLLOWS: Final = timedelta(minutes=1)
# Of operations that the version before has accepted, so many are looked at for their age.
_LOOKED_AT: Final = 50


@dataclass(frozen=True)
class Reconciler:
    """What the reconcile function does with an event that has passed validation."""

    inventory: Inventory
    operations: OperationStore
    comparison: Comparison
    convergence: Convergence
    dispatcher: Dispatcher
    credentials: Credentials
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
        here = Pass(deadline, dry_run, {})
        for friend_id, each in parts.items():
            here.work.parts[friend_id] |= each
        return self._converge(here)

    def converge_friend(self, friend_id: str, deadline: Deadline, *, dry_run: bool) -> JsonObject:
        """Converge whatever of one friend's differs and return the report. Safe to repeat.

        A friend who is not there has failed: whoever named them has to know.
        """
        here = Pass(deadline, dry_run, {}, must_exist=True)
        here.work.parts[friend_id] |= ALL_PARTS
        return self._converge(here)

    def _converge(self, here: Pass) -> JsonObject:
        checked, handed_on, postponed = len(here.work.parts), 0, 0
        if here.dry_run or here.deadline.remaining_seconds >= _ENOUGH_SECONDS:
            handed_on, postponed = self._work(here)
        else:
            # Handing on from here would go on for ever.
            sentence = "The invocation had no time to begin: its timeout is too short."
            here.findings.failed.append(Finding(None, sentence, "timeout_too_short"))
        return build_report(
            here.findings,
            checked=checked,
            dry_run=here.dry_run,
            handed_on=handed_on,
            postponed=postponed,
        )

    def _run_pass(self, deadline: Deadline, *, dry_run: bool) -> JsonObject:
        with collector_paused():
            damaged: list[DamagedRow] = []
            # Before the friends: what is registered from now on changes a count.
            findings = Findings()
            counts = attempt(findings, self.inventory.friend_counts, what=_COUNTS)
            recorded = self._recorded(damaged)
            here = Pass(deadline, dry_run, recorded, damaged, findings=findings)
            if counts is not None:
                here.attempt(_COUNTS, partial(self._correct_counts, here, counts))
            unfinished = here.attempt("The operations", partial(self._unfinished, here))
            self.comparison.compare(here)
        here.findings.failed += map(damaged_row, here.damaged)
        handed_on, postponed = self._work(here)
        return build_report(
            here.findings,
            checked=len(here.friends),
            dry_run=dry_run,
            handed_on=handed_on,
            postponed=postponed,
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

    def _correct_counts(self, here: Pass, counts: Sequence[FriendCount]) -> None:
        """Have the counts of friends say how many there are.

        The friends are listed by an index that follows the writes: a count that has just changed is
        left to the next run. So are all of them while there are rows that cannot be read.
        """
        if here.damaged:
            return
        seen, now = {each.of: each for each in counts}, self.now()
        wanted = count_friends(each.friend for each in here.friends.values())
        settled = timestamp(now - _INDEX_FOLLOWS)
        for of in sorted(seen.keys() | wanted.keys()):
            found, friends = seen.get(of), wanted[of]
            counted = found.friends if found else 0
            if counted == friends or (found and found.changed_at > settled):
                continue
            if here.dry_run or self.inventory.correct_count(
                of, found, friends=friends, at=timestamp(now)
            ):
                what = f"count of friends of {of} corrected from {counted} to {friends}"
                here.findings.repaired.append(Finding(None, what, "counted"))

    def _unfinished(self, here: Pass) -> int:
        """Plan what nobody is at work on; return the age of the oldest operation, in seconds."""
        moment = self.now().timestamp()
        records = list(here.friends.values())
        here.work.add(
            [each.friend.id for each in records if _wants_work(each, moment)], Part.OPERATIONS
        )
        unready = [
            each.friend.id
            for each in records
            if each.friend.phase in {Phase.PROVISIONING, Phase.DEGRADED}
        ]
        here.work.add(unready, Part.NAMESPACE)
        registered = {each.friend.uid for each in records}
        listed = self.inventory.watched(None, here.damaged)
        earlier = [each for each in listed if each.uid in registered]
        here.work.add({each.friend_id for each in earlier}, Part.OPERATIONS)
        dates = [each.created_at for each in earlier]
        dates += [date for each in records for date in each.queue.unfinished.values()]
        dates += self._undated(here, records)
        if not dates:
            return 0
        return max(0, int((self.now() - datetime.fromisoformat(min(dates))).total_seconds()))

    def _undated(self, here: Pass, records: Sequence[FriendRecord]) -> list[str]:
        """Return when the version before has accepted what is pending: no row has its date."""
        undated = [each for each in records if not each.queue.is_dated]
        dates = []
        for record in undated[:_LOOKED_AT]:
            identifier = operation_id(record.friend, record.queue.finished + 1)
            find = partial(self.operations.find, record.friend, identifier)
            if found := attempt(here.findings, find, of=record.friend.id):
                dates.append(found.created_at)
        return dates

    def _work(self, here: Pass) -> tuple[int, int]:
        """Converge what differs, as far as it is for this invocation; hand on the rest.

        Returns how many friends were handed on, and how many are left to the next run.
        """
        waiting = self._turned(here.work.in_order())
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
            return len(left), 0
        given = left[: _MOST_STARTED * _CHUNK]
        for chunk in chunks_of(given, _CHUNK):
            here.attempt("Handing on", partial(self.dispatcher.dispatch_work, chunk))
        return len(given), len(left) - len(given)

    def _turned(
        self, waiting: list[tuple[str, frozenset[Part]]]
    ) -> list[tuple[str, frozenset[Part]]]:
        """Return the work from another friend on in each run, where it is too much for one.

        Otherwise friends whose repair fails each time would keep the others from being repaired.
        """
        most = _MOST_HERE + _MOST_STARTED * _CHUNK
        if len(waiting) <= most:
            return waiting
        first = int(self.now().timestamp()) % len(waiting)
        return [*waiting[first:], *waiting[:first]]

    def _converge_one(self, here: Pass, work: tuple[str, frozenset[Part]]) -> Findings:
        friend_id, parts = work
        return self.convergence.converge(
            friend_id, parts, here.deadline, dry_run=here.dry_run, must_exist=here.must_exist
        )


def _wants_work(record: FriendRecord, moment: float) -> bool:
    """Tell whether a queue has work and no runner, or operations wait for their rollouts."""
    queue = record.queue
    return bool(queue.waiting) or not (queue.is_drained or queue.is_held(moment))
