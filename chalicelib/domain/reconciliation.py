"""What a pass over everything finds and does, as data: parts, findings, the report, the guard.

A finding is one of: repaired (it was not as recorded, and now it is), failed (it could not be
repaired now; the next pass tries again), refused (it will not be touched: a person has to look),
unproved (ours by its label, but most likely another deployment's: it is left, and all is well).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from chalicelib.domain.model import DamagedRow, JsonObject

# A report has to fit Lambda's answer, and a person's patience.
_MOST_LISTED: Final = 200
_FEW: Final = 5
_SHARE_PERCENT: Final = 5
_MOST_NAMED: Final = 5
ORPHAN_WITHOUT_EVIDENCE: Final = "orphan_without_evidence"


class Part(StrEnum):
    """The parts of a friend's world, each of which is observed and converged by itself."""

    CLAIMS = "claims"
    NAMESPACE = "namespace"
    PROFILE = "profile"
    RECORDS = "records"
    ROUTES = "routes"
    OPERATIONS = "operations"


ALL_PARTS: Final = frozenset(Part)


@dataclass(frozen=True)
class Finding:
    """One thing that was not as recorded. friend_id is None for what belongs to nobody.

    what says which thing, and what became of it or keeps it from being mended. code is stable.
    """

    friend_id: str | None
    what: str
    code: str

    def present(self) -> JsonObject:
        """Return the finding as a report shows it."""
        return {"friend_id": self.friend_id, "what": self.what, "code": self.code}


@dataclass
class Findings:
    """What was found so far. orphans is how many things of ours lack the proof to be deleted."""

    repaired: list[Finding] = field(default_factory=list)
    failed: list[Finding] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)
    unproved: list[Finding] = field(default_factory=list)
    orphans: int = 0

    def add(self, others: "Findings") -> None:
        """Add what was found elsewhere."""
        self.repaired += others.repaired
        self.failed += others.failed
        self.refused += others.refused
        self.unproved += others.unproved
        self.orphans += others.orphans


@dataclass
class Work:
    """Which parts of which friends differ from what is recorded."""

    parts: dict[str, set[Part]] = field(default_factory=lambda: defaultdict(set))

    def add(self, friend_ids: Iterable[str], part: Part) -> None:
        """Add a part of each of these friends."""
        for friend_id in friend_ids:
            self.parts[friend_id].add(part)

    def leave_out(self, friend_ids: Iterable[str], parts: Iterable[Part]) -> None:
        """Take these parts of these friends out."""
        left_out = set(parts)
        for friend_id in friend_ids:
            if friend_id in self.parts:
                self.parts[friend_id] -= left_out
                if not self.parts[friend_id]:
                    del self.parts[friend_id]

    def in_order(self) -> list[tuple[str, frozenset[Part]]]:
        """Return the work, by the friends' ids."""
        return [(each, frozenset(self.parts[each])) for each in sorted(self.parts)]


def damaged_row(row: DamagedRow) -> Finding:
    """Return the finding that a row cannot be read."""
    return Finding(row.friend_id, row.message, "damaged_row")


def most_deletions(observed: int) -> int:
    """Return how many of so many things one pass may delete because nothing recorded wants them.

    More than that is not drift: a read went wrong, or a table was restored.
    """
    return max(_FEW, observed * _SHARE_PERCENT // 100)


def deletions_refused(what: str, planned: int, observed: int) -> Finding:
    """Return the finding that so many deletions at once will not be made."""
    sentence = (
        f"{planned} of {observed} {what} belong to nobody who is recorded. More than {_FEW} that "
        f"are more than {_SHARE_PERCENT} % of their kind are never deleted at once. "
        "See docs/operations.md, Mass deletion."
    )
    return Finding(None, sentence, "mass_deletion")


def orphans_unproved(what: str, names: Sequence[str], friend_ids: Collection[str]) -> Finding:
    """Return the one finding that all these things of a kind stay, for lack of evidence.

    what says their kind and place. They seem to be these friends'.
    """
    named = ", ".join(names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    named += f" and {more} more" if more > 0 else ""
    sentence = (
        f"{len(names)} {what} belong to no recorded friend or exposure, and this table does not "
        f"prove that their owners were deleted, so they stay: {named}. "
        "See docs/operations.md, Orphans without evidence."
    )
    only = next(iter(friend_ids)) if len(friend_ids) == 1 else None
    return Finding(only, sentence, ORPHAN_WITHOUT_EVIDENCE)


def build_report(  # noqa: PLR0913 - the report's figures, each by its name
    findings: Findings,
    *,
    checked: int,
    dry_run: bool,
    handed_on: int = 0,
    postponed: int = 0,
    oldest_unfinished_seconds: int | None = None,
) -> JsonObject:
    """Return the report of a pass: counts first, then what was found, as much as one can read.

    oldest_unfinished_seconds is None where nobody has looked for unfinished operations.
    """
    report: JsonObject = {
        "ok": not (findings.failed or findings.refused),
        "dry_run": dry_run,
        "checked": checked,
        "changed": 0 if dry_run else len(findings.repaired),
        "handed_on": handed_on,
        "postponed": postponed,
        "orphans": findings.orphans,
    }
    if oldest_unfinished_seconds is not None:
        report["oldest_unfinished_operation_seconds"] = oldest_unfinished_seconds
    listed = {
        "repaired": findings.repaired,
        # A damaged row is met wherever something of its friend's is looked at.
        "failed": list(dict.fromkeys(findings.failed)),
        "refused": findings.refused,
        "unproved": findings.unproved,
    }
    for name, found in listed.items():
        report[name] = [each.present() for each in found[:_MOST_LISTED]]
    left_out = {name: len(found) - _MOST_LISTED for name, found in listed.items()}
    report["left_out"] = {name: count for name, count in left_out.items() if count > 0}
    return report


def chunks_of(
    work: Sequence[tuple[str, frozenset[Part]]], size: int
) -> list[Mapping[str, Sequence[str]]]:
    """Return the work in pieces of so many friends, each as an event carries it."""
    return [
        {friend_id: sorted(parts) for friend_id, parts in work[start : start + size]}
        for start in range(0, len(work), size)
    ]
