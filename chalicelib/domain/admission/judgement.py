"""All the rules, over all of a request's manifests: every fault at once."""

from collections.abc import Sequence
from contextlib import suppress

from chalicelib.domain.admission import MOST_FAULTS, MOST_MANIFESTS
from chalicelib.domain.admission.manifests import Draft, Terms, read_manifest, telling
from chalicelib.domain.admission.quota import check_quota
from chalicelib.domain.admission.report import Report, TooManyFaults, child, echo
from chalicelib.domain.admission.results import results_of
from chalicelib.domain.errors import ManifestsRefused
from chalicelib.domain.model import JsonObject, namespace_of
from chalicelib.domain.tiers import Tier


def judge(
    manifests: Sequence[tuple[str, object]],
    *,
    friend_id: str,
    tier: Tier,
    reserved_labels: Sequence[str],
    harden: bool,
) -> tuple[JsonObject, ...]:
    """See admit."""
    report = Report()
    if not 1 <= len(manifests) <= MOST_MANIFESTS:
        report.refuse("", f"Send 1 to {MOST_MANIFESTS} manifests in one request.")
        raise _refusal(report, ())
    drafts: list[Draft] = []
    # The report has what was found until then.
    with suppress(TooManyFaults):
        terms = Terms(namespace_of(friend_id), reserved_labels, harden=harden)
        drafts = _read(manifests, terms, tier, report)
    if report.faults:
        raise _refusal(report, manifests)
    return tuple(draft.manifest for draft in drafts)


def _read(
    manifests: Sequence[tuple[str, object]], terms: Terms, tier: Tier, report: Report
) -> list[Draft]:
    drafts = [
        draft
        for at, value in manifests
        if (draft := read_manifest(at, value, terms, report)) is not None
    ]
    _check_duplicates(drafts, report)
    with telling(report, unless=frozenset().union(*(draft.unread for draft in drafts))) as found:
        check_quota([(draft.at, draft.manifest) for draft in drafts], tier, found)
    return drafts


def _check_duplicates(drafts: Sequence[Draft], report: Report) -> None:
    seen = set()
    for draft in drafts:
        if draft.name is None:
            continue
        key = draft.kind, draft.name
        if key in seen:
            message = f"Another {draft.kind.name} of this request is called {echo(draft.name)} too."
            report.refuse(child(draft.at, "metadata", "name"), message)
        seen.add(key)


def _refusal(report: Report, manifests: Sequence[tuple[str, object]]) -> ManifestsRefused:
    faults = report.faults
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    shown = f", of which details tells {MOST_FAULTS}" if len(faults) > MOST_FAULTS else ""
    way = "correct what details names"
    if any(each.fix for each in faults):
        way = "apply the fixes in details, or correct them,"
    message = f"The request has {count}{shown}: {way} and send it again. Nothing was applied."
    results = results_of(manifests, faults)
    return ManifestsRefused(message, faults=faults[:MOST_FAULTS], results=results)
