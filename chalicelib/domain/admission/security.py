"""The restricted Pod Security Standard, as of Kubernetes 1.36, told before a pod is refused.

Pod Security acts on pods alone: the cluster takes a Deployment that breaks the standard, and
silently gets no pods. Beyond it go groups of root, the node's seccomp profiles, and the figures
that the cluster would refuse.
Source: kubernetes.io/docs/concepts/security/pod-security-standards.
"""

from typing import Final

from chalicelib.domain.admission.bounds import Range
from chalicelib.domain.admission.harden import (
    SECCOMP_PROFILE,
    lacking_in_container,
    lacking_in_pod,
)
from chalicelib.domain.admission.names import is_inside
from chalicelib.domain.admission.report import Report, add, child, joined, remove
from chalicelib.domain.errors import LONGEST_ECHO
from chalicelib.domain.model import JsonObject

_ADDABLE: Final = "NET_BIND_SERVICE"
_SELINUX_TYPES: Final = (
    "",
    "container_engine_t",
    "container_init_t",
    "container_kvm_t",
    "container_t",
)
_SAFE_SYSCTLS: Final = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
)
_LONGEST_PATH: Final = 4095
_LARGEST_ID: Final = (1 << 31) - 1
_GROUPS: Final = Range(0, _LARGEST_ID)
_NOT_ROOT: Final = Range(1, _LARGEST_ID)
_IDS: Final = {"runAsUser": _NOT_ROOT, "runAsGroup": _GROUPS, "fsGroup": _NOT_ROOT}
_REQUIRED: Final = {
    "runAsNonRoot": "runAsNonRoot must be true, for the pod or for each of its containers.",
    "seccompProfile": (
        "seccompProfile.type must be RuntimeDefault, for the pod or for each of its containers."
    ),
    "allowPrivilegeEscalation": "allowPrivilegeEscalation must be false.",
    "capabilities": 'capabilities.drop must be ["ALL"].',
}


def check_pod_security(spec: JsonObject, at: str, report: Report) -> None:
    """Refuse a pod that may be more than an ordinary process; at is the pod spec's pointer."""
    at, security = child(at, "securityContext"), spec.get("securityContext")
    _check_lacking(security, lacking_in_pod(spec), at, report)
    if security is None:
        return
    _check_both(security, at, report)
    _check_sysctls(security, child(at, "sysctls"), report)
    groups = security.get("supplementalGroups", ())
    allowed = [group for group in groups if group == _NOT_ROOT.clamp(group)]
    if len(allowed) < len(groups):
        pointer = child(at, "supplementalGroups")
        message = f"supplementalGroups must be from 1 to {_LARGEST_ID}: 0 is root's."
        report.refuse(pointer, message, add(pointer, allowed))


def check_container_security(container: JsonObject, at: str, report: Report) -> None:
    """Refuse a container that may be more than an ordinary process; at is its pointer."""
    at, security = child(at, "securityContext"), container.get("securityContext")
    _check_lacking(security, lacking_in_container(container), at, report)
    if security is None:
        return
    if security.get("allowPrivilegeEscalation"):
        pointer = child(at, "allowPrivilegeEscalation")
        message = _REQUIRED["allowPrivilegeEscalation"]
        report.refuse(pointer, message, add(pointer, value=False))
    if security.get("privileged"):
        pointer = child(at, "privileged")
        report.refuse(pointer, "privileged must be absent or false.", add(pointer, value=False))
    if security.get("procMount", "Default") != "Default":
        pointer = child(at, "procMount")
        report.refuse(pointer, "procMount must be absent or Default.", remove(pointer))
    _check_capabilities(security.get("capabilities", {}), child(at, "capabilities"), report)
    _check_both(security, at, report)


def _check_lacking(
    security: JsonObject | None, lacking: JsonObject, at: str, report: Report
) -> None:
    for name, value in lacking.items():
        pointer = child(at, name)
        fix = add(pointer, value)
        if security is None:
            # An absent securityContext is added with all that it lacks: each fix stands by itself.
            fix = add(at, lacking)
        elif name in security:
            pointer = child(pointer, "drop")
            fix = add(pointer, value["drop"])
        report.refuse(pointer, _REQUIRED[name], fix)


