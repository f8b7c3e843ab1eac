"""What makes an object invalid: the 422 answers, one fault for each field.

Only the rules that callers meet are here. The wording is the API server's, since the product maps
these answers to advice for a person.
"""

import ipaddress
import re
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from infra.local import kube_objects as kinds
from infra.local.kube_objects import (
    Fault,
    Json,
    Kind,
    Obj,
    invalid,
    invalid_value,
    required,
    unsupported,
)
from infra.local.kube_quantities import parse_quantity

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_CONFIG_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")
_LABEL_RULE: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and"
    " must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used"
    " for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_RULE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or"
    " '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used"
    " for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_VALUE_RULE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.',"
    " and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or"
    " '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_MOST_PORT: Final = 65535
_LONGEST_LABEL: Final = 63
_LONGEST_SUBDOMAIN: Final = 253
_CRON_FIELDS: Final = 5
_LARGEST_DATA_BYTES: Final = 1024 * 1024

Faults = Iterator[Fault]


def check_valid(kind: Kind, new: Obj, live: Obj | None = None) -> None:
    """Refuse (422) an object that is invalid, alone or as the successor of the live one."""
    name = new["metadata"].get("name", "")
    faults = list(_metadata_faults(kind, new["metadata"]))
    spec = new.get("spec") or {}
    if kind in _RULES:
        faults += _RULES[kind](spec)
    if kind in {kinds.CONFIG_MAP, kinds.SECRET}:
        faults += _data_faults(new)
    if live is not None:
        faults += _change_faults(kind, new, live)
    if faults:
        raise invalid(kind, name, faults)


def check_log_options(pod: str, options: Mapping[str, int]) -> None:
    """Refuse (422) options of a log request that are out of range."""
    for name, least in (("tailLines", 0), ("sinceSeconds", 1), ("limitBytes", 1)):
        value = options.get(name)
        if value is not None and value < least:
            word = "greater than or equal to 0" if least == 0 else "greater than 0"
            fault = invalid_value(name, value, f"must be {word}")
            raise invalid(Kind("PodLogOptions", "pods"), pod, [fault])


def _metadata_faults(kind: Kind, metadata: Obj) -> Faults:
    name = metadata.get("name")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif not kind.group.startswith("rbac."):
        yield from _name_faults("metadata.name", name, label=kind in _LABEL_NAMED)
    for value in metadata.get("labels", {}).values():
        if not _LABEL_VALUE.fullmatch(value):
            yield invalid_value("metadata.labels", value, _LABEL_VALUE_RULE)
        elif len(value) > _LONGEST_LABEL:
            yield Fault(
                "metadata.labels", "FieldValueTooLong", "Too long: may not be more than 63 bytes"
            )


_LABEL_NAMED: Final = frozenset({kinds.NAMESPACE, kinds.SERVICE})


def _name_faults(field: str, name: str, *, label: bool = True) -> Faults:
    pattern, rule = (_LABEL, _LABEL_RULE) if label else (_SUBDOMAIN, _SUBDOMAIN_RULE)
    longest = _LONGEST_LABEL if label else _LONGEST_SUBDOMAIN
    if len(name) > longest:
        yield invalid_value(field, name, f"must be no more than {longest} bytes")
    if not pattern.fullmatch(name):
        yield invalid_value(field, name, rule)


def _not_negative(spec: Obj, *names: str) -> Faults:
    for name in names:
        if spec.get(name, 0) < 0:
            yield invalid_value(f"spec.{name}", spec[name], "must be greater than or equal to 0")


