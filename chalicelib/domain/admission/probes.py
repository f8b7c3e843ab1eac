"""What is done to a container from outside while it runs: probes, and hooks of its lifecycle."""

import re
from typing import Final

from chalicelib.domain.admission.bounds import Range, check_ranges
from chalicelib.domain.admission.names import PORT_NAME_RULE, is_port_name
from chalicelib.domain.admission.report import Report, child, joined, remove
from chalicelib.domain.model import JsonObject

PORTS: Final = Range(1, 65_535)
LONGEST_GRACE_SECONDS: Final = 300

_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_FIGURES: Final = {
    "initialDelaySeconds": Range(0, 3600),
    "periodSeconds": Range(1, 3600),
    "timeoutSeconds": Range(1, 3600),
    "failureThreshold": Range(1, 1000),
}
# Kubernetes knows more than one success for readiness alone, and no grace period there.
_READINESS_FIGURES: Final = {**_FIGURES, "successThreshold": Range(1, 1000)}
_OTHER_FIGURES: Final = {
    **_FIGURES,
    "successThreshold": Range(1, 1),
    "terminationGracePeriodSeconds": Range(1, LONGEST_GRACE_SECONDS),
}
_PROBE_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "sleep")
_HEADER: Final = re.compile(r"[-A-Za-z0-9]+")


def check_probes(container: JsonObject, at: str, report: Report) -> None:
    """Refuse probes that the cluster would refuse, or that hold up a pod's end for long."""
    for name in _PROBES:
        probe, pointer = container.get(name), child(at, name)
        if probe is None:
            continue
        if name == "readinessProbe":
            check_ranges(probe, _READINESS_FIGURES, pointer, report)
            _check_no_grace(probe, pointer, report)
        else:
            check_ranges(probe, _OTHER_FIGURES, pointer, report)
        _check_handler(probe, _PROBE_HANDLERS, pointer, report)


def check_lifecycle(container: JsonObject, grace_seconds: int, at: str, report: Report) -> None:
    """Refuse hooks that the cluster would refuse. grace_seconds is what the pod has to end."""
    for name in ("postStart", "preStop"):
        hook, pointer = container.get("lifecycle", {}).get(name), child(at, "lifecycle", name)
        if hook is not None:
            _check_handler(hook, _HOOK_HANDLERS, pointer, report)
            sleep = {"seconds": Range(0, grace_seconds)}
            check_ranges(hook.get("sleep", {}), sleep, child(pointer, "sleep"), report)


def refuse_probes(container: JsonObject, at: str, report: Report) -> None:
    """Refuse what watches a container, in one that must come to its end."""
    for name in (*_PROBES, "lifecycle"):
        if name in container:
            pointer = child(at, name)
            message = f"{name} must be absent in an initContainer without restartPolicy Always."
            report.refuse(pointer, message, remove(pointer))


def check_port(port: int | str | None, at: str, report: Report) -> None:
    """Refuse what is neither the number nor the name of a port."""
    if isinstance(port, str):
        valid = is_port_name(port)
    else:
        valid = port is None or port == PORTS.clamp(port)
    if not valid:
        message = f"port must be a number from 1 to 65535, or a port's name: {PORT_NAME_RULE}."
        report.refuse(at, message)


def _check_no_grace(probe: JsonObject, at: str, report: Report) -> None:
    if "terminationGracePeriodSeconds" in probe:
        pointer = child(at, "terminationGracePeriodSeconds")
        message = "terminationGracePeriodSeconds must be absent: a readinessProbe ends nothing."
        report.refuse(pointer, message, remove(pointer))


def _check_handler(holder: JsonObject, names: tuple[str, ...], at: str, report: Report) -> None:
    given = [name for name in names if name in holder]
    if len(given) != 1:
        report.refuse(at, f"There must be exactly one of: {joined(names)}.")
    if "exec" in given and not holder["exec"].get("command"):
        report.refuse(child(at, "exec", "command"), "command is required: one word at least.")
    for name in ("httpGet", "tcpSocket", "grpc"):
        if name in given:
            check_port(holder[name].get("port"), child(at, name, "port"), report)
    headers = holder.get("httpGet", {}).get("httpHeaders", ())
    for index, header in enumerate(headers):
        if not _HEADER.fullmatch(header.get("name", "name")):
            pointer = child(at, "httpGet", "httpHeaders", index, "name")
            report.refuse(pointer, "A header's name must be letters, digits and hyphens.")
