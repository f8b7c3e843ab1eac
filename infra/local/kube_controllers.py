"""What a cluster's controllers do about the objects in a namespace, until nothing is left to do.

Controllers run in the request that gave them something to do, after its answer was made, so that a
caller sees what a real cluster shows: an empty status first, the outcome when it looks again. What
takes time (a pod's start, the end of a namespace) waits in the schedule.
"""

import heapq
import itertools
import json
import math
import secrets
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from infra.local import kube_objects as kinds
from infra.local.kube_admission import quota_status
from infra.local.kube_objects import (
    Json,
    Kind,
    Obj,
    Refused,
    Store,
    owned_by,
    owner_reference,
    timestamp,
)
from infra.local.kube_pods import created_status, settled_status, trouble

NODE_NAME: Final = "local"

_ROUNDS: Final = 12
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_TERMINAL: Final = frozenset({"Succeeded", "Failed"})
_PERCENT: Final = 100
_ENDPOINTS_OWNER: Final = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}

CreatePod: TypeAlias = Callable[[Obj], Obj]


@dataclass
class Timing:
    """How long things take, in seconds; math.inf means that they never happen."""

    service_account_seconds: float = 0.1
    termination_seconds: float = 1.0
    pod_start_seconds: float = 0.02


class Schedule:
    """Actions that are due later. They run when somebody looks, so no thread is needed."""

    def __init__(self) -> None:
        """Start with nothing to do."""
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Run the action when so much time has passed."""
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), action))

    def run_due(self) -> None:
        """Run everything whose time has come."""
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()

    def clear(self) -> None:
        """Forget what is due."""
        self._due.clear()


class Controllers:
    """Drives the objects of each namespace to what they ask for."""

    def __init__(
        self, store: Store, schedule: Schedule, timing: Timing, create_pod: CreatePod
    ) -> None:
        """Work on the store; create_pod admits and stores a pod or raises Refused."""
        self._store = store
        self._schedule = schedule
        self._timing = timing
        self._create_pod = create_pod
        self._seen_pods: set[str] = set()

    def settle(self, namespace: str) -> None:
        """Run every controller over the namespace until nothing changes any more."""
        for _ in range(_ROUNDS):
            before = self._store.revision
            self._collect_garbage(namespace)
            self._each(kinds.DEPLOYMENT, namespace, self._sync_deployment)
            self._each(kinds.REPLICA_SET, namespace, self._sync_replica_set)
            self._each(kinds.JOB, namespace, self._sync_job)
            self._each(kinds.POD, namespace, self._sync_pod)
            self._sync_endpoints(namespace)
            for quota in self._store.list(kinds.RESOURCE_QUOTA, namespace):
                self._set_status(kinds.RESOURCE_QUOTA, quota, quota_status(self._store, quota))
            if self._store.revision == before:
                return

    def _each(self, kind: Kind, namespace: str, sync: Callable[[Obj], None]) -> None:
        for obj in self._store.list(kind, namespace):
            sync(obj)

    def _collect_garbage(self, namespace: str) -> None:
        owners = (kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.JOB, kinds.SERVICE)
        alive = {o["metadata"]["uid"] for kind in owners for o in self._store.list(kind, namespace)}
        for kind in (kinds.REPLICA_SET, kinds.POD, kinds.ENDPOINT_SLICE):
            for obj in self._store.list(kind, namespace):
                references = obj["metadata"].get("ownerReferences", ())
                if references and not any(ref["uid"] in alive for ref in references):
                    self._store.remove(kind, obj)
        for endpoints in self._store.list(kinds.ENDPOINTS, namespace):
            metadata = endpoints["metadata"]
            ours = _ENDPOINTS_OWNER.items() <= metadata.get("labels", {}).items()
            if ours and not self._store.get(kinds.SERVICE, namespace, metadata["name"]):
                self._store.remove(kinds.ENDPOINTS, endpoints)

    def _sync_pod(self, pod: Obj) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._seen_pods:
            return
        self._seen_pods.add(uid)
        status = created_status(pod, NODE_NAME)
        del status["nodeName"]
        spec = {**pod["spec"], "nodeName": pod["spec"].get("nodeName", NODE_NAME)}
        self._store.put(kinds.POD, {**pod, "spec": spec, "status": status})
        self._schedule.after(self._timing.pod_start_seconds, lambda: self._start_pod(pod))

    def _start_pod(self, created: Obj) -> None:
        metadata = created["metadata"]
        pod = self._store.get(kinds.POD, metadata["namespace"], metadata["name"])
        if pod is None or pod["metadata"]["uid"] != metadata["uid"]:
            return
        pod = self._store.put(kinds.POD, {**pod, "status": settled_status(pod)})
        reason = trouble(pod)
        if reason:
            self._report(kinds.POD, pod, *reason, component="kubelet")
        self.settle(metadata["namespace"])

    def _sync_deployment(self, deployment: Obj) -> None:
        spec = deployment["spec"]
        replica_sets = owned_by(self._sets_of(deployment), deployment)
        current = self._current_set(deployment, replica_sets)
        old = [one for one in replica_sets if one["metadata"]["uid"] != current["metadata"]["uid"]]
        if not spec.get("paused"):
            self._roll(spec, current, old)
        replica_sets = owned_by(self._sets_of(deployment), deployment)
        self._set_status(
            kinds.DEPLOYMENT,
            deployment,
            _deployment_status(deployment, replica_sets, current["metadata"]["name"]),
        )

    def _sets_of(self, deployment: Obj) -> list[Obj]:
        return self._store.list(kinds.REPLICA_SET, deployment["metadata"]["namespace"])

    def _current_set(self, deployment: Obj, replica_sets: list[Obj]) -> Obj:
        metadata, spec = deployment["metadata"], deployment["spec"]
        suffix = _template_hash(spec["template"])
        name = f"{metadata['name']}-{suffix}"
        for one in replica_sets:
            if one["metadata"]["name"] == name:
                return one
        label = {"pod-template-hash": suffix}
        template = spec["template"]
        pod_labels = template["metadata"].get("labels", {}) | label
        selector = spec["selector"]
        wanted = selector.get("matchLabels", {}) | label
        revision = str(len(replica_sets) + 1)
        body = {
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "generation": 1,
                "labels": pod_labels,
                "annotations": {"deployment.kubernetes.io/revision": revision},
                "ownerReferences": [owner_reference(kinds.DEPLOYMENT, deployment)],
            },
            "spec": {
                "replicas": 0,
                "selector": {**selector, "matchLabels": wanted},
                "template": {
                    **template,
                    "metadata": {**template["metadata"], "labels": pod_labels},
                },
            },
            "status": {"replicas": 0},
        }
        annotations = metadata.get("annotations", {}) | body["metadata"]["annotations"]
        self._store.put(
            kinds.DEPLOYMENT, {**deployment, "metadata": {**metadata, "annotations": annotations}}
        )
        return self._store.put(kinds.REPLICA_SET, body)

    def _roll(self, spec: Obj, current: Obj, old: list[Obj]) -> None:
        """Move replicas from the old sets to the current one, within the strategy's bounds."""
        replicas = spec["replicas"]
        surge, unavailable = _rolling_bounds(spec)
        standing = sum(one["spec"]["replicas"] for one in old)
        recreate = spec["strategy"]["type"] == "Recreate"
        if recreate and any(one["status"].get("replicas") for one in old):
            wanted = 0
        else:
            wanted = replicas if recreate else min(replicas, max(replicas + surge - standing, 0))
        if wanted > current["spec"]["replicas"] or current["spec"]["replicas"] > replicas:
            current = self._scale(current, wanted)
        ready = sum(one["status"].get("readyReplicas", 0) for one in [current, *old])
        spare = standing if recreate else max(ready - (replicas - unavailable), 0)
        for one in old:
            # Replicas that are not ready cost no availability: they go first.
            broken = one["spec"]["replicas"] - one["status"].get("readyReplicas", 0)
            removable = min(one["spec"]["replicas"], max(broken, 0) + spare)
            if removable:
                self._scale(one, one["spec"]["replicas"] - removable)
                spare -= max(removable - max(broken, 0), 0)

    def _scale(self, replica_set: Obj, replicas: int) -> Obj:
        if replica_set["spec"]["replicas"] == replicas:
            return replica_set
        spec = {**replica_set["spec"], "replicas": replicas}
        return self._store.put(kinds.REPLICA_SET, {**replica_set, "spec": spec})

    def _sync_replica_set(self, replica_set: Obj) -> None:
        pods = self._live_pods(replica_set)
        wanted = replica_set["spec"]["replicas"]
        failure = ""
        for _ in range(wanted - len(pods)):
            failure = self._try_pod(kinds.REPLICA_SET, replica_set, "replicaset-controller")
            if failure:
                break
        pods.sort(key=_is_ready, reverse=True)
        for pod in pods[wanted:]:
            self._store.remove(kinds.POD, pod)
        status = _replica_set_status(replica_set, self._live_pods(replica_set), failure)
        self._set_status(kinds.REPLICA_SET, replica_set, status)

    def _live_pods(self, owner: Obj) -> list[Obj]:
        pods = owned_by(self._store.list(kinds.POD, owner["metadata"]["namespace"]), owner)
        return [pod for pod in pods if pod["status"].get("phase") not in _TERMINAL]

    def _try_pod(self, kind: Kind, owner: Obj, component: str) -> str:
        """Create one pod of the owner's template; return why that was refused, or ""."""
        name, template = owner["metadata"]["name"], owner["spec"]["template"]
        metadata = {
            **template["metadata"],
            "name": f"{name}-{random_suffix()}",
            "generateName": f"{name}-",
            "namespace": owner["metadata"]["namespace"],
            "ownerReferences": [owner_reference(kind, owner)],
        }
        try:
            self._create_pod({"metadata": metadata, "spec": template["spec"]})
        except Refused as refusal:
            message = f"Error creating: {refusal.message}"
            self._report(kind, owner, "FailedCreate", message, component=component)
            return refusal.message
        return ""

    def _report(self, kind: Kind, obj: Obj, reason: str, message: str, *, component: str) -> None:
        """Store a warning about the object, unless one says the same already."""
        about = obj["metadata"]
        said = (about["uid"], reason, _without_pod_name(message))
        for event in self._store.list(kinds.EVENT, about["namespace"]):
            uid = event["involvedObject"].get("uid")
            if (uid, event.get("reason"), _without_pod_name(event.get("message", ""))) == said:
                return
        now = timestamp()
        involved = {
            "kind": kind.name,
            "namespace": about["namespace"],
            "name": about["name"],
            "uid": about["uid"],
            "apiVersion": kind.api_version,
            "resourceVersion": about["resourceVersion"],
        }
        event = {
            "metadata": {
                "name": f"{about['name']}.{secrets.token_hex(8)}",
                "namespace": about["namespace"],
            },
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": {"component": component},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": "Warning",
            "eventTime": None,
            "reportingComponent": component,
            "reportingInstance": "",
        }
        self._store.put(kinds.EVENT, event)

    def _sync_job(self, job: Obj) -> None:
        spec, status = job["spec"], job.get("status", {})
        if status.get("completionTime") or _has_condition(status, "Failed") or spec["suspend"]:
            return
        pods = owned_by(self._store.list(kinds.POD, job["metadata"]["namespace"]), job)
        phases = [pod["status"].get("phase") for pod in pods]
        succeeded, failed = phases.count("Succeeded"), phases.count("Failed")
        active = len(phases) - succeeded - failed
        wanted = min(spec["parallelism"], spec.get("completions", 1) - succeeded)
        done = succeeded >= spec.get("completions", 1)
        if not done and failed <= spec["backoffLimit"]:
            for _ in range(wanted - active):
                if self._try_pod(kinds.JOB, job, "job-controller"):
                    break
                active += 1
        new = _job_status(job, active=active, succeeded=succeeded, failed=failed)
        self._set_status(kinds.JOB, job, new)
        kept_seconds = spec.get("ttlSecondsAfterFinished")
        if kept_seconds is not None and _has_condition(new, "Complete", "Failed"):
            self._schedule.after(kept_seconds, lambda: self._expire_job(job))

    def _expire_job(self, job: Obj) -> None:
        metadata = job["metadata"]
        found = self._store.get(kinds.JOB, metadata["namespace"], metadata["name"])
        if found is not None and found["metadata"]["uid"] == metadata["uid"]:
            self._store.remove(kinds.JOB, found)
            self.settle(metadata["namespace"])

    def _sync_endpoints(self, namespace: str) -> None:
        pods = [pod for pod in self._store.list(kinds.POD, namespace) if _is_ready(pod)]
        for service in self._store.list(kinds.SERVICE, namespace):
            selector = service["spec"].get("selector")
            if not selector:
                continue
            chosen = [
                pod for pod in pods if selector.items() <= pod["metadata"].get("labels", {}).items()
            ]
            self._put_if_changed(kinds.ENDPOINTS, _endpoints(service, chosen))
            self._put_if_changed(kinds.ENDPOINT_SLICE, _endpoint_slice(service, chosen))

    def _put_if_changed(self, kind: Kind, obj: Obj) -> None:
        metadata = obj["metadata"]
        live = self._store.get(kind, metadata["namespace"], metadata["name"])
        if live is None:
            self._store.put(kind, obj)
        elif any(live.get(name) != value for name, value in obj.items() if name != "metadata"):
            self._store.put(kind, {**live, **obj, "metadata": live["metadata"]})

    def _set_status(self, kind: Kind, obj: Obj, status: Obj) -> None:
        metadata = obj["metadata"]
        live = self._store.get(kind, metadata.get("namespace", ""), metadata["name"])
        if live is None:
            return
        before = live.get("status", {})
        if "conditions" in status:
            status = status | {"conditions": _keep_times(before, status["conditions"])}
        if before != status:
            self._store.put(kind, {**live, "status": status})


