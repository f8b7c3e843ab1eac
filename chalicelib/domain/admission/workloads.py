"""The bounds of a Deployment, a Job and a CronJob themselves; what they run is another rule's.

A friend's workload must end some time (a Job), leave little behind, not pile up (a CronJob), and
keep its controller's work small.
"""

import re
from typing import Final

from chalicelib.domain.admission.bounds import Choice, Range, check_choice, check_ranges
from chalicelib.domain.admission.report import Report, add, child, remove
from chalicelib.domain.admission.schedules import check_schedule
from chalicelib.domain.admission.strategies import check_strategy
from chalicelib.domain.model import JsonObject

REPLICAS: Final = Range(0, 100)
PARALLELISM: Final = Range(0, 10)
COMPLETIONS: Final = Range(1, 100)
BACKOFFS: Final = Range(0, 10)
HISTORIES: Final = Range(0, 10)
TTL_SECONDS: Final = 3600

_DEPLOYMENT: Final = {
    "replicas": REPLICAS,
    "revisionHistoryLimit": Range(0, 10),
    "minReadySeconds": Range(0, 300),
    "progressDeadlineSeconds": Range(1, 3600),
}
# The cluster's own default, and more than the longest minReadySeconds.
_PROGRESS_DEADLINE_SECONDS: Final = 600
_DEPLOYMENT_RESTARTS: Final = Choice(("Always",))

_JOB: Final = {
    "parallelism": PARALLELISM,
    "completions": COMPLETIONS,
    "backoffLimit": BACKOFFS,
    "activeDeadlineSeconds": Range(1, 86_400),
    # Long enough to read what became of it; finished pods count in the quota until then.
    "ttlSecondsAfterFinished": Range(600, 86_400),
}
# What multiplies a Job's retries, hands it to another controller, or takes over pods not its own.
_REFUSED_IN_JOBS: Final = (
    "backoffLimitPerIndex",
    "managedBy",
    "manualSelector",
    "maxFailedIndexes",
    "podFailurePolicy",
    "podReplacementPolicy",
    "selector",
    "successPolicy",
)
_COMPLETION_MODES: Final = Choice(("NonIndexed", "Indexed"))
_JOB_RESTARTS: Final = Choice(("OnFailure", "Never"), required=True)

_CRON_JOB: Final = {
    "successfulJobsHistoryLimit": HISTORIES,
    "failedJobsHistoryLimit": HISTORIES,
    "startingDeadlineSeconds": Range(10, 86_400),
}
_CONCURRENCY_POLICIES: Final = Choice(("Forbid", "Replace"), required=True)
# Lambda's Python comes without a time zone database: a wrong city is the cluster's to refuse.
_TIME_ZONE: Final = re.compile(
    r"UTC|(?:Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Etc|Europe|Indian|Pacific)"
    r"(?:/[A-Za-z][A-Za-z0-9_+-]{0,30}){1,2}"
)


def check_deployment(manifest: JsonObject, at: str, report: Report) -> None:
    """Refuse a Deployment outside our bounds, or that the cluster would refuse for its own."""
    at, spec = child(at, "spec"), manifest.get("spec")
    if spec is None:
        report.refuse(at, "spec is required: a selector and a pod template.")
        return
    given = check_ranges(spec, _DEPLOYMENT, at, report)
    deadline = given.get("progressDeadlineSeconds", _PROGRESS_DEADLINE_SECONDS)
    if deadline <= given.get("minReadySeconds", 0):
        pointer = child(at, "progressDeadlineSeconds")
        message = "progressDeadlineSeconds must be greater than minReadySeconds."
        report.refuse(pointer, message, add(pointer, _PROGRESS_DEADLINE_SECONDS))
    check_strategy(spec.get("strategy", {}), child(at, "strategy"), report)
    _check_restart_policy(spec, at, _DEPLOYMENT_RESTARTS, report)


def check_job(manifest: JsonObject, at: str, report: Report) -> None:
    """Refuse a Job outside our bounds, one that stays after it is done, and one that is odd."""
    at, spec = child(at, "spec"), manifest.get("spec")
    if spec is None:
        report.refuse(at, "spec is required: a pod template.")
        return
    if spec.get("ttlSecondsAfterFinished") is None:
        pointer = child(at, "ttlSecondsAfterFinished")
        message = "ttlSecondsAfterFinished is required, so that a Job that is done goes away."
        report.refuse(pointer, message, add(pointer, TTL_SECONDS))
    _check_job_spec(spec, at, report)


def _check_job_spec(spec: JsonObject, at: str, report: Report) -> None:
    given = check_ranges(spec, _JOB, at, report)
    for name in _REFUSED_IN_JOBS:
        if name in spec:
            pointer = child(at, name)
            report.refuse(pointer, f"{name} cannot be set in a friend's Job.", remove(pointer))
    mode = check_choice(spec, "completionMode", _COMPLETION_MODES, at, report)
    if mode == "Indexed" and "completions" not in given:
        pointer = child(at, "completions")
        message = "completions is required where completionMode is Indexed."
        report.refuse(pointer, message, add(pointer, max(given.get("parallelism", 1), 1)))
    _check_restart_policy(spec, at, _JOB_RESTARTS, report)


def check_cron_job(manifest: JsonObject, at: str, report: Report) -> None:
    """Refuse a CronJob that runs too often, never, or beside itself, and Jobs outside our bounds.

    Its Jobs need no ttlSecondsAfterFinished: its own history limits let them go.
    """
    at, spec = child(at, "spec"), manifest.get("spec")
    if spec is None:
        report.refuse(at, "spec is required: a schedule and a jobTemplate.")
        return
    check_ranges(spec, _CRON_JOB, at, report)
    check_schedule(spec.get("schedule"), child(at, "schedule"), report)
    check_choice(spec, "concurrencyPolicy", _CONCURRENCY_POLICIES, at, report)
    if not _TIME_ZONE.fullmatch(spec.get("timeZone", "UTC")):
        message = "timeZone must be the IANA name of a time zone, such as Etc/UTC or Europe/Berlin."
        report.refuse(child(at, "timeZone"), message)
    pointer = child(at, "jobTemplate", "spec")
    job = spec.get("jobTemplate", {}).get("spec")
    if job is None:
        report.refuse(pointer, "jobTemplate.spec is required: a Job's spec.")
    else:
        _check_job_spec(job, pointer, report)


def _check_restart_policy(spec: JsonObject, at: str, choice: Choice, report: Report) -> None:
    template, at = spec.get("template"), child(at, "template")
    if template is None:
        report.refuse(at, "template is required: the pod that runs.")
    elif template.get("spec") is not None:
        check_choice(template["spec"], "restartPolicy", choice, child(at, "spec"), report)
