"""Asks admission about whole requests, as a caller would, and mends them by their fixes."""

from copy import deepcopy
from functools import partial
from typing import Any

import jsonpatch

from chalicelib.domain.admission import admit
from chalicelib.domain.admission.report import Report
from chalicelib.domain.errors import Fault, Refused
from chalicelib.domain.tiers import TIERS
from tests.manifests import (
    create_cron_job_manifest,
    create_deployment_manifest,
    create_job_manifest,
)
from tests.unit.domain.admission import rules

Json = Any
Manifest = dict[str, Any]

NAMESPACE = "friend-alice"
TIER = TIERS["default"]
RESERVED = ("grafana_*", "release", "prometheus", "k8s-app", "io.kubernetes.*")

# Every builder of a workload, with the pointer of its pod spec: pod rules hold for each.
WORKLOADS = [
    (create_deployment_manifest, "/spec/template/spec"),
    (create_job_manifest, "/spec/template/spec"),
    (create_cron_job_manifest, "/spec/jobTemplate/spec/template/spec"),
]


def items_of(body: Json) -> list[tuple[str, Json]]:
    """Return each manifest of a body with its pointer, as the route does."""
    if isinstance(body, list):
        return [(f"/{index}", each) for index, each in enumerate(body)]
    return [("", body)]


def admitted(body: Json, *, harden: bool = False) -> list[Manifest]:
    """Return what may be sent."""
    return list(
        admit(items_of(body), friend_id="alice", tier=TIER, reserved_labels=RESERVED, harden=harden)
    )


def refusal_of(body: Json, *, harden: bool = False) -> Refused | None:
    """Return the refusal, if there is one."""
    try:
        admitted(body, harden=harden)
    except Refused as refusal:
        return refusal
    return None


def faults_of(body: Json, *, harden: bool = False) -> tuple[Fault, ...]:
    """Return every fault of a body; none where it is admitted."""
    refusal = refusal_of(body, harden=harden)
    return refusal.faults if refusal else ()


def mended(body: Json, faults: tuple[Fault, ...]) -> Json:
    """Return the body with the fixes applied in order."""
    body = deepcopy(body)
    for fault in faults:
        if fault.fix:
            body = jsonpatch.apply_patch(body, list(fault.fix))
    return body


def check(manifest: Manifest, at: str, report: Report) -> None:
    """Ask admission as if it were one rule."""
    try:
        admit([(at, manifest)], friend_id="alice", tier=TIER, reserved_labels=RESERVED)
    except Refused as refusal:
        for fault in refusal.faults:
            report.refuse(fault.path, fault.message, fault.fix)


assert_refused = partial(rules.assert_refused, check)
assert_mended = partial(rules.assert_refused_and_mended, check)
