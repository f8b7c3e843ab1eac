"""The Pod Security Standards, as the admission plugin of Kubernetes 1.34 and later checks them.

Each check yields a reason and the detail in brackets behind it. Order and wording follow
k8s.io/pod-security-admission: first the baseline checks, then the restricted ones, by their ids.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from infra.local.kube_objects import Obj

_VOLUME_TYPES: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_DEFAULT_CAPABILITIES: Final = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_SAFE_SYSCTLS: Final = frozenset(
    {
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
    }
)
_SELINUX_TYPES: Final = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
_PROFILES: Final = frozenset({"RuntimeDefault", "Localhost"})


class Violation(NamedTuple):
    """A rule that a pod breaks, and how."""

    reason: str
    detail: str


Check: TypeAlias = Callable[[Obj], Iterator[Violation]]


def describe_violations(level: str, spec: Obj) -> str:
    """Return what is wrong with a pod's spec at a level, as messages say it; "" when nothing is."""
    if level not in {"baseline", "restricted"}:
        return ""
    checks = _BASELINE_ALWAYS + (_RESTRICTED if level == "restricted" else _BASELINE_ONLY)
    found = [violation for check in checks for violation in check(spec)]
    texts = ", ".join(f"{found_one.reason} ({found_one.detail})" for found_one in found)
    return f'PodSecurity "{level}:latest": {texts}' if texts else ""


def _containers(spec: Obj) -> list[Obj]:
    groups = ("initContainers", "containers", "ephemeralContainers")
    return [item for group in groups for item in spec.get(group, ())]


def _security(holder: Obj) -> Obj:
    return holder.get("securityContext") or {}


def _quoted(names: Iterable[object]) -> str:
    return ", ".join(json.dumps(name) for name in names)


def _named(items: list[Obj], word: str = "container") -> str:
    return f"{word}{'s' if len(items) > 1 else ''} {_quoted(item['name'] for item in items)}"


def _setters(spec: Obj, bad: Callable[[Obj], bool]) -> tuple[str, list[Obj]]:
    """Return who breaks a rule that pods and containers may both break, and those parts."""
    broken = [item for item in _containers(spec) if bad(_security(item))]
    parts = [_security(item) for item in broken]
    words = [_named(broken)] if broken else []
    if bad(_security(spec)):
        return " and ".join(["pod", *words]), [_security(spec), *parts]
    return " and ".join(words), parts


def _app_armor(spec: Obj) -> Iterator[Violation]:
    who, parts = _setters(
        spec, lambda part: (part.get("appArmorProfile") or {}).get("type") == "Unconfined"
    )
    if parts:
        detail = f'{who} must not set AppArmor profile type to "Unconfined"'
        yield Violation("forbidden AppArmor profile", detail)


def _host_namespaces(spec: Obj) -> Iterator[Violation]:
    used = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    if used:
        yield Violation("host namespaces", ", ".join(used))


def _host_ports(spec: Obj) -> Iterator[Violation]:
    def ports(item: Obj) -> list[int]:
        return [port["hostPort"] for port in item.get("ports", ()) if port.get("hostPort")]

    bad = [item for item in _containers(spec) if ports(item)]
    if bad:
        numbers = sorted({number for item in bad for number in ports(item)})
        uses, plural = ("uses" if len(bad) == 1 else "use"), "s" if len(numbers) > 1 else ""
        shown = ", ".join(map(str, numbers))
        yield Violation("hostPort", f"{_named(bad)} {uses} hostPort{plural} {shown}")


def _host_probes(spec: Obj) -> Iterator[Violation]:
    def hosts(item: Obj) -> set[str]:
        lifecycle = item.get("lifecycle") or {}
        probes = [item.get(f"{name}Probe") for name in ("liveness", "readiness", "startup")]
        handlers = [*probes, lifecycle.get("postStart"), lifecycle.get("preStop")]
        actions = [
            (handler or {}).get(name) or {}
            for handler in handlers
            for name in ("httpGet", "tcpSocket")
        ]
        return {action["host"] for action in actions if action.get("host")}

    bad = sorted((item for item in _containers(spec) if hosts(item)), key=lambda i: str(i["name"]))
    if bad:
        found = sorted({host for item in bad for host in hosts(item)})
        uses, plural = ("uses" if len(bad) == 1 else "use"), "s" if len(found) > 1 else ""
        detail = f"{_named(bad)} {uses} probe or lifecycle host{plural} {_quoted(found)}"
        yield Violation("probe or lifecycle host", detail)


def _privileged(spec: Obj) -> Iterator[Violation]:
    bad = [item for item in _containers(spec) if _security(item).get("privileged")]
    if bad:
        detail = f"{_named(bad)} must not set securityContext.privileged=true"
        yield Violation("privileged", detail)


def _proc_mount(spec: Obj) -> Iterator[Violation]:
    bad = [i for i in _containers(spec) if _security(i).get("procMount", "Default") != "Default"]
    if bad:
        values = _quoted(sorted({_security(item)["procMount"] for item in bad}))
        yield Violation(
            "procMount", f"{_named(bad)} must not set securityContext.procMount to {values}"
        )


def _selinux(spec: Obj) -> Iterator[Violation]:
    def bad_options(part: Obj) -> list[str]:
        options = part.get("seLinuxOptions") or {}
        found = [f"{name} may not be set" for name in ("user", "role") if options.get(name)]
        if options.get("type", "") not in _SELINUX_TYPES:
            found.insert(0, f"type {json.dumps(options['type'])}")
        return found

    who, parts = _setters(spec, lambda part: bool(bad_options(part)))
    if parts:
        texts = list(dict.fromkeys(text for part in parts for text in bad_options(part)))
        detail = f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(texts)}"
        yield Violation("seLinuxOptions", detail)


