"""Reads one manifest of a request: what it is, what is wrong with it, and what may be sent."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from chalicelib.domain import kinds
from chalicelib.domain.admission.bounds import Range, check_ranges
from chalicelib.domain.admission.config_maps import check_config_map
from chalicelib.domain.admission.harden import harden_pod_spec
from chalicelib.domain.admission.metadata import check_metadata, check_tags
from chalicelib.domain.admission.pods import check_pod_spec
from chalicelib.domain.admission.reader import MISSING, Reader
from chalicelib.domain.admission.report import Report, add, child, joined, remove
from chalicelib.domain.admission.reserved_labels import mend_reserved_labels
from chalicelib.domain.admission.selectors import check_deployment_selector
from chalicelib.domain.admission.services import check_service
from chalicelib.domain.admission.shapes import SHAPES
from chalicelib.domain.admission.workloads import check_cron_job, check_deployment, check_job
from chalicelib.domain.kinds import Kind
from chalicelib.domain.model import JsonObject

_DEADLINES: Final = Range(1, (1 << 31) - 1)
_ALLOWED: Final = {kind.name: kind for kind in SHAPES}
_TEMPLATES: Final = {
    kinds.CRON_JOB: ("spec", "jobTemplate", "spec", "template"),
    kinds.DEPLOYMENT: ("spec", "template"),
    kinds.JOB: ("spec", "template"),
}


@dataclass(frozen=True)
class Draft:
    """A manifest as it may be sent, once nothing is wrong with it.

    at is its pointer in the request. unread has the pointers of what is not in it, because
    nobody can say what it means: what rules find there is moot.
    """

    at: str
    kind: Kind
    manifest: JsonObject
    unread: frozenset[str]

    @property
    def name(self) -> str | None:
        """The name, if it has one."""
        name: str | None = self.manifest.get("metadata", {}).get("name")
        return name


@dataclass(frozen=True)
class Terms:
    """What every manifest of a request is held to, beyond the rules that hold for all friends."""

    namespace: str
    reserved_labels: Sequence[str]
    harden: bool


def read_manifest(at: str, value: object, terms: Terms, report: Report) -> Draft | None:
    """Return the draft of one parsed JSON value, or None where it is of no kind that is allowed.

    value is not changed, nor part of the draft.
    """
    kind = _read_kind(at, value, report)
    if kind is None or not isinstance(value, dict):
        return None
    _check_api_version(value, kind, at, report)
    reader = Reader(report, at)
    right_version = {"apiVersion": kind.api_version}
    manifest = SHAPES[kind].read({**right_version, **value, **right_version}, None, reader)
    if manifest is MISSING or not isinstance(manifest, dict):
        return None
    draft = Draft(at, kind, manifest, frozenset(reader.unread))
    _fill_in(draft, harden=terms.harden)
    with telling(report, unless=draft.unread) as found:
        mend_reserved_labels(manifest, at, _template_of(draft), terms.reserved_labels, found)
        _check(draft, terms.namespace, found)
    if "metadata" in manifest:
        manifest["metadata"]["namespace"] = terms.namespace
    return draft


@contextmanager
def telling(report: Report, *, unless: frozenset[str]) -> Iterator[Report]:
    """Yield a report for rules to fill; the other one is told what they find, even if too much.

    What they say of a value that was not read (its pointer is in unless) is left out.
    """
    found = Report()
    try:
        yield found
    finally:
        for fault in found.faults:
            if unless.isdisjoint(_prefixes(fault.path)):
                report.refuse(fault.path, fault.message, fault.fix)


def _prefixes(pointer: str) -> Iterator[str]:
    end = len(pointer)
    while end > 0:
        yield pointer[:end]
        end = pointer.rfind("/", 0, end)


def _read_kind(at: str, value: object, report: Report) -> Kind | None:
    if not isinstance(value, dict):
        report.refuse(at, "A manifest must be an object.")
        return None
    name = value.get("kind")
    kind = _ALLOWED.get(name) if isinstance(name, str) else None
    if kind is None:
        message = f"kind must be one of: {joined([*_ALLOWED])}."
        report.refuse(child(at, "kind"), message)
    return kind


def _check_api_version(value: JsonObject, kind: Kind, at: str, report: Report) -> None:
    if value.get("apiVersion", kind.api_version) != kind.api_version:
        pointer = child(at, "apiVersion")
        message = f"The apiVersion of a {kind.name} must be absent, or {kind.api_version}."
        report.refuse(pointer, message, add(pointer, kind.api_version))


def _fill_in(draft: Draft, *, harden: bool) -> None:
    template, _ = _template_of(draft)
    if template is not None and "spec" in template:
        spec = harden_pod_spec(template["spec"]) if harden else template["spec"]
        spec.setdefault("automountServiceAccountToken", False)
        template["spec"] = spec


def _check(draft: Draft, namespace: str, report: Report) -> None:
    check_metadata(draft.manifest, draft.at, namespace, report)
    _RULES[draft.kind](draft.manifest, draft.at, report)
    template, at = _template_of(draft)
    if template is not None:
        check_tags(template.get("metadata", {}), child(at, "metadata"), report)
        if "spec" in template:
            check_pod_spec(template["spec"], child(at, "spec"), report)
            _check_deadline(draft.kind, template["spec"], child(at, "spec"), report)


def _check_deadline(kind: Kind, spec: JsonObject, at: str, report: Report) -> None:
    if kind != kinds.DEPLOYMENT:
        check_ranges(spec, {"activeDeadlineSeconds": _DEADLINES}, at, report)
    elif "activeDeadlineSeconds" in spec:
        pointer = child(at, "activeDeadlineSeconds")
        message = "activeDeadlineSeconds must be absent: a Deployment's pods have no end."
        report.refuse(pointer, message, remove(pointer))


def _template_of(draft: Draft) -> tuple[JsonObject | None, str]:
    found: JsonObject | None = draft.manifest if draft.kind in _TEMPLATES else None
    keys = _TEMPLATES.get(draft.kind, ())
    for key in keys:
        found = None if found is None else found.get(key)
    return found, child(draft.at, *keys)


def _check_deployment(manifest: JsonObject, at: str, report: Report) -> None:
    check_deployment(manifest, at, report)
    check_deployment_selector(manifest.get("spec", {}), child(at, "spec"), report)


def _check_cron_job(manifest: JsonObject, at: str, report: Report) -> None:
    check_cron_job(manifest, at, report)
    job, pointer = manifest.get("spec", {}).get("jobTemplate", {}), child(at, "spec", "jobTemplate")
    check_tags(job.get("metadata", {}), child(pointer, "metadata"), report)


_RULES: Final[dict[Kind, Callable[[JsonObject, str, Report], None]]] = {
    kinds.CONFIG_MAP: check_config_map,
    kinds.CRON_JOB: _check_cron_job,
    kinds.DEPLOYMENT: _check_deployment,
    kinds.JOB: check_job,
    kinds.SERVICE: check_service,
}
