"""Lists as tables: what `kubectl get` asks for, and prints as it comes.

Every kind has the columns of the API server's printers; what `-o wide` adds is left out. Source:
k8s.io/kubernetes/pkg/printers/internalversion/printers.go.
"""

import time
from calendar import timegm
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from infra.local import kube_objects as kinds
from infra.local.kube_objects import Json, Kind, Obj

Cells: TypeAlias = list[Json]

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_NONE: Final = "<none>"
_DONE: Final = "Completed"


def is_asked_for(accept: str) -> bool:
    """Tell whether an Accept header asks for a table before anything else."""
    first = accept.partition(",")[0].replace(" ", "")
    return "as=Table" in first.split(";")


def build_table(kind: Kind, objects: Sequence[Obj], metadata: Mapping[str, Json]) -> Obj:
    """Return the objects as a table, one row each, with what identifies them beside it."""
    columns, cells = _PRINTERS.get(kind, (("Name", "Age"), _name_alone))
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(metadata),
        "columnDefinitions": [_column(name) for name in columns],
        "rows": [{"cells": cells(each), "object": _identify(each)} for each in objects],
    }


def _column(name: str) -> Obj:
    of_name = "name" if name == "Name" else ""
    return {"name": name, "type": "string", "format": of_name, "description": name, "priority": 0}


def _identify(obj: Obj) -> Obj:
    named = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    return {**named, "metadata": obj["metadata"]}


def _age(moment: str | None) -> str:
    """Return how long ago a moment was, as kubectl says it."""
    if not moment:
        return "<unknown>"
    seconds = max(int(time.time()) - timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ")), 0)
    for below, unit, letter in (
        (2 * _MINUTE, 1, "s"),
        (3 * _HOUR, _MINUTE, "m"),
        (2 * _DAY, _HOUR, "h"),
    ):
        if seconds < below:
            return f"{seconds // unit}{letter}"
    return f"{seconds // _DAY}d"


def _age_of(obj: Obj) -> str:
    return _age(obj["metadata"].get("creationTimestamp"))


def _name(obj: Obj) -> str:
    return str(obj["metadata"]["name"])


def _name_alone(obj: Obj) -> Cells:
    return [_name(obj), _age_of(obj)]


def _pod(obj: Obj) -> Cells:
    statuses = obj["status"].get("containerStatuses", [])
    ready = sum(each["ready"] for each in statuses)
    restarts = sum(each["restartCount"] for each in statuses)
    count = len(obj["spec"]["containers"])
    return [_name(obj), f"{ready}/{count}", _pod_status(obj), str(restarts), _age_of(obj)]


def _pod_status(obj: Obj) -> str:
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    status = obj["status"]
    for reason in _reasons(status.get("initContainerStatuses", [])):
        if reason != _DONE:
            return f"Init:{reason}"
    reasons = _reasons(status.get("containerStatuses", []))
    return str(next(reasons, None) or status.get("reason") or status.get("phase", "Unknown"))


def _reasons(statuses: Sequence[Obj]) -> Iterator[str]:
    """Yield why containers do not run."""
    for each in statuses:
        for state in ("waiting", "terminated"):
            if reason := each["state"].get(state, {}).get("reason"):
                yield str(reason)


def _service(obj: Obj) -> Cells:
    spec = obj["spec"]
    ports = ",".join(f"{port['port']}/{port['protocol']}" for port in spec.get("ports", []))
    external = spec.get("externalName") or ",".join(spec.get("externalIPs", [])) or _NONE
    address = spec.get("clusterIP") or _NONE
    return [_name(obj), spec["type"], address, external, ports or _NONE, _age_of(obj)]


def _config_map(obj: Obj) -> Cells:
    count = len(obj.get("data", {})) + len(obj.get("binaryData", {}))
    return [_name(obj), str(count), _age_of(obj)]


def _secret(obj: Obj) -> Cells:
    return [_name(obj), obj.get("type", "Opaque"), str(len(obj.get("data", {}))), _age_of(obj)]


def _namespace(obj: Obj) -> Cells:
    return [_name(obj), obj["status"]["phase"], _age_of(obj)]


def _deployment(obj: Obj) -> Cells:
    status = obj.get("status", {})
    ready = f"{status.get('readyReplicas', 0)}/{obj['spec']['replicas']}"
    updated, available = (status.get(f"{each}Replicas", 0) for each in ("updated", "available"))
    return [_name(obj), ready, str(updated), str(available), _age_of(obj)]


def _replica_set(obj: Obj) -> Cells:
    status = obj.get("status", {})
    counts = (obj["spec"]["replicas"], status.get("replicas", 0), status.get("readyReplicas", 0))
    return [_name(obj), *map(str, counts), _age_of(obj)]


def _job(obj: Obj) -> Cells:
    spec, status = obj["spec"], obj.get("status", {})
    ended = [one["type"] for one in status.get("conditions", ()) if one["status"] == "True"]
    phase = next((each for each in ("Failed", "Complete") if each in ended), "Running")
    if spec.get("suspend"):
        phase = "Suspended"
    done = f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}"
    took = _age(status["startTime"]) if "startTime" in status else ""
    return [_name(obj), phase, done, took, _age_of(obj)]


def _cron_job(obj: Obj) -> Cells:
    spec = obj["spec"]
    zone, suspended = spec.get("timeZone", _NONE), str(spec["suspend"])
    active = len(obj.get("status", {}).get("active", []))
    return [_name(obj), spec["schedule"], zone, suspended, str(active), _NONE, _age_of(obj)]


def _event(obj: Obj) -> Cells:
    about = obj.get("involvedObject", {})
    shown = f"{about.get('kind', '').lower()}/{about.get('name', '')}"
    said = (obj.get("type", ""), obj.get("reason", ""), shown, obj.get("message", ""))
    return [_age(obj.get("lastTimestamp")), *said]


_Printer: TypeAlias = tuple[tuple[str, ...], Callable[[Obj], Cells]]
_PRINTERS: Final[Mapping[Kind, _Printer]] = {
    kinds.POD: (("Name", "Ready", "Status", "Restarts", "Age"), _pod),
    kinds.SERVICE: (
        ("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age"),
        _service,
    ),
    kinds.CONFIG_MAP: (("Name", "Data", "Age"), _config_map),
    kinds.SECRET: (("Name", "Type", "Data", "Age"), _secret),
    kinds.NAMESPACE: (("Name", "Status", "Age"), _namespace),
    kinds.DEPLOYMENT: (("Name", "Ready", "Up-to-date", "Available", "Age"), _deployment),
    kinds.REPLICA_SET: (("Name", "Desired", "Current", "Ready", "Age"), _replica_set),
    kinds.JOB: (("Name", "Status", "Completions", "Duration", "Age"), _job),
    kinds.CRON_JOB: (
        ("Name", "Schedule", "Timezone", "Suspend", "Active", "Last Schedule", "Age"),
        _cron_job,
    ),
    kinds.EVENT: (("Last Seen", "Type", "Reason", "Object", "Message"), _event),
}
