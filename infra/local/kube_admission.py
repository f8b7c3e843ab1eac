"""What a namespace's own rules make of a new object: LimitRange, Pod Security and ResourceQuota."""

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from typing import Final, TypeAlias

from infra.local import kube_objects as kinds
from infra.local.kube_defaults import quality_of_service
from infra.local.kube_objects import KINDS, Kind, Obj, Store, forbidden
from infra.local.kube_pod_security import describe_violations
from infra.local.kube_quantities import format_quantity, parse_quantity

Amounts: TypeAlias = dict[str, Fraction]

_COMPUTE: Final = ("cpu", "memory", "ephemeral-storage")
_COUNTED_BY_NAME: Final = {
    kinds.POD: "pods",
    kinds.SERVICE: "services",
    kinds.CONFIG_MAP: "configmaps",
    kinds.SECRET: "secrets",
    kinds.VOLUME_CLAIM: "persistentvolumeclaims",
    kinds.RESOURCE_QUOTA: "resourcequotas",
}
_BY_GROUP_RESOURCE: Final = {f"count/{kind.group_resource}": kind for kind in KINDS}
_POD_LEVEL_PREFIX: Final = "pod-security.kubernetes.io/"


def default_resources(store: Store, pod: Obj) -> Obj:
    """Return the pod with what its namespace's LimitRanges say of containers that say nothing."""
    limits = list(_container_limits(store, pod["metadata"]["namespace"]))
    if not limits:
        return pod
    notes: list[str] = []
    spec = dict(pod["spec"])
    for group in ("containers", "initContainers"):
        if spec.get(group):
            spec[group] = [_with_resources(item, limits, notes) for item in spec[group]]
    status = {**pod["status"], "qosClass": quality_of_service(spec)}
    metadata = pod["metadata"]
    if notes:
        note = {"kubernetes.io/limit-ranger": f"LimitRanger plugin set: {'; '.join(notes)}"}
        metadata = {**metadata, "annotations": metadata.get("annotations", {}) | note}
    return {**pod, "metadata": metadata, "spec": spec, "status": status}


def _container_limits(store: Store, namespace: str) -> Iterator[Obj]:
    for limit_range in store.list(kinds.LIMIT_RANGE, namespace):
        for limit in (limit_range.get("spec") or {}).get("limits", ()):
            if limit.get("type") == "Container":
                yield limit


def _with_resources(container: Obj, limits: list[Obj], notes: list[str]) -> Obj:
    resources = dict(container.get("resources") or {})
    for limit in limits:
        for field, default, word in (
            ("requests", "defaultRequest", "request"),
            ("limits", "default", "limit"),
        ):
            given = resources.get(field, {})
            missing = {n: v for n, v in limit.get(default, {}).items() if n not in given}
            if missing:
                resources[field] = missing | given
                names = ", ".join(sorted(missing))
                notes.append(f"{names} {word} for container {container['name']}")
    return {**container, "resources": resources}


def check_limits(store: Store, pod: Obj) -> None:
    """Refuse (403) a pod with a container outside its namespace's LimitRanges."""
    texts: list[str] = []
    for limit in _container_limits(store, pod["metadata"]["namespace"]):
        for container in pod["spec"].get("containers", []):
            resources = container.get("resources") or {}
            texts += _over_maximum(limit.get("max", {}), resources.get("limits", {}))
            texts += _under_minimum(limit.get("min", {}), resources.get("requests", {}))
    if texts:
        text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        raise forbidden(kinds.POD, pod["metadata"]["name"], text)


def _over_maximum(most: dict[str, str], limits: dict[str, str]) -> Iterator[str]:
    for name, bound in sorted(most.items()):
        said = f"maximum {name} usage per Container is {bound}"
        if name not in limits:
            yield f"{said}. No limit is specified"
        elif parse_quantity(limits[name]) > parse_quantity(bound):
            yield f"{said}, but limit is {limits[name]}"


def _under_minimum(least: dict[str, str], requests: dict[str, str]) -> Iterator[str]:
    for name, bound in sorted(least.items()):
        said = f"minimum {name} usage per Container is {bound}"
        if name not in requests:
            yield f"{said}. No request is specified"
        elif parse_quantity(requests[name]) < parse_quantity(bound):
            yield f"{said}, but request is {requests[name]}"


def check_pod_security(namespace: Obj, pod: Obj) -> None:
    """Refuse (403) a pod that its namespace's enforced level does not allow."""
    level = _level(namespace, "enforce")
    violations = describe_violations(level, pod["spec"])
    if violations:
        raise forbidden(kinds.POD, pod["metadata"]["name"], f"violates {violations}")


