"""Whether what was applied runs, told from what the cluster shows now, and why it does not.

what the cluster shows                                    readiness
-------------------------------------------------------   ---------------------------------------
all replicas new and available; a Job complete            ready
a Service, ConfigMap or CronJob: there is no rollout      ready
on its way; a Job that tries again                        waiting
refused, not pullable, not schedulable, crashing, paused  failing: the caller decides how long
past its deadline, a Job failed, gone                     failed
"""

from collections.abc import Sequence

from chalicelib.domain import kinds
from chalicelib.domain.kinds import ObjectRef
from chalicelib.domain.kube_json import name_of
from chalicelib.domain.model import JsonObject
from chalicelib.domain.rollouts.deployments import judge_deployment
from chalicelib.domain.rollouts.jobs import judge_absent_job, judge_job
from chalicelib.domain.rollouts.readiness import READY, Observation, Readiness, Verdict, gone

__all__ = ["READY", "Observation", "Readiness", "Verdict", "judge"]


def judge(ref: ObjectRef, observed: Observation) -> Verdict:
    """Return how far an applied object is.

    Call it inside summaries.well_formed(): an object that has not the shape of its kind raises
    AttributeError, IndexError, KeyError or TypeError.
    """
    if ref.kind == kinds.DEPLOYMENT:
        deployment = _find(ref, observed.deployments)
        if deployment is None or "deletionTimestamp" in deployment["metadata"]:
            return gone(ref)
        return judge_deployment(deployment, observed)
    if ref.kind == kinds.JOB:
        job = _find(ref, observed.jobs)
        if job is None:
            return judge_absent_job(ref, observed.events)
        return judge_job(job, ref, observed)
    return READY


def _find(ref: ObjectRef, listed: Sequence[JsonObject]) -> JsonObject | None:
    return next((each for each in listed if name_of(each) == ref.name), None)
