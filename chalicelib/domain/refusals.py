"""Why the cluster refuses an object or a workload's pods, told from the refusal's text.

The text may quote a manifest or a webhook's secrets. What is told of it is only what has the exact
shape of a quota's figures, a limit, or a rule of the Pod Security Standards. Sources: the wording
in k8s.io/apiserver, resourcequota/controller.go; plugin/pkg/admission/limitranger; and
k8s.io/pod-security-admission, policy.
"""

import re
from dataclasses import dataclass
from typing import Final

from chalicelib.domain.kube_json import cut

_LONGEST_TEXT: Final = 300
_LONG_WORD: Final = re.compile(r"[^ ]{65,}")
_FIGURES: Final = rf"[\w./=,-]{{1,{_LONGEST_TEXT}}}"
_QUOTA: Final = re.compile(
    rf"exceeded quota: (?P<name>[a-z0-9.-]{{1,64}}), requested: (?P<requested>{_FIGURES}), "
    rf"used: (?P<used>{_FIGURES}), limited: (?P<limited>{_FIGURES})",
    re.ASCII,
)
_FINISHED_PODS: Final = (
    " Finished pods count: a Job's go with it, after its ttlSecondsAfterFinished, and a "
    "Deployment's that failed when it is deleted."
)
_LIMIT: Final = re.compile(
    r"(?P<bound>(?:maximum|minimum) [a-z-]{1,32} usage per (?:Container|Pod) is [0-9A-Za-z.]{1,32})"
    r"(?:, but (?P<given>(?:limit|request) is [0-9A-Za-z.]{1,32})|\. No (?:limit|request) is)"
)
_POD_SECURITY: Final = re.compile(
    r'violates PodSecurity "(?P<level>[a-z]{1,16}):[a-z0-9.]{1,16}": '
    r'(?P<rules>[A-Za-z0-9 !=():;,."\[\]/_-]{1,2000})\Z'
)


IN_PLACE: Final = 'spec.strategy {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}'
"""What ends an old pod before its successor starts. A live Deployment takes it, unlike Recreate."""


@dataclass(frozen=True)
class Trouble:
    """What is wrong: a stable code, and what to do about it in a sentence or two."""

    reason: str
    message: str


def explain_refusal(text: str) -> Trouble:
    """Return what a refused pod needs. text is the API server's, as a condition or event has it."""
    if quota := explain_quota(text):
        return quota
    if "violates PodSecurity" in text:
        return Trouble("pod_security", _explain_pod_security(text))
    if limit := _LIMIT.search(text):
        given = f", but the {limit['given']}" if limit["given"] else ", and nothing is said"
        msg = f"The cluster refuses the pods: the {limit['bound']}{given}. Correct the resources."
        return Trouble("limit_exceeded", msg)
    msg = (
        "The cluster refuses the pods. The events of GET /api/friends/<id>/namespace/status say "
        "why."
    )
    return Trouble("pods_refused", msg)


def explain_quota(text: str) -> Trouble | None:
    """Return what exceeds a quota, if that is why the API server refuses an object."""
    if "exceeded quota" not in text:
        return None
    quota = _QUOTA.search(text)
    figures = (
        f": requested {quota['requested']}, used {quota['used']}, limited to {quota['limited']}"
        if quota
        else ""
    )
    name = f" {quota['name']}" if quota else ""
    finished = _FINISHED_PODS if quota and "count/pods" in quota["requested"] else ""
    msg = (
        f"The friend's quota{name} admits no more of this{figures}. "
        "Ask for less, delete a Deployment that is not needed, or ask an admin to delete the rest."
        f"{finished}"
    )
    return Trouble("quota_exceeded", msg)


def _explain_pod_security(text: str) -> str:
    remedy = "Correct the pod template; ?harden=true fills in what is absent."
    broken = _POD_SECURITY.search(text)
    if broken is None:
        return f"The pods break the namespace's Pod Security Standard. {remedy}"
    rules = cut(_LONG_WORD.sub("…", broken["rules"]), _LONGEST_TEXT)
    return f"The pods break the {broken['level']} Pod Security Standard: {rules}. {remedy}"
