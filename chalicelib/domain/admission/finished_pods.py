"""How many pods a request may leave behind: what has finished stays until its Job goes.

A ResourceQuota's pods counts what runs; its count/pods counts all. Each Job is held against it by
the most that it can leave, the Jobs of a request together by what they leave if nothing fails.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.domain import kinds
from chalicelib.domain.admission.report import Patch, Report, add, child
from chalicelib.domain.admission.workloads import (
    BACKOFFS,
    COMPLETIONS,
    HISTORIES,
    PARALLELISM,
    REPLICAS,
)
from chalicelib.domain.model import JsonObject
from chalicelib.domain.tiers import Tier

COUNTED_AS: Final = "count/pods"
# Kubernetes' defaults.
_BACKOFF: Final = 6
_SUCCESSFUL_JOBS: Final = 3
_FAILED_JOBS: Final = 1


@dataclass
class _Room:
    """How many pods the quota has room for: in all, and beside the request's other workloads."""

    most: int
    left: int

    def take(self, count: int) -> None:
        """Leave less room to the others."""
        self.left -= min(count, self.left)


def check_finished_pods(
    manifests: Sequence[tuple[str, JsonObject]], tier: Tier, report: Report
) -> None:
    """Refuse Jobs and CronJobs whose pods, finished ones among them, the quota has no room for."""
    most = tier.object_counts[COUNTED_AS]
    room = _Room(most, most)
    for at, manifest in manifests:
        spec, pointer = manifest.get("spec", {}), child(at, "spec")
        if manifest.get("kind") == kinds.DEPLOYMENT.name:
            room.take(min(REPLICAS.clamp(spec.get("replicas", 1)), tier.pods))
        elif manifest.get("kind") == kinds.JOB.name:
            _check_job(spec, pointer, room, report)
        elif manifest.get("kind") == kinds.CRON_JOB.name:
            _check_cron_job(spec, pointer, room, report)


def _check_job(spec: JsonObject, at: str, room: _Room, report: Report) -> None:
    wanted = _check_run(spec, at, room, report)
    if wanted > room.left:
        field = "completions" if "completions" in spec else "parallelism"
        message = (
            f"{field} must be at most {room.left} beside the other workloads of the request:"
            f" {_why(room)} Apply it when the others are done."
        )
        fix = add(child(at, field), room.left) if room.left else None
        report.refuse(child(at, field), message, fix)
    room.take(wanted)


def _check_cron_job(spec: JsonObject, at: str, room: _Room, report: Report) -> None:
    job, job_at = spec.get("jobTemplate", {}).get("spec", {}), child(at, "jobTemplate", "spec")
    wanted = _check_run(job, job_at, room, report)
    pods = wanted + _retries_of(job)
    succeeded = HISTORIES.clamp(spec.get("successfulJobsHistoryLimit", _SUCCESSFUL_JOBS))
    failed = HISTORIES.clamp(spec.get("failedJobsHistoryLimit", _FAILED_JOBS))
    pointer = child(at, "successfulJobsHistoryLimit")
    # One Job more is the one that runs.
    if pods * (succeeded + failed + 1) > room.most:
        message = (
            f"Each Job of this CronJob may leave {pods} pods, and the history limits let"
            f" {succeeded + failed + 1} Jobs exist at once: {_why(room)} Keep fewer Jobs, or lower"
            " backoffLimit."
        )
        kept = room.most // pods - 1
        failed = min(failed, 1, kept)
        succeeded = min(succeeded, kept - failed)
        fix: Patch = (
            *add(pointer, succeeded),
            *add(child(at, "failedJobsHistoryLimit"), failed),
        )
        report.refuse(pointer, message, fix)
    count = wanted * (succeeded + 1)
    if count > room.left:
        message = (
            f"The Jobs that this CronJob keeps leave {count} pods, in addition to the pods of the"
            f" request's other workloads: {_why(room)} Keep fewer Jobs."
        )
        report.refuse(pointer, message)
    room.take(count)


def _check_run(spec: JsonObject, at: str, room: _Room, report: Report) -> int:
    """Refuse a Job that leaves more pods than there is room for. Return those it wants, mended."""
    wanted, retries = _wanted_by(spec), _retries_of(spec)
    if wanted + retries <= room.most:
        return wanted
    most = room.most - retries
    pointer = child(at, "completions")
    failing = f"backoffLimit may add {retries} failed pods, and " if retries else ""
    message = f"completions must be at most {most}: {failing}{_why(room)}"
    report.refuse(pointer, message, add(pointer, most))
    return most


def _why(room: _Room) -> str:
    return f"the friend's quota has room for {room.most} pods, finished ones included."


def _wanted_by(spec: JsonObject) -> int:
    if "completions" in spec:
        return COMPLETIONS.clamp(spec["completions"])
    return max(PARALLELISM.clamp(spec.get("parallelism", 1)), 1)


def _retries_of(spec: JsonObject) -> int:
    """Return how many failed pods a Job may leave; with OnFailure, containers restart in them."""
    policy = spec.get("template", {}).get("spec", {}).get("restartPolicy")
    return BACKOFFS.clamp(spec.get("backoffLimit", _BACKOFF)) if policy == "Never" else 0