def pod_security_warning(namespace: Obj, kind: Kind, obj: Obj) -> str:
    """Return the warning that a pod, or what makes pods, earns in its namespace; "" for none."""
    spec = obj.get("spec") or {}
    if kind == kinds.CRON_JOB:
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    if kind in {kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.JOB, kinds.CRON_JOB}:
        spec = (spec.get("template") or {}).get("spec") or {}
    elif kind != kinds.POD:
        return ""
    violations = describe_violations(_level(namespace, "warn"), spec)
    return f"would violate {violations}" if violations else ""


def _level(namespace: Obj, mode: str) -> str:
    labels = namespace["metadata"].get("labels", {})
    return str(labels.get(f"{_POD_LEVEL_PREFIX}{mode}", "privileged"))


def check_quota(store: Store, kind: Kind, obj: Obj) -> None:
    """Refuse (403) an object that would take its namespace over one of its quotas."""
    name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
    for quota in store.list(kinds.RESOURCE_QUOTA, namespace):
        hard = (quota.get("spec") or {}).get("hard", {})
        called = quota["metadata"]["name"]
        unsaid = _unsaid(hard, obj) if kind == kinds.POD else ""
        if unsaid:
            raise forbidden(kind, name, f"failed quota: {called}: must specify {unsaid}")
        asked = {k: v for k, v in _usage(kind, obj).items() if k in hard and v}
        used = _used(store, namespace, hard)
        over = sorted(k for k in asked if used[k] + asked[k] > parse_quantity(hard[k]))
        if over:
            requested, taken = (_listed(over, amounts) for amounts in (asked, used))
            limited = ",".join(f"{key}={hard[key]}" for key in over)
            why = (
                f"exceeded quota: {called}, requested: {requested}, used: {taken},"
                f" limited: {limited}"
            )
            raise forbidden(kind, name, why)


def _listed(keys: list[str], amounts: Amounts) -> str:
    return ",".join(f"{key}={_shown(key, amounts[key])}" for key in keys)


def _unsaid(hard: dict[str, str], pod: Obj) -> str:
    texts = []
    for key in sorted(hard):
        side, _, name = key.partition(".") if "." in key else ("requests", "", key)
        if name not in _COMPUTE or side not in {"requests", "limits"}:
            continue
        silent = [
            item["name"]
            for item in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
            if name not in item.get("resources", {}).get(side, {})
        ]
        if silent:
            texts.append(f"{key} for: {','.join(sorted(silent))}")
    return "; ".join(texts)


def quota_status(store: Store, quota: Obj) -> Obj:
    """Return the status that a quota should have now."""
    hard = (quota.get("spec") or {}).get("hard", {})
    used = _used(store, quota["metadata"]["namespace"], hard)
    return {"hard": hard, "used": {key: _shown(key, amount) for key, amount in used.items()}}


def _used(store: Store, namespace: str, hard: dict[str, str]) -> Amounts:
    total: Amounts = dict.fromkeys(hard, Fraction(0))
    counted = {_BY_GROUP_RESOURCE[key] for key in hard if key in _BY_GROUP_RESOURCE}
    for kind in {*counted, *_COUNTED_BY_NAME}:
        for obj in store.list(kind, namespace):
            for key, amount in _usage(kind, obj).items():
                if key in total:
                    total[key] += amount
    return total


def _usage(kind: Kind, obj: Obj) -> Amounts:
    used: Amounts = defaultdict(Fraction)
    used[f"count/{kind.group_resource}"] = Fraction(1)
    if kind == kinds.POD:
        if obj.get("status", {}).get("phase") not in {"Succeeded", "Failed"}:
            used |= {"pods": Fraction(1)} | _compute(obj["spec"])
        return used
    if kind in _COUNTED_BY_NAME:
        used[_COUNTED_BY_NAME[kind]] = Fraction(1)
    spec = obj.get("spec") or {}
    if kind == kinds.SERVICE:
        used["services.nodeports"] = Fraction(
            len(spec.get("ports", ())) if spec.get("type") in {"NodePort", "LoadBalancer"} else 0
        )
        used["services.loadbalancers"] = Fraction(spec.get("type") == "LoadBalancer")
    if kind == kinds.VOLUME_CLAIM:
        storage = spec.get("resources", {}).get("requests", {}).get("storage", "0")
        used["requests.storage"] = parse_quantity(storage)
    return used


def _compute(spec: Obj) -> Amounts:
    amounts: Amounts = {}
    for side in ("requests", "limits"):
        for name in _COMPUTE:
            running = sum((_amount(item, side, name) for item in spec["containers"]), Fraction(0))
            starting = [_amount(item, side, name) for item in spec.get("initContainers", ())]
            amounts[f"{side}.{name}"] = max([running, *starting])
            if side == "requests":
                amounts[name] = amounts[f"{side}.{name}"]
    return amounts


def _amount(container: Obj, side: str, name: str) -> Fraction:
    resources = container.get("resources") or {}
    return parse_quantity(resources.get(side, {}).get(name, "0"))


def _shown(key: str, amount: Fraction) -> str:
    return format_quantity(amount, binary=key.endswith(("memory", "storage")))
