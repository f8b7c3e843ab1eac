"""The values the API server fills in, so that what is read back has the shape of the real thing."""

import base64
import itertools
from collections.abc import Callable, Mapping
from typing import Final

from infra.local import kube_objects as kinds
from infra.local.kube_objects import Json, Kind, Obj

_addresses = itertools.count(10)


def with_defaults(kind: Kind, obj: Obj) -> Obj:
    """Return the object with its defaults; what it says itself stays."""
    fill = _FILL.get(kind)
    return fill(obj) if fill else obj


def with_pod_defaults(spec: Obj) -> Obj:
    """Return a pod's spec with its defaults."""
    filled = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        **spec,
    }
    if filled.get("serviceAccountName"):
        filled.setdefault("serviceAccount", filled["serviceAccountName"])
    for name in ("containers", "initContainers"):
        if spec.get(name):
            filled[name] = [_container(item) for item in spec[name]]
    return filled


def _container(item: Obj) -> Obj:
    image = item.get("image", "")
    tag = image.rpartition("/")[2].partition(":")[2]
    filled: Obj = {
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "Always" if tag in {"", "latest"} else "IfNotPresent",
        **item,
    }
    if item.get("ports"):
        filled["ports"] = [{"protocol": "TCP", **port} for port in item["ports"]]
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if item.get(name):
            filled[name] = _probe(item[name])
    return filled


def _probe(probe: Obj) -> Obj:
    filled = {
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
        **probe,
    }
    if probe.get("httpGet"):
        filled["httpGet"] = {"path": "/", "scheme": "HTTP", **probe["httpGet"]}
    return filled


def _with_template(spec: Obj) -> Obj:
    template = spec.get("template") or {}
    filled = {"metadata": {}, **template, "spec": with_pod_defaults(template.get("spec") or {})}
    return {**spec, "template": filled}


def _namespace(obj: Obj) -> Obj:
    metadata = obj["metadata"]
    labels = metadata.get("labels", {}) | {"kubernetes.io/metadata.name": metadata["name"]}
    return {
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
        **obj,
        "metadata": {**metadata, "labels": labels},
    }


def _pod(obj: Obj) -> Obj:
    spec = with_pod_defaults({"serviceAccountName": "default", **(obj.get("spec") or {})})
    for name in ("containers", "initContainers"):
        if name in spec:
            spec[name] = [_with_requests(item) for item in spec[name]]
    spec.setdefault("enableServiceLinks", True)
    status = {"phase": "Pending", "qosClass": quality_of_service(spec)}
    return {"status": status, **obj, "spec": spec}


def _with_requests(container: Obj) -> Obj:
    resources = container["resources"]
    if not resources.get("limits"):
        return container
    requests = {**resources["limits"], **resources.get("requests", {})}
    return {**container, "resources": {**resources, "requests": requests}}


