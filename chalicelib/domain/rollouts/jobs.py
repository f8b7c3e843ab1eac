"""Whether a Job has done its work, and why not.

How often a Job tries is its owner's decision (backoffLimit), so a crash is not yet its failure: it
waits to try again, and the verdict already tells how the last try ended. Source of the conditions:
Kubernetes, batch/v1 JobStatus.
"""

from collections.abc import Sequence
from typing import Final

from chalicelib.domain.kinds import ObjectRef
from chalicelib.domain.kube_json import condition_of, created_at, dig, name_of, newest
from chalicelib.domain.model import JsonObject
from chalicelib.domain.refusals import Trouble
from chalicelib.domain.rollouts.pods import find_crash, find_trouble
from chalicelib.domain.rollouts.readiness import (
    READY,
    Observation,
    Readiness,
    Verdict,
    find_refusal,
    gone,
    verdict,
)

_OVER: Final = frozenset({"Succeeded", "Failed"})


def judge_job(job: JsonObject, ref: ObjectRef, observed: Observation) -> Verdict:
    """Return how far the Job is."""
    pods = [each for each in observed.pods if _is_owned(each, job)]
    if condition_of(job, "Complete").get("status") == "True":
        return READY
    failure = condition_of(job, "Failed")
    if failure.get("status") == "True":
        return verdict(Readiness.FAILED, _explain_failure(str(failure.get("reason")), pods))
    if "deletionTimestamp" in job["metadata"]:
        return gone(ref)
    if dig(job, "spec", "suspend"):
        msg = "The Job is suspended, so it runs nothing. Apply it without spec.suspend."
        return Verdict(Readiness.FAILING, "suspended", msg)
    if trouble := _find_trouble(job, pods, observed.events):
        return verdict(Readiness.FAILING, trouble)
    return verdict(Readiness.WAITING, _explain_progress(job, pods))


def judge_absent_job(ref: ObjectRef, events: Sequence[JsonObject]) -> Verdict:
    """Return what became of a Job that is gone: its ttlSecondsAfterFinished may just be over."""
    last = newest(events, "Job", ref.name)
    if last.get("reason") == "Completed":
        return READY
    msg = (
        "The Job is gone: deleted, or over for its ttlSecondsAfterFinished. Apply it with more "
        "of these seconds to see how it ends."
    )
    return Verdict(Readiness.FAILED, "missing", msg)


def _is_owned(pod: JsonObject, job: JsonObject) -> bool:
    wanted = ("Job", name_of(job), job["metadata"].get("uid"))
    owners = dig(pod, "metadata", "ownerReferences") or []
    return any((each["kind"], each["name"], each.get("uid")) == wanted for each in owners)


def _find_trouble(
    job: JsonObject, pods: Sequence[JsonObject], events: Sequence[JsonObject]
) -> Trouble | None:
    for pod in pods:
        leaves = "deletionTimestamp" in pod["metadata"]
        if leaves or dig(pod, "status", "phase") in _OVER:
            continue
        if found := find_trouble(pod, events):
            return found
    return find_refusal(job, pods, newest(events, "Job", name_of(job)))


def _find_last_crash(pods: Sequence[JsonObject]) -> Trouble | None:
    # A sidecar of a pod that succeeded was stopped: how it ended is no news.
    unlucky = [each for each in pods if dig(each, "status", "phase") != "Succeeded"]
    newest_first = sorted(unlucky, key=lambda each: created_at(each) or "", reverse=True)
    return next((found for pod in newest_first if (found := find_crash(pod))), None)


def _explain_failure(reason: str, pods: Sequence[JsonObject]) -> Trouble:
    if reason == "DeadlineExceeded":
        msg = "The Job did not end within its activeDeadlineSeconds. Raise them, or do less."
        return Trouble("job_deadline", msg)
    crash = _find_last_crash(pods)
    advice = (
        crash.message if crash else "The events of GET /api/friends/<id>/namespace/status say more."
    )
    return Trouble("job_failed", f"The Job failed, and is not tried again. {advice}")


def _explain_progress(job: JsonObject, pods: Sequence[JsonObject]) -> Trouble:
    if crash := _find_last_crash(pods):
        msg = f"A try failed; the Job tries again, up to its backoffLimit. {crash.message}"
        return Trouble("job_retrying", msg)
    wanted = dig(job, "spec", "completions")
    done = dig(job, "status", "succeeded") or 0
    msg = f"{done} of {1 if wanted is None else wanted} completions are done. Wait."
    return Trouble("job_running", msg)
