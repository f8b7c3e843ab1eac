"""What the friend's ResourceQuota could never admit, told before anything is sent.

The cluster takes a Deployment whose pods it will refuse, and says so in an event that nobody
reads. What is there already is not known here: a request is held against an empty namespace.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from chalicelib.domain import kinds
from chalicelib.domain.admission.finished_pods import check_finished_pods
from chalicelib.domain.admission.quantities import format_quantity, parse_quantity
from chalicelib.domain.admission.report import Report, add, child
from chalicelib.domain.admission.resources import Amounts, check_resources
from chalicelib.domain.admission.workloads import COMPLETIONS, PARALLELISM, REPLICAS
from chalicelib.domain.model import JsonObject
from chalicelib.domain.tiers import Tier

_COUNTED_AS: Final = {
    "ConfigMap": "count/configmaps",
    "CronJob": "count/cronjobs.batch",
    "Deployment": "count/deployments.apps",
    "Job": "count/jobs.batch",
    "Service": "count/services",
}
# The cluster puts kube-root-ca.crt into every namespace.
_TAKEN: Final = {"ConfigMap": 1}


@dataclass(frozen=True)
class _Workload:
    """Pods of one shape; at is the pointer of the field that says how many."""

    pod: JsonObject
    pod_at: str
    field: str
    at: str
    count: int


@dataclass(frozen=True)
class _Room:
    """How many of a workload's pods fit: into the quota alone, and into what is left of it."""

    alone: int
    left: int


def check_quota(manifests: Sequence[tuple[str, JsonObject]], tier: Tier, report: Report) -> None:
    """Refuse what could not run in the friend's namespace even if nothing else were there.

    manifests are pairs of a JSON pointer and what it names. Jobs end, so they are held against
    the quota one by one; Deployments last, so those of a request are held against it together.
    """
    _check_object_counts(manifests, tier, report)
    check_finished_pods(manifests, tier, report)
    hard = _hard(tier)
    left = dict(hard)
    for at, manifest in manifests:
        workload = _workload_of(manifest, child(at, "spec"))
        if workload is None:
            continue
        asked = check_resources(workload.pod, workload.pod_at, tier, report)
        _check_pod(workload, asked, hard, report)
        asked["pods"] = Fraction(1)
        if manifest["kind"] == kinds.DEPLOYMENT.name:
            room = _Room(_fitting(asked, hard), _fitting(asked, left))
            count = min(workload.count, room.left)
            left = {name: amount - count * asked.get(name, 0) for name, amount in left.items()}
        else:
            room = _Room(_fitting(asked, hard), _fitting(asked, hard))
        _check_count(workload, room, tier, report)


def _check_object_counts(
    manifests: Iterable[tuple[str, JsonObject]], tier: Tier, report: Report
) -> None:
    counts: Counter[str] = Counter()
    for at, manifest in manifests:
        kind = manifest.get("kind", "")
        most = tier.object_counts.get(_COUNTED_AS.get(kind, ""))
        if most is None:
            continue
        most -= _TAKEN.get(kind, 0)
        counts[kind] += 1
        if counts[kind] == most + 1:
            report.refuse(at, f"A namespace has room for {most} objects of kind {kind} at most.")


def _hard(tier: Tier) -> Amounts:
    cpu, memory = parse_quantity(tier.quota_cpu), parse_quantity(tier.quota_memory)
    return {
        "pods": Fraction(tier.pods),
        "requests.cpu": cpu,
        "requests.memory": memory,
        "limits.cpu": cpu,
        "limits.memory": memory,
        "limits.ephemeral-storage": parse_quantity(tier.quota_storage),
    }


def _workload_of(manifest: JsonObject, at: str) -> _Workload | None:
    kind, spec, field = manifest.get("kind"), manifest.get("spec", {}), "parallelism"
    if kind == kinds.DEPLOYMENT.name:
        field, count = "replicas", REPLICAS.clamp(spec.get("replicas", 1))
    elif kind in {kinds.JOB.name, kinds.CRON_JOB.name}:
        if kind == kinds.CRON_JOB.name:
            at, spec = child(at, "jobTemplate", "spec"), spec.get("jobTemplate", {}).get("spec", {})
        count = PARALLELISM.clamp(spec.get("parallelism", 1))
        count = min(count, COMPLETIONS.clamp(spec.get("completions", count)))
    else:
        return None
    pod = spec.get("template", {}).get("spec", {})
    return _Workload(pod, child(at, "template", "spec"), field, child(at, field), count)


def _check_pod(workload: _Workload, asked: Amounts, hard: Amounts, report: Report) -> None:
    for name, amount in asked.items():
        if amount > hard[name]:
            resource = name.partition(".")[2]
            total, most = format_quantity(amount, resource), format_quantity(hard[name], resource)
            message = f"The pod's {name} come to {total}; the friend's quota is {most}."
            report.refuse(child(workload.pod_at, "containers"), message)


def _fitting(asked: Amounts, room: Amounts) -> int:
    return min(int(room[name] // amount) for name, amount in asked.items() if amount)


def _check_count(workload: _Workload, room: _Room, tier: Tier, report: Report) -> None:
    """Refuse more pods than fit; where not even one fits alone, its size has been refused."""
    if workload.count <= room.left or room.alone == 0:
        return
    quota = (
        f"the friend's quota ({tier.pods} pods, {tier.quota_cpu} CPU, {tier.quota_memory} of memory"
        f" and {tier.quota_storage} of ephemeral storage)"
    )
    if workload.count > room.alone:
        message = f"{workload.field} must be at most {room.alone}: {quota} has no room for more."
    else:
        message = (
            f"{workload.field} must be at most {room.left} beside the other Deployments of the"
            f" request: {quota} has no room for more."
        )
    fix = add(workload.at, room.left) if room.left else None
    report.refuse(workload.at, message, fix)