def quality_of_service(spec: Obj) -> str:
    """Return a pod's QoS class."""
    resources = [item.get("resources", {}) for item in spec.get("containers", ())]
    if not any(one.get("requests") or one.get("limits") for one in resources):
        return "BestEffort"
    guaranteed = all(
        one.get("limits", {}).keys() >= {"cpu", "memory"}
        and one.get("requests", one["limits"]) == one["limits"]
        for one in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _deployment(obj: Obj) -> Obj:
    spec = _with_template(obj.get("spec") or {})
    strategy: Obj = {"type": "RollingUpdate", **spec.get("strategy", {})}
    if strategy["type"] == "RollingUpdate":
        rolling = {"maxUnavailable": "25%", "maxSurge": "25%", **strategy.get("rollingUpdate", {})}
        strategy["rollingUpdate"] = rolling
    filled = {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        **spec,
        "strategy": strategy,
    }
    return {"status": {}, **obj, "spec": filled}


def _replica_set(obj: Obj) -> Obj:
    spec = {"replicas": 1, **_with_template(obj.get("spec") or {})}
    return {"status": {"replicas": 0}, **obj, "spec": spec}


def _job_spec(spec: Obj) -> Obj:
    filled = {
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": "TerminatingOrFailed",
        **spec,
    }
    if "parallelism" not in spec and "completions" not in spec:
        filled["completions"] = 1
    filled.setdefault("parallelism", 1)
    return filled


def _job(obj: Obj) -> Obj:
    """Fill in a Job: its labels carry its uid, which is why the uid is made before it is stored."""
    metadata = obj["metadata"]
    uid, name = metadata["uid"], metadata["name"]
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    spec = _with_template(_job_spec(obj.get("spec") or {}))
    pod_metadata = spec["template"]["metadata"]
    pod_labels = pod_metadata.get("labels", {}) | labels
    spec["template"] = {**spec["template"], "metadata": {**pod_metadata, "labels": pod_labels}}
    selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    own = metadata.get("labels") or pod_labels
    return {
        "status": {},
        **obj,
        "metadata": {**metadata, "labels": own | labels},
        "spec": {"selector": selector, **spec},
    }


def _cron_job(obj: Obj) -> Obj:
    spec = obj.get("spec") or {}
    template = spec.get("jobTemplate") or {}
    job_spec = template.get("spec") or {}
    filled = {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
        **spec,
        "jobTemplate": {"metadata": {}, **template, "spec": _with_template(job_spec)},
    }
    return {"status": {}, **obj, "spec": filled}


def _service(obj: Obj) -> Obj:
    spec = obj.get("spec") or {}
    ports = [{"protocol": "TCP", "targetPort": p.get("port"), **p} for p in spec.get("ports", ())]
    filled: Obj = {"type": "ClusterIP", "sessionAffinity": "None", **spec}
    if ports:
        filled["ports"] = ports
    if filled["type"] != "ExternalName":
        if "clusterIP" not in filled:
            number = next(_addresses)
            filled["clusterIP"] = f"10.96.{number // 250 % 250}.{number % 250 + 1}"
        filled.setdefault("clusterIPs", [filled["clusterIP"]])
        filled.setdefault("ipFamilies", ["IPv4"])
        filled.setdefault("ipFamilyPolicy", "SingleStack")
        filled.setdefault("internalTrafficPolicy", "Cluster")
    return {"status": {"loadBalancer": {}}, **obj, "spec": filled}


def _secret(obj: Obj) -> Obj:
    filled = {"type": "Opaque", **obj}
    plain = filled.pop("stringData", None) or {}
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
    if encoded:
        filled["data"] = filled.get("data", {}) | encoded
    return filled


def _network_policy(obj: Obj) -> Obj:
    spec = {"podSelector": {}, **(obj.get("spec") or {})}
    types = ["Ingress"] + (["Egress"] if spec.get("egress") else [])
    for name in ("ingress", "egress"):
        if spec.get(name):
            spec[name] = [_rule(rule) for rule in spec[name]]
    return {**obj, "spec": {"policyTypes": types, **spec}}


def _rule(rule: Obj) -> Obj:
    if not rule.get("ports"):
        return rule
    return {**rule, "ports": [{"protocol": "TCP", **port} for port in rule["ports"]]}


def _limit_range(obj: Obj) -> Obj:
    spec = obj.get("spec") or {}
    limits = []
    for limit in spec.get("limits", ()):
        filled = dict(limit)
        if limit.get("type") == "Container":
            default = limit.get("max", {}) | limit.get("default", {})
            request = default | limit.get("min", {}) | limit.get("defaultRequest", {})
            filled |= {k: v for k, v in (("default", default), ("defaultRequest", request)) if v}
        limits.append(filled)
    return {**obj, "spec": {**spec, "limits": limits}}


def _binding(obj: Obj) -> Obj:
    role = {"apiGroup": "rbac.authorization.k8s.io", **(obj.get("roleRef") or {})}
    filled = {**obj, "roleRef": role}
    if obj.get("subjects"):
        filled["subjects"] = [_subject(subject) for subject in obj["subjects"]]
    return filled


def _subject(subject: Obj) -> Obj:
    if subject.get("kind") in {"User", "Group"}:
        return {"apiGroup": "rbac.authorization.k8s.io", **subject}
    return subject


def _with_status(status: dict[str, Json]) -> Callable[[Obj], Obj]:
    return lambda obj: {"status": dict(status), **obj}


_FILL: Final[Mapping[Kind, Callable[[Obj], Obj]]] = {
    kinds.NAMESPACE: _namespace,
    kinds.POD: _pod,
    kinds.DEPLOYMENT: _deployment,
    kinds.REPLICA_SET: _replica_set,
    kinds.JOB: _job,
    kinds.CRON_JOB: _cron_job,
    kinds.SERVICE: _service,
    kinds.SECRET: _secret,
    kinds.NETWORK_POLICY: _network_policy,
    kinds.LIMIT_RANGE: _limit_range,
    kinds.ROLE_BINDING: _binding,
    kinds.CLUSTER_ROLE_BINDING: _binding,
    kinds.RESOURCE_QUOTA: _with_status({}),
    kinds.VOLUME_CLAIM: _with_status({"phase": "Pending"}),
}
