"""What becomes of a whole zone's records: observed x wanted -> changes, purely.

The reconciler's part: one listing and one batch serve any number of exposures. What of ours no row
wants is not deleted here, but with all that nobody wants, few at a time (services/sweeping).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from chalicelib.domain.dns import Record, RecordChanges, RecordSpec
from chalicelib.domain.record_plan import RecordPlan, plan_record


def plan_zone(
    observed: Sequence[Record],
    wanted: Sequence[RecordSpec],
    *,
    known_ids: Collection[str] = (),
    taken_names: Collection[str] = (),
) -> RecordChanges:
    """Return the changes that make the zone hold exactly one record for each of those wanted.

    observed may hold other records, which are left alone. known_ids are the ids that the rows
    note: of duplicates, these are kept. At taken_names stands a record of another owner, and
    nothing is made or changed there. Nor is it at a name that is wanted twice: a claim has one
    owner, so the rows were read while it changed hands.
    """
    ours: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in observed:
        if record.is_ours:
            ours[_key_of(record.spec)].append(record)
    known = frozenset(known_ids)
    skipped = _wanted_twice(wanted).union(taken_names)
    plans = [
        _plan(ours.get(_key_of(spec), ()), spec, known)
        for spec in wanted
        if spec.name not in skipped
    ]
    deleted = [each for plan in plans for each in plan.delete]
    return RecordChanges(
        deleted=tuple(sorted(deleted)),
        changed=tuple(plan.update for plan in plans if plan.update),
        created=tuple(plan.create for plan in plans if plan.create),
    )


def _key_of(spec: RecordSpec) -> tuple[str, str]:
    return spec.name, spec.comment


def _wanted_twice(wanted: Sequence[RecordSpec]) -> frozenset[str]:
    counts = Counter(spec.name for spec in wanted)
    return frozenset(name for name, count in counts.items() if count > 1)


def _plan(ours: Sequence[Record], wanted: RecordSpec, known_ids: frozenset[str]) -> RecordPlan:
    known_id = next((each.id for each in ours if each.id in known_ids), None)
    return plan_record(ours, wanted, known_id)
