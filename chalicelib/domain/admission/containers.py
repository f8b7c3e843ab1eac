"""The containers of a pod: each by itself, and that their names and mounts fit together."""

from collections.abc import Iterator
from typing import Final

from chalicelib.domain.admission.environment import check_environment
from chalicelib.domain.admission.names import (
    DNS_LABEL_RULE,
    PORT_NAME_RULE,
    is_dns_label,
    is_port_name,
)
from chalicelib.domain.admission.probes import PORTS, check_lifecycle, check_probes, refuse_probes
from chalicelib.domain.admission.report import Report, child, echo, remove
from chalicelib.domain.admission.security import check_container_security
from chalicelib.domain.model import JsonObject

_LISTS: Final = ("initContainers", "containers")
_LONGEST_IMAGE: Final = 1024
# The quota counts what containers ask for: a thousand that ask for next to nothing would pass it.
MOST_CONTAINERS: Final = 16


def check_containers(spec: JsonObject, grace_seconds: int, at: str, report: Report) -> None:
    """Refuse containers that break a rule; at is the pod spec's pointer.

    grace_seconds is what the pod has to end in.
    """
    if not spec.get("containers"):
        report.refuse(child(at, "containers"), "containers is required: one at least.")
    for kind in _LISTS:
        if len(spec.get(kind, ())) > MOST_CONTAINERS:
            message = f"{kind} may hold {MOST_CONTAINERS} containers at most."
            report.refuse(child(at, kind), message)
    volumes = {volume.get("name") for volume in spec.get("volumes", ())}
    names: set[str] = set()
    for kind, index, container in _all(spec):
        pointer = child(at, kind, index)
        _check_name(container, names, pointer, report)
        _check_image(container, pointer, report)
        _check_restarts(container, kind, grace_seconds, pointer, report)
        _check_ports(container, pointer, report)
        check_environment(container, pointer, report)
        for mount_index, mount in enumerate(container.get("volumeMounts", ())):
            _check_mount(mount, volumes, child(pointer, "volumeMounts", mount_index), report)
        check_container_security(container, pointer, report)


def _all(spec: JsonObject) -> Iterator[tuple[str, int, JsonObject]]:
    for kind in _LISTS:
        for index, container in enumerate(spec.get(kind, ())):
            yield kind, index, container


def _check_name(container: JsonObject, names: set[str], at: str, report: Report) -> None:
    name = container.get("name")
    if name is None:
        return
    if not is_dns_label(name):
        report.refuse(child(at, "name"), f"A container's name must be {DNS_LABEL_RULE}.")
    elif name in names:
        report.refuse(child(at, "name"), f"Another container is called {echo(name)} too.")
    names.add(name)


def _check_image(container: JsonObject, at: str, report: Report) -> None:
    image = container.get("image", "image")
    if not 1 <= len(image) <= _LONGEST_IMAGE or any(map(str.isspace, image)):
        message = f"image must be 1 to {_LONGEST_IMAGE} characters, without spaces."
        report.refuse(child(at, "image"), message)


def _check_restarts(
    container: JsonObject, kind: str, grace_seconds: int, at: str, report: Report
) -> None:
    """Check what concerns how a container ends: only a sidecar or a container proper goes on."""
    policy, pointer = container.get("restartPolicy"), child(at, "restartPolicy")
    is_sidecar = kind == "initContainers" and policy == "Always"
    if policy is not None and not is_sidecar:
        message = "restartPolicy must be absent, or Always in an initContainer (a sidecar)."
        report.refuse(pointer, message, remove(pointer))
    if kind == "containers" or is_sidecar:
        check_probes(container, at, report)
        check_lifecycle(container, grace_seconds, at, report)
    else:
        refuse_probes(container, at, report)


def _check_ports(container: JsonObject, at: str, report: Report) -> None:
    names = set()
    for index, port in enumerate(container.get("ports", ())):
        pointer, name = child(at, "ports", index), port.get("name")
        number = port.get("containerPort", PORTS.least)
        if number != PORTS.clamp(number):
            report.refuse(child(pointer, "containerPort"), "containerPort must be from 1 to 65535.")
        if name and not is_port_name(name):
            report.refuse(child(pointer, "name"), f"A port's name must be {PORT_NAME_RULE}.")
        elif name in names:
            report.refuse(child(pointer, "name"), "Another port of the container has this name.")
        elif name:
            names.add(name)


def _check_mount(mount: JsonObject, volumes: set[str | None], at: str, report: Report) -> None:
    if "name" in mount and mount["name"] not in volumes:
        message = f"The pod has no volume {echo(mount['name'])}; add it to volumes."
        report.refuse(child(at, "name"), message)
    if mount.get("mountPath") == "":
        report.refuse(child(at, "mountPath"), "mountPath must not be empty.")
    for name in ("subPath", "subPathExpr"):
        if mount.get(name, "").startswith("/") or ".." in mount.get(name, "").split("/"):
            report.refuse(child(at, name), f"{name} must be relative, and without '..'.")
    if mount.get("subPath") and mount.get("subPathExpr"):
        report.refuse(child(at, "subPathExpr"), "There must be subPath or subPathExpr, not both.")
    if mount.get("mountPropagation", "None") != "None":
        pointer = child(at, "mountPropagation")
        report.refuse(pointer, "mountPropagation must be absent or None.", remove(pointer))
    if mount.get("recursiveReadOnly", "Disabled") != "Disabled" and not mount.get("readOnly"):
        pointer = child(at, "recursiveReadOnly")
        message = "recursiveReadOnly must be absent unless readOnly is true."
        report.refuse(pointer, message, remove(pointer))
