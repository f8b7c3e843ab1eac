"""What a friend's pod may be: an ordinary process in its own namespace, with nothing of the node.

The rules hold for the pod template of every kind of workload, before anything is sent.
"""

import ipaddress
from typing import Final

from chalicelib.domain.admission.bounds import Range, check_ranges
from chalicelib.domain.admission.containers import check_containers
from chalicelib.domain.admission.names import DNS_LABEL_RULE, is_dns_label, is_subdomain
from chalicelib.domain.admission.placement import check_placement
from chalicelib.domain.admission.probes import LONGEST_GRACE_SECONDS
from chalicelib.domain.admission.references import check_secret_name
from chalicelib.domain.admission.report import Report, add, child, joined, remove
from chalicelib.domain.admission.security import check_pod_security
from chalicelib.domain.admission.volumes import check_volumes
from chalicelib.domain.model import JsonObject

# Each is true or false; where it is true, a pod shares what must be its own.
_SHARED: Final = {
    "hostIPC": "a pod must not see the node's shared memory.",
    "hostNetwork": "a pod must not use the node's network.",
    "hostPID": "a pod must not see the node's processes.",
    "shareProcessNamespace": "a container must not see another's processes.",
}
# Each may hold one value, which is what its absence means.
_FIXED: Final = {
    "schedulerName": "default-scheduler",
    "serviceAccount": "default",
    "serviceAccountName": "default",
}
_GRACE: Final = {"terminationGracePeriodSeconds": Range(0, LONGEST_GRACE_SECONDS)}
_DEFAULT_GRACE_SECONDS: Final = 30
_DNS_POLICIES: Final = ("ClusterFirst", "None")
_MOST_NAMESERVERS: Final = 3
_MOST_SEARCHES: Final = 32
_LONGEST_SEARCHES: Final = 2048


def check_pod_spec(spec: JsonObject, at: str, report: Report) -> None:
    """Refuse a pod that could reach the node, other namespaces, or the cluster's own API."""
    _check_shared(spec, at, report)
    _check_identity(spec, at, report)
    grace = check_ranges(spec, _GRACE, at, report)
    _check_hostname(spec, at, report)
    _check_dns(spec, at, report)
    check_placement(spec, at, report)
    check_pod_security(spec, at, report)
    check_volumes(spec, at, report)
    grace_seconds = grace.get("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS)
    check_containers(spec, grace_seconds, at, report)


def _check_shared(spec: JsonObject, at: str, report: Report) -> None:
    for name, why in _SHARED.items():
        if spec.get(name):
            pointer = child(at, name)
            report.refuse(pointer, f"{name} must be absent or false: {why}", remove(pointer))
    if spec.get("os", {}).get("name") == "windows":
        message = "os must be absent or linux: on Windows, Pod Security asks for less."
        report.refuse(child(at, "os"), message, remove(child(at, "os")))


def _check_identity(spec: JsonObject, at: str, report: Report) -> None:
    for name, value in _FIXED.items():
        if spec.get(name, value) != value:
            pointer = child(at, name)
            report.refuse(pointer, f"{name} must be absent or {value}.", remove(pointer))
    if spec.get("automountServiceAccountToken"):
        pointer = child(at, "automountServiceAccountToken")
        message = "automountServiceAccountToken must be false: pods get no token for the cluster."
        report.refuse(pointer, message, add(pointer, value=False))
    for index, secret in enumerate(spec.get("imagePullSecrets", ())):
        check_secret_name(secret.get("name"), child(at, "imagePullSecrets", index, "name"), report)


def _check_hostname(spec: JsonObject, at: str, report: Report) -> None:
    for name in ("hostname", "subdomain"):
        if spec.get(name) and not is_dns_label(spec[name]):
            report.refuse(child(at, name), f"{name} must be {DNS_LABEL_RULE}.")
    for index, alias in enumerate(spec.get("hostAliases", ())):
        pointer = child(at, "hostAliases", index)
        if "ip" in alias and not _is_address(alias["ip"]):
            report.refuse(child(pointer, "ip"), "ip must be an IPv4 or IPv6 address.")
        if not all(map(is_subdomain, alias.get("hostnames", ()))):
            report.refuse(child(pointer, "hostnames"), "hostnames must be lower-case DNS names.")


def _check_dns(spec: JsonObject, at: str, report: Report) -> None:
    policy, config = spec.get("dnsPolicy", "ClusterFirst"), spec.get("dnsConfig", {})
    if policy not in _DNS_POLICIES:
        pointer = child(at, "dnsPolicy")
        message = f"dnsPolicy must be absent or one of: {joined(_DNS_POLICIES)}."
        report.refuse(pointer, message, remove(pointer))
    at = child(at, "dnsConfig")
    servers, searches = config.get("nameservers", ()), config.get("searches", ())
    if policy == "None" and not servers:
        message = "nameservers is required where dnsPolicy is None."
        report.refuse(child(at, "nameservers"), message)
    if len(servers) > _MOST_NAMESERVERS or not all(map(_is_address, servers)):
        message = f"nameservers must be IP addresses, {_MOST_NAMESERVERS} at most."
        report.refuse(child(at, "nameservers"), message)
    if not _are_searches(searches):
        message = f"searches must be DNS names, {_MOST_SEARCHES} at most."
        report.refuse(child(at, "searches"), message)
    for index, option in enumerate(config.get("options", ())):
        if not option.get("name"):
            report.refuse(child(at, "options", index, "name"), "name is required.")


def _are_searches(names: list[str]) -> bool:
    if len(names) > _MOST_SEARCHES or len(" ".join(names)) > _LONGEST_SEARCHES:
        return False
    # Here alone, Kubernetes takes underscores too: _tcp.example.net.
    plain = (name.removesuffix(".").replace("_", "a") for name in names if name != ".")
    return all(map(is_subdomain, plain))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text
