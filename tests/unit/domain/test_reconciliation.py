"""The report and the guard of a pass."""

import pytest

from chalicelib.domain.reconciliation import (
    Finding,
    Findings,
    Part,
    Work,
    build_report,
    chunks_of,
    most_deletions,
)


@pytest.mark.parametrize(
    ("observed", "most"), [(0, 5), (5, 5), (100, 5), (119, 5), (120, 6), (1000, 50)]
)
def test_l11_five_or_five_per_cent_may_go_at_once(observed: int, most: int) -> None:
    assert most_deletions(observed) == most


def test_a_report_lists_what_one_can_read_and_counts_the_rest() -> None:
    found = [Finding("alice", f"thing {number}", "written") for number in range(201)]
    report = build_report(Findings(repaired=found), checked=3, dry_run=False)
    assert (report["changed"], len(report["repaired"])) == (201, 200)
    assert report["left_out"] == {"repaired": 1}


def test_what_failed_or_was_refused_is_not_ok() -> None:
    finding = [Finding(None, "x", "x")]
    assert build_report(Findings(), checked=0, dry_run=False)["ok"]
    assert not build_report(Findings(failed=finding), checked=0, dry_run=False)["ok"]
    assert not build_report(Findings(refused=finding), checked=0, dry_run=False)["ok"]


def test_work_is_handed_on_by_id_in_pieces() -> None:
    work = Work()
    work.add(("carol", "alice", "bob"), Part.ROUTES)
    work.add(("alice",), Part.NAMESPACE)
    assert chunks_of(work.in_order(), 2) == [
        {"alice": ["namespace", "routes"], "bob": ["routes"]},
        {"carol": ["routes"]},
    ]
