"""What an agent is shown of cluster objects: an allowlist of fields, never an object whole.

Environment values, arguments and annotations stay behind: they are where secrets hide.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from chalicelib.domain.errors import not_understood
from chalicelib.domain.ingress_routes import match_host
from chalicelib.domain.kube_json import created_at, cut, dig, last_seen, name_of, true_conditions
from chalicelib.domain.model import JsonObject

if TYPE_CHECKING:  # A cold start does not load what only mypy and the description read.
    from chalicelib.domain import shown_objects as objects

_STARTING: Final = frozenset({"ContainerCreating", "PodInitializing"})
_MOST_EVENTS: Final = 50
_LONGEST_MESSAGE: Final = 1500
_LONGEST_READ: Final = 4 * _LONGEST_MESSAGE
# What begins in a message that was cut may end with it.
_QUOTED: Final = re.compile(
    r"""(?<!\w)(?:"(?:[^"\\]|\\.)*(?:"|\\?\Z)|'[^']*(?:'(?!\w)|\Z)|`[^`]*(?:`|\Z)|“[^”]*(?:”|\Z))""",
    re.DOTALL,
)
# A URL keeps its quotes: what is in it is seen to afterwards.
_NO_NAME: Final = re.compile(r"[\s\\]|\A.-|\A(?!.*://).*=")
_COMMANDS_AND_URLS: Final = (
    (re.compile(r"\bhook \(.*?(?:\)(?= for Container)|\Z)", re.DOTALL), "hook (…)"),
    (re.compile(r"""\b(exec:|command|executable file) ["'`][^"'`]*["'`]?"""), r'\1 "…"'),
    (re.compile(r"\b(stat|fork/exec) .*?(?=: |\Z)", re.DOTALL), r"\1 …"),
    (re.compile(r'://(?:(?!://)[^\s"])*@'), "://"),
    (re.compile(r'(://[^\s/?#"]*)[/?#][^\s"]*[^\s":]'), r"\1/…"),
)


@contextmanager
def well_formed() -> Iterator[None]:
    """Tell a cluster's object that has not the shape of its kind from a bug of ours.

    A custom resource may hold anything where its definition is loose, so this is not the API
    server's doing alone. Raises UpstreamFailed.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise not_understood() from error


def summarise_pod(pod: JsonObject) -> "objects.Pod":
    """Return one pod's line; reason says why it does not start, or is None. age is a timestamp."""
    containers = _summarise_containers(pod)
    return {
        "name": name_of(pod),
        "status": _pod_status(pod),
        "ready": bool(containers) and all(each["ready"] for each in containers),
        "restarts": sum(each["restarts"] for each in containers),
        "image": containers[0]["image"] if containers else None,
        "age": created_at(pod),
        "reason": _pod_reason(pod, containers),
        "containers": containers,
    }


def summarise_service(service: JsonObject) -> "objects.Service":
    """Return one Service's line."""
    spec = service.get("spec", {})
    return {
        "name": name_of(service),
        "type": spec.get("type"),
        "clusterIP": spec.get("clusterIP"),
        "ports": [_summarise_port(port) for port in spec.get("ports") or []],
    }


def _summarise_port(port: JsonObject) -> "objects.ServicePort":
    return {
        "name": port.get("name"),
        "port": port.get("port"),
        "targetPort": port.get("targetPort"),
        "protocol": port.get("protocol"),
    }


def summarise_deployment(deployment: JsonObject) -> "objects.Deployment":
    """Return one Deployment's line; replicas is ready/desired."""
    containers = dig(deployment, "spec", "template", "spec", "containers") or [{}]
    desired = dig(deployment, "spec", "replicas")
    ready = dig(deployment, "status", "readyReplicas") or 0
    return {
        "name": name_of(deployment),
        "replicas": f"{ready}/{1 if desired is None else desired}",
        "image": containers[0].get("image"),
        "age": created_at(deployment),
    }


def summarise_job(job: JsonObject) -> "objects.Job":
    """Return one Job's line; completions is succeeded/wanted."""
    conditions = {each["type"] for each in true_conditions(job)}
    status = "Running"
    if "Complete" in conditions:
        status = "Complete"
    elif "Failed" in conditions:
        status = "Failed"
    wanted = dig(job, "spec", "completions")
    return {
        "name": name_of(job),
        "status": status,
        "completions": f"{dig(job, 'status', 'succeeded') or 0}/{1 if wanted is None else wanted}",
        "age": created_at(job),
    }


def summarise_cron_job(cron_job: JsonObject) -> "objects.CronJob":
    """Return one CronJob's line."""
    return {
        "name": name_of(cron_job),
        "schedule": dig(cron_job, "spec", "schedule"),
        "suspended": bool(dig(cron_job, "spec", "suspend")),
        "last_scheduled": dig(cron_job, "status", "lastScheduleTime"),
        "age": created_at(cron_job),
    }


def summarise_quota(quota: JsonObject | None) -> "objects.Quota | None":
    """Return the quota's limits and use, or None when there is no quota."""
    if quota is None:
        return None
    hard = dig(quota, "status", "hard") or dig(quota, "spec", "hard") or {}
    return {"hard": hard, "used": dig(quota, "status", "used") or {}}


