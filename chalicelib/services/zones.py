"""A whole zone converged to what is recorded, by pages and batches, however many exposures."""

from collections import defaultdict
from collections.abc import Sequence

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Domain, Record, RecordChanges, RecordSpec
from chalicelib.domain.model import Exposure
from chalicelib.domain.record_plan import build_record, plan_record
from chalicelib.domain.zone_plan import plan_zone
from chalicelib.ports import Dns


def observe_zone(dns: Dns, domain: Domain, deadline: Deadline) -> list[Record]:
    """Return the zone's records. Look at the zone before the rows: see plan_zone."""
    return dns.list_all(domain.zone_id, deadline)


def plan_zone_of(
    domain: Domain, exposures: Sequence[Exposure], observed: Sequence[Record]
) -> RecordChanges:
    """Return what makes the zone hold the exposures' records; what is not ours stays untouched."""
    wanted = [build_record(each, domain) for each in exposures]
    by_name: dict[str, list[Record]] = defaultdict(list)
    for record in observed:
        by_name[record.spec.name].append(record)
    known_ids = [each.record_id for each in exposures if each.record_id is not None]
    taken = [spec.name for spec in wanted if _is_taken(spec, by_name[spec.name])]
    return plan_zone(observed, wanted, known_ids=known_ids, taken_names=taken)


def converge_zone(
    dns: Dns, domain: Domain, exposures: Sequence[Exposure], deadline: Deadline
) -> RecordChanges:
    """Make the zone hold exactly the exposures' records of ours, and return what that took.

    Safe to repeat: the second time there is nothing to do, and nothing is written. Raises
    RecordTaken when the zone changed meanwhile: converge it again.
    """
    changes = plan_zone_of(domain, exposures, observe_zone(dns, domain, deadline))
    if not changes.is_empty:
        dns.write(domain.zone_id, changes, deadline)
    return changes


def _is_taken(wanted: RecordSpec, found: Sequence[Record]) -> bool:
    return bool(plan_record(found, wanted, None).foreign)