def _sysctls(spec: Obj) -> Iterator[Violation]:
    names = [item.get("name", "") for item in _security(spec).get("sysctls", ())]
    bad = [name for name in names if name not in _SAFE_SYSCTLS]
    if bad:
        yield Violation("forbidden sysctls", ", ".join(bad))


def _host_process(spec: Obj) -> Iterator[Violation]:
    who, parts = _setters(spec, lambda p: bool((p.get("windowsOptions") or {}).get("hostProcess")))
    if parts:
        detail = f"{who} must not set securityContext.windowsOptions.hostProcess=true"
        yield Violation("hostProcess", detail)


def _default_capabilities(spec: Obj) -> Iterator[Violation]:
    def added(item: Obj) -> set[str]:
        capabilities = _security(item).get("capabilities") or {}
        return set(capabilities.get("add", ())) - _DEFAULT_CAPABILITIES

    bad = [item for item in _containers(spec) if added(item)]
    if bad:
        names = _quoted(sorted({name for item in bad for name in added(item)}))
        detail = f"{_named(bad)} must not include {names} in securityContext.capabilities.add"
        yield Violation("non-default capabilities", detail)


def _host_path(spec: Obj) -> Iterator[Violation]:
    bad = [volume for volume in spec.get("volumes", ()) if "hostPath" in volume]
    if bad:
        yield Violation("hostPath volumes", _named(bad, "volume"))


def _unconfined(spec: Obj) -> Iterator[Violation]:
    who, parts = _setters(
        spec, lambda part: (part.get("seccompProfile") or {}).get("type") == "Unconfined"
    )
    if parts:
        detail = f'{who} must not set securityContext.seccompProfile.type to "Unconfined"'
        yield Violation("seccompProfile", detail)


def _escalation(spec: Obj) -> Iterator[Violation]:
    bad = [
        i for i in _containers(spec) if _security(i).get("allowPrivilegeEscalation") is not False
    ]
    if bad:
        detail = f"{_named(bad)} must set securityContext.allowPrivilegeEscalation=false"
        yield Violation("allowPrivilegeEscalation != false", detail)


def _dropped_capabilities(spec: Obj) -> Iterator[Violation]:
    def capabilities(item: Obj, name: str) -> list[str]:
        return list((_security(item).get("capabilities") or {}).get(name, ()))

    def added(item: Obj) -> set[str]:
        return set(capabilities(item, "add")) - {"NET_BIND_SERVICE"}

    keeping = [item for item in _containers(spec) if "ALL" not in capabilities(item, "drop")]
    adding = [item for item in _containers(spec) if added(item)]
    details = []
    if keeping:
        details.append(f'{_named(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        names = _quoted(sorted({name for item in adding for name in added(item)}))
        details.append(
            f"{_named(adding)} must not include {names} in securityContext.capabilities.add"
        )
    if details:
        yield Violation("unrestricted capabilities", "; ".join(details))


def _volume_types(spec: Obj) -> Iterator[Violation]:
    def bad_types(volume: Obj) -> set[str]:
        return set(volume) - _VOLUME_TYPES - {"name"}

    bad = [volume for volume in spec.get("volumes", ()) if bad_types(volume)]
    if bad:
        types = sorted({name for volume in bad for name in bad_types(volume)})
        uses, plural = ("uses" if len(bad) == 1 else "use"), "s" if len(types) > 1 else ""
        detail = f"{_named(bad, 'volume')} {uses} restricted volume type{plural} {_quoted(types)}"
        yield Violation("restricted volume types", detail)


def _non_root(spec: Obj) -> Iterator[Violation]:
    who, parts = _setters(spec, lambda part: part.get("runAsNonRoot") is False)
    if parts:
        detail = f"{who} must not set securityContext.runAsNonRoot=false"
        yield Violation("runAsNonRoot != true", detail)
    elif not _security(spec).get("runAsNonRoot"):
        silent = [item for item in _containers(spec) if not _security(item).get("runAsNonRoot")]
        if silent:
            detail = f"pod or {_named(silent)} must set securityContext.runAsNonRoot=true"
            yield Violation("runAsNonRoot != true", detail)


def _root_user(spec: Obj) -> Iterator[Violation]:
    who, parts = _setters(spec, lambda part: part.get("runAsUser") == 0)
    if parts:
        yield Violation("runAsUser=0", f"{who} must not set runAsUser=0")


def _seccomp(spec: Obj) -> Iterator[Violation]:
    def profile(part: Obj) -> str | None:
        kind: str | None = (part.get("seccompProfile") or {}).get("type")
        return kind

    who, parts = _setters(spec, lambda part: profile(part) not in _PROFILES | {None})
    if parts:
        values = _quoted(sorted({str(profile(part)) for part in parts}))
        detail = f"{who} must not set securityContext.seccompProfile.type to {values}"
        yield Violation("seccompProfile", detail)
    elif profile(_security(spec)) is None:
        silent = [item for item in _containers(spec) if profile(_security(item)) is None]
        if silent:
            detail = (
                f"pod or {_named(silent)} must set securityContext.seccompProfile.type to"
                ' "RuntimeDefault" or "Localhost"'
            )
            yield Violation("seccompProfile", detail)


_BASELINE_ALWAYS: Final[tuple[Check, ...]] = (
    _app_armor,
    _host_namespaces,
    _host_ports,
    _host_probes,
    _privileged,
    _proc_mount,
    _selinux,
    _sysctls,
    _host_process,
)
_BASELINE_ONLY: Final[tuple[Check, ...]] = (_default_capabilities, _host_path, _unconfined)
_RESTRICTED: Final[tuple[Check, ...]] = (
    _escalation,
    _dropped_capabilities,
    _volume_types,
    _non_root,
    _root_user,
    _seccomp,
)