def random_suffix() -> str:
    """Return five characters as Kubernetes appends them to a generated name."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(5))


def _template_hash(template: Obj) -> str:
    digest = zlib.crc32(json.dumps(template, sort_keys=True).encode())
    return "".join(_ALPHABET[digest // 27**place % 27] for place in range(7))


def _without_pod_name(message: str) -> str:
    return message.partition('" is forbidden')[2] or message


def _is_ready(pod: Obj) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _has_condition(status: Obj, *names: str) -> bool:
    conditions = status.get("conditions", ())
    return any(one["type"] in names and one["status"] == "True" for one in conditions)


def _keep_times(before: Obj, conditions: list[Obj]) -> list[Obj]:
    """Return the conditions with the times and pod names of those that say the same already."""
    known = {one["type"]: one for one in before.get("conditions", ())}
    kept = []
    for new in conditions:
        old = known.get(new["type"], {})
        same = all(old.get(name) == new.get(name) for name in ("status", "reason"))
        alike = _without_pod_name(old.get("message", "")) == _without_pod_name(
            new.get("message", "")
        )
        kept.append(old if same and alike else new)
    return kept


def _condition(name: str, *, true: bool, reason: str, message: str = "") -> Obj:
    now = timestamp()
    condition = {
        "type": name,
        "status": str(true),
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
    return {name: value for name, value in condition.items() if value}


def _rolling_bounds(spec: Obj) -> tuple[int, int]:
    rolling = spec["strategy"].get("rollingUpdate", {})
    replicas = spec["replicas"]
    surge = _share(rolling.get("maxSurge", 0), replicas, math.ceil)
    unavailable = _share(rolling.get("maxUnavailable", 0), replicas, math.floor)
    # Kubernetes never lets both be zero, or nothing could ever move.
    return surge, unavailable if surge or unavailable else 1


def _share(bound: int | str, replicas: int, round_: Callable[[float], int]) -> int:
    if isinstance(bound, int):
        return bound
    return round_(int(bound.removesuffix("%")) * replicas / _PERCENT)


def _replica_set_status(replica_set: Obj, pods: list[Obj], failure: str) -> Obj:
    ready = sum(_is_ready(pod) for pod in pods)
    counts = {
        "fullyLabeledReplicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "terminatingReplicas": 0,
    }
    status: dict[str, Json] = {
        "replicas": len(pods),
        **{name: count for name, count in counts.items() if count},
        "observedGeneration": replica_set["metadata"].get("generation", 1),
    }
    if failure:
        status["conditions"] = [
            _condition("ReplicaFailure", true=True, reason="FailedCreate", message=failure)
        ]
    return status


def _deployment_status(deployment: Obj, replica_sets: list[Obj], current: str) -> Obj:
    replicas = deployment["spec"]["replicas"]
    now = next(one for one in replica_sets if one["metadata"]["name"] == current)
    total = sum(one["status"].get("replicas", 0) for one in replica_sets)
    ready = sum(one["status"].get("readyReplicas", 0) for one in replica_sets)
    updated = now["status"].get("replicas", 0)
    counts = {
        "replicas": total,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(max(replicas, total) - ready, 0),
    }
    enough = ready >= replicas - _rolling_bounds(deployment["spec"])[1]
    complete = updated == total == ready == replicas
    progress = "has successfully progressed" if complete else "is progressing"
    conditions = [
        _condition(
            "Available",
            true=enough,
            reason=f"MinimumReplicas{'A' if enough else 'Una'}vailable",
            message=f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        ),
        _condition(
            "Progressing",
            true=True,
            reason="NewReplicaSetAvailable" if complete else "ReplicaSetUpdated",
            message=f'ReplicaSet "{current}" {progress}.',
        ),
    ]
    failures = [
        one
        for replica_set in replica_sets
        for one in replica_set["status"].get("conditions", ())
        if one["type"] == "ReplicaFailure"
    ]
    generation = deployment["metadata"].get("generation", 1)
    present = {name: count for name, count in counts.items() if count}
    return {
        "observedGeneration": generation,
        **present,
        "conditions": [{**one, "lastUpdateTime": timestamp()} for one in conditions] + failures[:1],
    }


def _job_status(job: Obj, *, active: int, succeeded: int, failed: int) -> Obj:
    before = job.get("status", {})
    counts = {"active": active, "succeeded": succeeded, "failed": failed}
    status: dict[str, Json] = {
        "startTime": before.get("startTime", timestamp()),
        "ready": 0,
        **{name: count for name, count in counts.items() if count},
    }
    if succeeded >= job["spec"].get("completions", 1):
        reason, message = "CompletionsReached", "Reached expected number of succeeded pods"
        names = ("SuccessCriteriaMet", "Complete")
        status["completionTime"] = timestamp()
    elif failed > job["spec"]["backoffLimit"]:
        reason = "BackoffLimitExceeded"
        message = "Job has reached the specified backoff limit"
        names = ("FailureTarget", "Failed")
    else:
        return status
    status["conditions"] = [
        _condition(name, true=True, reason=reason, message=message) for name in names
    ]
    return status


def _target_port(port: Obj, pods: list[Obj]) -> int:
    wanted = port.get("targetPort", port["port"])
    for pod in pods:
        for item in pod["spec"]["containers"]:
            for offered in item.get("ports", ()):
                if offered.get("name") == wanted:
                    return int(offered["containerPort"])
    return wanted if isinstance(wanted, int) else int(port["port"])


def _ports(service: Obj, pods: list[Obj]) -> list[Obj]:
    return [
        {
            **({"name": port["name"]} if "name" in port else {}),
            "port": _target_port(port, pods),
            "protocol": port["protocol"],
        }
        for port in service["spec"].get("ports", ())
    ]


def _target(pod: Obj) -> Obj:
    names = ("name", "namespace", "uid")
    return {"kind": "Pod", **{name: pod["metadata"][name] for name in names}}


def _endpoints(service: Obj, pods: list[Obj]) -> Obj:
    metadata = service["metadata"]
    addresses = [
        {"ip": p["status"]["podIP"], "nodeName": NODE_NAME, "targetRef": _target(p)} for p in pods
    ]
    subset = {"addresses": addresses, "ports": _ports(service, pods)}
    return {
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": metadata.get("labels", {}) | _ENDPOINTS_OWNER,
        },
        "subsets": [subset] if addresses else [],
    }


def _endpoint_slice(service: Obj, pods: list[Obj]) -> Obj:
    metadata = service["metadata"]
    ready = {"ready": True, "serving": True, "terminating": False}
    return {
        "metadata": {
            "name": f"{metadata['name']}-{metadata['uid'][:5]}",
            "namespace": metadata["namespace"],
            "generateName": f"{metadata['name']}-",
            "labels": metadata.get("labels", {})
            | {
                "kubernetes.io/service-name": metadata["name"],
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
            "ownerReferences": [owner_reference(kinds.SERVICE, service)],
        },
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": ready,
                "targetRef": _target(pod),
                "nodeName": NODE_NAME,
            }
            for pod in pods
        ],
        "ports": _ports(service, pods),
    }
