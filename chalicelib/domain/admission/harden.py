"""What the restricted Pod Security Standard requires of a pod, and the pod does not say.

Only what is absent is filled in. What a manifest says stays, even where it is refused.
Source: kubernetes.io/docs/concepts/security/pod-security-standards.
"""

from typing import Any, Final

from chalicelib.domain.model import JsonObject

SECCOMP_PROFILE: Final = "RuntimeDefault"
_CONTAINER_LISTS: Final = ("initContainers", "containers")


def harden_pod_spec(spec: JsonObject) -> JsonObject:
    """Return a pod spec in which nothing is absent that must be there. spec is not changed."""
    hardened = {**spec}
    for name in _CONTAINER_LISTS:
        if isinstance(spec.get(name), list):
            hardened[name] = [_harden_container(each) for each in spec[name]]
    lacking = lacking_in_pod(spec)
    if lacking and isinstance(spec.get("securityContext", {}), dict):
        hardened["securityContext"] = {**spec.get("securityContext", {}), **lacking}
    return hardened


def lacking_in_pod(spec: JsonObject) -> JsonObject:
    """Return what a pod's securityContext lacks. What all containers say, the pod need not."""
    required = {"runAsNonRoot": True, "seccompProfile": {"type": SECCOMP_PROFILE}}
    return {name: value for name, value in required.items() if not _is_said(spec, name)}


def lacking_in_container(container: JsonObject) -> JsonObject:
    """Return what a container's securityContext lacks."""
    security = _security(container)
    lacking: JsonObject = {}
    if "allowPrivilegeEscalation" not in security:
        lacking["allowPrivilegeEscalation"] = False
    capabilities = security.get("capabilities", {})
    if isinstance(capabilities, dict) and "drop" not in capabilities:
        lacking["capabilities"] = {"drop": ["ALL"]}
    return lacking


def _is_said(spec: JsonObject, name: str) -> bool:
    if name in _security(spec):
        return True
    containers = [each for key in _CONTAINER_LISTS for each in _as_list(spec.get(key))]
    return bool(containers) and all(name in _security(each) for each in containers)


def _harden_container(container: Any) -> Any:  # noqa: ANN401 - of any type, before it is read
    if not isinstance(container, dict):
        return container
    security = container.get("securityContext", {})
    lacking = lacking_in_container(container)
    if not lacking or not isinstance(security, dict):
        return container
    hardened = {**security, **lacking}
    if "capabilities" in lacking:
        hardened["capabilities"] = {**security.get("capabilities", {}), **lacking["capabilities"]}
    return {**container, "securityContext": hardened}


def _security(holder: object) -> JsonObject:
    security = holder.get("securityContext") if isinstance(holder, dict) else None
    return security if isinstance(security, dict) else {}


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