def summarise_ingress_route(route: JsonObject) -> "objects.RouteTarget":
    """Return one IngressRoute's line: its first rule's host and service."""
    rules = dig(route, "spec", "routes") or [{}]
    services = rules[0].get("services") or [{}]
    return {
        "name": name_of(route),
        "hostname": match_host(str(rules[0].get("match", ""))),
        "service": services[0].get("name"),
    }


def explain(
    events: Iterable[JsonObject],
    *,
    pods: Sequence[JsonObject],
    deployments: Sequence[JsonObject],
    jobs: Sequence[JsonObject],
) -> "list[objects.Event]":
    """Return the warnings about what does not run now, the newest first.

    A Deployment whose pods are refused says so only in an event on its ReplicaSet, which is why
    a ReplicaSet's event counts while a Deployment of that name lacks replicas. Warnings about
    what has recovered, or is gone, are left out: those from before a namesake was made, too.
    """
    troubled = {("Pod", name_of(pod)): pod for pod in pods if not _runs(pod)}
    short = {name_of(each): each for each in deployments if not _is_available(each)}
    troubled |= {("Deployment", name): each for name, each in short.items()}
    troubled |= {("Job", name_of(job)): job for job in jobs if not _is_complete(job)}

    def concerns(event: JsonObject) -> bool:
        subject = event.get("involvedObject", {})
        kind, name = subject.get("kind"), str(subject.get("name"))
        if kind == "ReplicaSet":
            thing = short.get(name.rpartition("-")[0])
        else:
            thing = troubled.get((kind, name))
        # Both in whole seconds, which is all that a creation has.
        return thing is not None and last_seen(event)[:19] >= str(created_at(thing))[:19]

    warnings = [each for each in events if each.get("type") == "Warning" and concerns(each)]
    newest_first = sorted(warnings, key=last_seen, reverse=True)
    return [_summarise_event(each) for each in newest_first[:_MOST_EVENTS]]


def _summarise_event(event: JsonObject) -> "objects.Event":
    subject = event.get("involvedObject", {})
    return {
        "kind": subject.get("kind"),
        "name": subject.get("name"),
        "reason": event.get("reason"),
        "message": cut(_discreet(str(event.get("message", ""))), _LONGEST_MESSAGE),
        "count": event.get("count") or dig(event, "series", "count") or 1,
        "last_seen": last_seen(event) or None,
    }


def _discreet(message: str) -> str:
    """Return an event's message without the commands and most of the URLs that it quotes.

    They are the friend's own manifest's, or a registry's, with passwords and signatures in them. By
    what the kubelet and its runtimes write: nobody promises it. A word in quotes may be a name.
    """
    shown = _QUOTED.sub(_without_arguments, cut(message, _LONGEST_READ))
    for pattern, instead in _COMMANDS_AND_URLS:
        shown = pattern.sub(instead, shown)
    return shown


def _without_arguments(quoted: re.Match[str]) -> str:
    return '"…"' if _NO_NAME.search(quoted[0]) else quoted[0]


def _summarise_containers(pod: JsonObject) -> "list[objects.Container]":
    statuses = {each["name"]: each for each in dig(pod, "status", "containerStatuses") or []}
    return [
        _summarise_container(container, statuses.get(container["name"], {}))
        for container in dig(pod, "spec", "containers") or []
    ]


def _summarise_container(container: JsonObject, status: JsonObject) -> "objects.Container":
    state = status.get("state") or {}
    name = next(iter(state), None)
    return {
        "name": container["name"],
        "image": container.get("image"),
        "ready": bool(status.get("ready")),
        "restarts": status.get("restartCount", 0),
        "state": name,
        "reason": (state[name] or {}).get("reason") if name else None,
    }


def _pod_status(pod: JsonObject) -> str:
    if dig(pod, "metadata", "deletionTimestamp"):
        return "Terminating"
    return str(dig(pod, "status", "phase") or "Unknown")


def _pod_reason(pod: JsonObject, containers: "Sequence[objects.Container]") -> str | None:
    if _runs(pod):
        return None
    reasons = [each["reason"] for each in containers if each["state"] != "running"]
    told = next((each for each in reasons if each and each not in _STARTING), None)
    unscheduled = next(
        (
            each.get("reason")
            for each in dig(pod, "status", "conditions") or []
            if each.get("type") == "PodScheduled" and each.get("status") == "False"
        ),
        None,
    )
    return told or dig(pod, "status", "reason") or unscheduled


def _runs(pod: JsonObject) -> bool:
    if dig(pod, "status", "phase") == "Succeeded":
        return True
    return any(each["type"] == "Ready" for each in true_conditions(pod))


def _is_available(deployment: JsonObject) -> bool:
    desired = dig(deployment, "spec", "replicas")
    ready = dig(deployment, "status", "readyReplicas") or 0
    updated = dig(deployment, "status", "updatedReplicas") or 0
    return bool(min(ready, updated) >= (1 if desired is None else desired))


def _is_complete(job: JsonObject) -> bool:
    return any(each["type"] == "Complete" for each in true_conditions(job))