def _check_capabilities(capabilities: JsonObject, at: str, report: Report) -> None:
    if "ALL" not in capabilities.get("drop", ["ALL"]):
        pointer = child(at, "drop")
        report.refuse(pointer, _REQUIRED["capabilities"], add(pointer, ["ALL"]))
    added = capabilities.get("add", [])
    allowed = [name for name in added if name == _ADDABLE]
    if len(allowed) < len(added):
        pointer = child(at, "add")
        message = f"capabilities.add may hold {_ADDABLE} alone."
        report.refuse(pointer, message, add(pointer, allowed))


def _check_both(security: JsonObject, at: str, report: Report) -> None:
    """Check what pods and containers may both say."""
    if security.get("runAsNonRoot") is False:
        pointer = child(at, "runAsNonRoot")
        report.refuse(pointer, "runAsNonRoot must be true.", add(pointer, value=True))
    for name, allowed in _IDS.items():
        value = security.get(name)
        if value is not None and value != allowed.clamp(value):
            pointer = child(at, name)
            message = f"{name} must be absent, or from {allowed.least} to {allowed.most}."
            report.refuse(pointer, message, remove(pointer))
    if "seccompProfile" in security:
        _check_seccomp(security["seccompProfile"], child(at, "seccompProfile"), report)
    if "appArmorProfile" in security:
        _check_app_armor(security["appArmorProfile"], child(at, "appArmorProfile"), report)
    if "seLinuxOptions" in security:
        _check_selinux(security["seLinuxOptions"], child(at, "seLinuxOptions"), report)


def _check_seccomp(profile: JsonObject, at: str, report: Report) -> None:
    """Refuse a profile from a file of the node, too: it may allow more than the runtime's own."""
    if profile.get("type", SECCOMP_PROFILE) != SECCOMP_PROFILE:
        message = f"type must be {SECCOMP_PROFILE}."
        report.refuse(child(at, "type"), message, add(at, {"type": SECCOMP_PROFILE}))
    elif "localhostProfile" in profile:
        pointer = child(at, "localhostProfile")
        message = f"localhostProfile must be absent: type must be {SECCOMP_PROFILE}."
        report.refuse(pointer, message, remove(pointer))


def _check_app_armor(profile: JsonObject, at: str, report: Report) -> None:
    kind, path = profile.get("type"), profile.get("localhostProfile")
    if kind == "Unconfined" or (kind == "Localhost" and not _is_profile(path or "")):
        message = "type must be RuntimeDefault, or Localhost with the path of a localhostProfile."
        pointer = child(at, "type")
        fix = add(at, {"type": SECCOMP_PROFILE})
        report.refuse(pointer, message, fix)
    elif kind == "RuntimeDefault" and path is not None:
        pointer = child(at, "localhostProfile")
        message = "localhostProfile must be absent unless type is Localhost."
        report.refuse(pointer, message, remove(pointer))


def _is_profile(path: str) -> bool:
    # The kubelet joins the path to its directory of profiles.
    return 1 <= len(path) <= _LONGEST_PATH and path == path.strip() and is_inside(path)


def _check_selinux(options: JsonObject, at: str, report: Report) -> None:
    for name in ("user", "role"):
        if options.get(name):
            pointer = child(at, name)
            report.refuse(pointer, f"seLinuxOptions.{name} must be absent.", remove(pointer))
    if options.get("type", "") not in _SELINUX_TYPES:
        pointer = child(at, "type")
        message = f"seLinuxOptions.type must be absent or one of: {joined(_SELINUX_TYPES[1:])}."
        report.refuse(pointer, message, remove(pointer))


def _check_sysctls(security: JsonObject, at: str, report: Report) -> None:
    sysctls = security.get("sysctls", ())
    safe = {each["name"]: each for each in sysctls if each.get("name") in _SAFE_SYSCTLS}
    if len(safe) < len(sysctls):
        message = f"sysctls may set each of these once: {joined(_SAFE_SYSCTLS)}."
        can_show = all(len(each.get("value", "")) <= LONGEST_ECHO for each in safe.values())
        report.refuse(at, message, add(at, [*safe.values()]) if can_show else None)
