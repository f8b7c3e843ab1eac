"""Why one pod does not run, told from its status and its events.

What kubelet and runtime write is free text: only their reasons, exit codes and names of the exact
shape of a Kubernetes name are told. Source of the reasons: k8s.io/kubernetes, pkg/kubelet/images
and pkg/kubelet/container.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from chalicelib.domain.kube_json import condition_of, cut, dig, name_of, newest
from chalicelib.domain.model import JsonObject
from chalicelib.domain.refusals import Trouble

_LONGEST_VALUE: Final = 64
_PULL: Final = frozenset(
    {
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_CONFIG: Final = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
_MOUNT: Final = frozenset({"FailedAttachVolume", "FailedMount"})
_WORD: Final = re.compile(r"[A-Za-z]{1,64}")
_ABSENT: Final = re.compile(r'\b(?P<kind>configmap|secret) "(?P<name>[a-z0-9.-]{1,64})" not found')
_NO_KEY: Final = re.compile(
    r"couldn't find key (?P<key>[\w.-]{1,64}) in (?P<kind>ConfigMap|Secret)"
)
_SCARCE: Final = re.compile(r"Insufficient ([a-z][a-z0-9./-]{0,63})")
# What an ending means that no log tells.
_ENDINGS: Final = {
    "OOMKilled": "It took more memory than its limit: raise the limit, or use less.",
    "StartError": "Its command cannot be started: correct command and args.",
    "ContainerCannotRun": "Its command cannot be started: correct command and args.",
}


def find_trouble(pod: JsonObject, events: Sequence[JsonObject]) -> Trouble | None:
    """Return what keeps the pod from running and may last: no crash, only what precedes it."""
    for status in _statuses(pod):
        reason = dig(status, "state", "waiting", "reason")
        name = cut(str(status["name"]), _LONGEST_VALUE)
        if reason in _PULL:
            msg = f"The image of container {name} cannot be pulled. Correct its name and tag."
            return Trouble("image_pull", msg)
        if reason in _CONFIG:
            text = str(dig(status, "state", "waiting", "message"))
            msg = f"Container {name} cannot be created: {_explain_config(text)}"
            return Trouble("container_config", msg)
    return _find_mount_trouble(pod, events) or _find_no_node(pod)


def find_crash(pod: JsonObject) -> Trouble | None:
    """Return how a container of the pod ended that should not have, if one did."""
    ends_well = dig(pod, "spec", "restartPolicy") in {"Never", "OnFailure"}
    initial = {each["name"] for each in dig(pod, "status", "initContainerStatuses") or []}
    for status in _statuses(pod):
        ended = _ended(status)
        if ended is None:
            continue
        code = ended.get("exitCode")
        if code != 0 or not (ends_well or status["name"] in initial):
            return Trouble("crash_loop", _explain_crash(pod, status, ended))
    return None


def find_unready(pod: JsonObject) -> Trouble | None:
    """Return what to look at where a container runs, and is not ready to take traffic."""
    for status in dig(pod, "status", "containerStatuses") or []:
        if "running" in (status.get("state") or {}) and not status.get("ready"):
            name = str(status["name"])
            msg = (
                f"Container {cut(name, _LONGEST_VALUE)} runs, and is not ready yet. If that lasts, "
                f"GET {_log_path(pod, name)} shows its log; look at its readinessProbe too."
            )
            return Trouble("not_ready", msg)
    return None


def _statuses(pod: JsonObject) -> Iterator[JsonObject]:
    for group in ("initContainerStatuses", "containerStatuses"):
        yield from dig(pod, "status", group) or []


def _ended(status: JsonObject) -> JsonObject | None:
    """Return how the container ended, unless it runs again or waits for something else."""
    state = status.get("state") or {}
    ended: JsonObject | None = state.get("terminated")
    if dig(state, "waiting", "reason") == "CrashLoopBackOff":
        ended = dig(status, "lastState", "terminated") or {}
    return ended


def _explain_crash(pod: JsonObject, status: JsonObject, ended: JsonObject) -> str:
    name, reason = str(status["name"]), str(ended.get("reason"))
    shown = f" ({reason})" if _WORD.fullmatch(reason) else ""
    code = cut(str(ended.get("exitCode", "unknown")), _LONGEST_VALUE)
    told = f"Container {cut(name, _LONGEST_VALUE)} ended with exit code {code}{shown}."
    if ended.get("exitCode") == 0:
        return f"{told} A Deployment's container has to keep running: a Job's may end."
    previous = "&previous=true" if "waiting" in status["state"] else ""
    advice = _ENDINGS.get(reason) or f"GET {_log_path(pod, name)}{previous} shows its log."
    return f"{told} {advice}"


def _explain_config(text: str) -> str:
    if absent := _ABSENT.search(text):
        return f"there is no {absent['kind']} {absent['name']}. Apply it, or correct the reference."
    if no_key := _NO_KEY.search(text):
        return f"a {no_key['kind']} has no key {no_key['key']}. Add it, or correct the reference."
    if "runAsNonRoot" in text:
        return "its image runs as root. Set securityContext.runAsUser, or take another image."
    return (
        "correct its command, environment and mounts. GET /api/friends/<id>/namespace/status has "
        "the events."
    )


def _find_mount_trouble(pod: JsonObject, events: Sequence[JsonObject]) -> Trouble | None:
    last = newest(events, "Pod", name_of(pod), dig(pod, "metadata", "uid"))
    if dig(pod, "status", "phase") != "Pending" or last.get("reason") not in _MOUNT:
        return None
    absent = _ABSENT.search(str(last.get("message")))
    why = (
        f"there is no {absent['kind']} {absent['name']}"
        if absent
        else "see GET /api/friends/<id>/namespace/status"
    )
    msg = (
        f"A volume of the pod cannot be mounted: {why}. Apply what is missing, or correct volumes."
    )
    return Trouble("volume_mount", msg)


def _find_no_node(pod: JsonObject) -> Trouble | None:
    condition = condition_of(pod, "PodScheduled")
    if (condition.get("status"), condition.get("reason")) != ("False", "Unschedulable"):
        return None
    scarce = sorted(set(_SCARCE.findall(str(condition.get("message")))))
    lacking = f" with enough {' and '.join(scarce[:4])}" if scarce else " that it may run on"
    msg = f"The cluster has no node{lacking} for the pod. Ask for less, or ask an admin for more."
    return Trouble("unschedulable", msg)


def _log_path(pod: JsonObject, container: str) -> str:
    names = (cut(each, _LONGEST_VALUE) for each in (name_of(pod), container))
    return "/api/friends/<id>/namespace/logs/{}?container={}".format(*names)