def _pod(spec: Obj, field: str = "spec") -> Faults:
    if not spec.get("containers"):
        yield required(f"{field}.containers")
    seen: set[str] = set()
    volumes = {volume.get("name") for volume in spec.get("volumes", ())}
    if None in volumes or "" in volumes:
        yield required(f"{field}.volumes[{len(spec['volumes']) - 1}].name")
    for group in ("containers", "initContainers"):
        for index, item in enumerate(spec.get(group, ())):
            yield from _container(item, f"{field}.{group}[{index}]", seen)
            yield from _mounts(item, f"{field}.{group}[{index}]", volumes)
    policy = spec.get("restartPolicy", "Always")
    if policy not in {"Always", "OnFailure", "Never"}:
        choices = ["Always", "OnFailure", "Never"]
        yield unsupported(f"{field}.restartPolicy", policy, choices)


def _container(item: Obj, field: str, seen: set[str]) -> Faults:
    name = item.get("name")
    if not name:
        yield required(f"{field}.name")
    elif name in seen:
        yield Fault(f"{field}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"')
    else:
        yield from _name_faults(f"{field}.name", name)
        seen.add(name)
    if not item.get("image"):
        yield required(f"{field}.image")
    for index, port in enumerate(item.get("ports", ())):
        number = port.get("containerPort")
        if not number:
            yield required(f"{field}.ports[{index}].containerPort")
        else:
            yield from _port(f"{field}.ports[{index}].containerPort", number)
    yield from _container_parts(item, field)
    yield from _resources(item.get("resources") or {}, f"{field}.resources")


def _container_parts(item: Obj, field: str) -> Faults:
    for index, variable in enumerate(item.get("env", ())):
        if not variable.get("name"):
            yield required(f"{field}.env[{index}].name")
        yield from _source(variable, f"{field}.env[{index}].valueFrom")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in item:
            yield from _handler(item[name], f"{field}.{name}")
    for name, handler in item.get("lifecycle", {}).items():
        if isinstance(handler, dict):
            yield from _handler(handler, f"{field}.lifecycle.{name}")


def _source(variable: Obj, field: str) -> Faults:
    source = variable.get("valueFrom")
    if source is None:
        return
    if not source:
        why = (
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef`"
            " or `fileKeyRef`"
        )
        yield invalid_value(field, "", why)
    if variable.get("value"):
        yield invalid_value(field, "", "may not be specified when `value` is not empty")
    elif len(source) > 1:
        yield invalid_value(field, "", "may not have more than one field specified at a time")


def _mounts(item: Obj, field: str, volumes: set[str | None]) -> Faults:
    for index, mount in enumerate(item.get("volumeMounts", ())):
        name = mount.get("name")
        if name not in volumes:
            where = f"{field}.volumeMounts[{index}].name"
            yield Fault(where, "FieldValueNotFound", f'Not found: "{name}"')
        if not mount.get("mountPath"):
            yield required(f"{field}.volumeMounts[{index}].mountPath")


def _handler(handler: Obj, field: str) -> Faults:
    """Yield what is wrong with a probe or a lifecycle hook: it does exactly one thing."""
    names = [n for n in ("exec", "httpGet", "tcpSocket", "grpc", "sleep") if n in handler]
    if not names:
        yield required(field, "must specify a handler type")
    for name in names[1:]:
        why = "Forbidden: may not specify more than 1 handler type"
        yield Fault(f"{field}.{name}", "FieldValueForbidden", why)
    for name in names:
        if name in {"httpGet", "tcpSocket", "grpc"}:
            yield from _port(f"{field}.{name}.port", handler[name].get("port", 0))


def _resources(resources: Obj, field: str) -> Faults:
    limits = resources.get("limits", {})
    for group in ("limits", "requests"):
        for name, text in resources.get(group, {}).items():
            if parse_quantity(text) < 0:
                why = "must be greater than or equal to 0"
                yield invalid_value(f"{field}.{group}[{name}]", text, why)
    for name, text in resources.get("requests", {}).items():
        if name in limits and parse_quantity(text) > parse_quantity(limits[name]):
            why = f"must be less than or equal to {name} limit of {limits[name]}"
            yield invalid_value(f"{field}.requests", text, why)


def _port(field: str, number: object) -> Faults:
    if isinstance(number, int) and not 1 <= number <= _MOST_PORT:
        yield invalid_value(field, number, f"must be between 1 and {_MOST_PORT}, inclusive")


def _workload(spec: Obj) -> Faults:
    yield from _not_negative(spec, "replicas", "minReadySeconds", "revisionHistoryLimit")
    strategy = spec.get("strategy", {})
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate"):
        why = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
        yield Fault("spec.strategy.rollingUpdate", "FieldValueForbidden", why)
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels", {})
    selector = spec.get("selector")
    if not selector:
        yield required("spec.selector")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield invalid_value("spec.selector", {}, "empty selector is invalid for deployment")
    wanted = (selector or {}).get("matchLabels", {})
    if not selector or any(labels.get(key) != value for key, value in wanted.items()):
        why = "`selector` does not match template `labels`"
        yield invalid_value("spec.template.metadata.labels", labels, why)
    yield from _pod(template.get("spec") or {}, "spec.template.spec")
    policy = (template.get("spec") or {}).get("restartPolicy", "Always")
    if policy in {"OnFailure", "Never"}:
        yield unsupported("spec.template.spec.restartPolicy", policy, ["Always"])


def _job(spec: Obj, field: str = "spec") -> Faults:
    for name in ("parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished"):
        if spec.get(name, 0) < 0:
            yield invalid_value(f"{field}.{name}", spec[name], "must be greater than or equal to 0")
    pod = (spec.get("template") or {}).get("spec") or {}
    yield from _pod(pod, f"{field}.template.spec")
    if pod.get("restartPolicy", "Always") == "Always":
        yield required(f"{field}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')


def _cron_job(spec: Obj) -> Faults:
    schedule = spec.get("schedule", "")
    fields = schedule.split()
    if not schedule:
        yield required("spec.schedule")
    elif len(fields) != _CRON_FIELDS and not schedule.startswith("@"):
        shown = " ".join(fields)
        why = f"expected exactly 5 fields, found {len(fields)}: [{shown}]"
        yield invalid_value("spec.schedule", schedule, why)
    zone = spec.get("timeZone")
    if zone is not None and zone not in zoneinfo.available_timezones():
        yield invalid_value("spec.timeZone", zone, f"unknown time zone {zone}")
    policies = ["Allow", "Forbid", "Replace"]
    if spec.get("concurrencyPolicy") not in policies:
        yield unsupported("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), policies)
    yield from _job((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")


def _service(spec: Obj) -> Faults:
    ports = spec.get("ports", [])
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    for index, port in enumerate(ports):
        field = f"spec.ports[{index}]"
        if len(ports) > 1 and not port.get("name"):
            yield required(f"{field}.name")
        yield from _port(f"{field}.port", port.get("port", 0))
        yield from _port(f"{field}.targetPort", port.get("targetPort"))
    types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
    if spec.get("type") not in types:
        yield unsupported("spec.type", spec.get("type"), types)
    if spec.get("type") == "ExternalName" and not spec.get("externalName"):
        yield required("spec.externalName")


def _quota(spec: Obj) -> Faults:
    for name, text in spec.get("hard", {}).items():
        if parse_quantity(text) < 0:
            why = "must be greater than or equal to 0"
            yield invalid_value(f"spec.hard[{name}]", text, why)


def _limit_range(spec: Obj) -> Faults:
    for index, limit in enumerate(spec.get("limits", ())):
        for name, most in limit.get("max", {}).items():
            for group, word in (("defaultRequest", "default request"), ("default", "default")):
                text = limit.get(group, {}).get(name, "0")
                if parse_quantity(text) > parse_quantity(most):
                    field = f"spec.limits[{index}].{group}[{name}]"
                    shown = text if group == "defaultRequest" else most
                    why = f"{word} value {text} is greater than max value {most}"
                    yield invalid_value(field, shown, why)


def _network_policy(spec: Obj) -> Faults:
    for group, side in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(group, ())):
            for number, peer in enumerate(rule.get(side, ())):
                field = f"spec.{group}[{index}].{side}[{number}].ipBlock"
                yield from _ip_block(peer.get("ipBlock") or {}, field)


def _ip_block(block: Obj, field: str) -> Faults:
    for index, text in enumerate(block.get("except", ())):
        whole, part = ipaddress.ip_network(block["cidr"]), ipaddress.ip_network(text)
        is_inside = part.version == whole.version and part.network_address in whole
        if not is_inside or part.prefixlen <= whole.prefixlen:
            why = f"must be a strict subset of `cidr`: {block['cidr']}"
            yield invalid_value(f"{field}.except[{index}]", text, why)


def _data_faults(obj: Obj) -> Faults:
    data = {**obj.get("data", {}), **obj.get("binaryData", {})}
    for key in data:
        if not _CONFIG_KEY.fullmatch(key):
            why = (
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g."
                " 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is"
                " '[-._a-zA-Z0-9]+')"
            )
            yield invalid_value(f"data[{key}]", key, why)
    if sum(len(key) + len(value) for key, value in data.items()) > _LARGEST_DATA_BYTES:
        message = f"Too long: may not be more than {_LARGEST_DATA_BYTES} bytes"
        yield Fault("", "FieldValueTooLong", message)


def _change_faults(kind: Kind, new: Obj, live: Obj) -> Faults:
    spec, old = new.get("spec") or {}, live.get("spec") or {}
    for name in _FROZEN_SPEC.get(kind, ()):
        if spec.get(name) != old.get(name):
            yield invalid_value(f"spec.{name}", spec.get(name), "field is immutable")
    if kind in {kinds.ROLE_BINDING, kinds.CLUSTER_ROLE_BINDING}:
        yield from _role_faults(new["roleRef"], live["roleRef"])
    if kind == kinds.SERVICE and spec["type"] != "ExternalName" and "clusterIPs" in old:
        addresses = spec.get("clusterIPs")
        if addresses != old["clusterIPs"]:
            yield invalid_value("spec.clusterIPs[0]", addresses, "may not change once set")
    if kind in {kinds.CONFIG_MAP, kinds.SECRET}:
        yield from _frozen_data_faults(new, live)


_FROZEN_SPEC: Final[Mapping[Kind, tuple[str, ...]]] = {
    kinds.DEPLOYMENT: ("selector",),
    kinds.REPLICA_SET: ("selector",),
    kinds.JOB: ("completions", "selector", "template"),
}
_GO_NAMES: Final = {"apiGroup": "APIGroup", "kind": "Kind", "name": "Name"}


def _role_faults(role: Obj, old: Obj) -> Faults:
    if role != old:
        shown = {_GO_NAMES[name]: role.get(name, "") for name in _GO_NAMES}
        yield invalid_value("roleRef", shown, "cannot change roleRef")


def _frozen_data_faults(new: Obj, live: Obj) -> Faults:
    names = ("immutable", "data", "binaryData")
    if live.get("immutable") and any(new.get(name) != live.get(name) for name in names):
        message = "Forbidden: field is immutable when `immutable` is set"
        yield Fault("data", "FieldValueForbidden", message)
    if new.get("type") != live.get("type"):
        yield invalid_value("type", new.get("type"), "field is immutable")


_RULES: Final[Mapping[Kind, Callable[[Json], Faults]]] = {
    kinds.POD: _pod,
    kinds.DEPLOYMENT: _workload,
    kinds.REPLICA_SET: _workload,
    kinds.JOB: _job,
    kinds.CRON_JOB: _cron_job,
    kinds.SERVICE: _service,
    kinds.RESOURCE_QUOTA: _quota,
    kinds.LIMIT_RANGE: _limit_range,
    kinds.NETWORK_POLICY: _network_policy,
}
