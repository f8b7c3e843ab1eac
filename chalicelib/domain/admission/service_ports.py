"""The ports of a Service: in range, told apart, and never a port of a node."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from chalicelib.domain.admission.bounds import Range
from chalicelib.domain.admission.names import (
    DNS_LABEL_RULE,
    PORT_NAME_RULE,
    is_dns_label,
    is_port_name,
)
from chalicelib.domain.admission.report import Report, add, child, echo, remove
from chalicelib.domain.model import JsonObject

INSIDE_ONLY: Final = (
    "a Service is reached inside the cluster alone; to open it to the world, expose it."
)
MOST_PORTS: Final = 20

_PORTS: Final = Range(1, 65535)
_PROTOCOLS: Final = ("TCP", "UDP")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,4}")
_TARGET_RULE: Final = (
    f"targetPort must be a number from 1 to 65535, or a container port's name: {PORT_NAME_RULE}."
)


def check_ports(ports: Sequence[JsonObject], at: str, report: Report) -> None:
    """Refuse ports that the cluster would refuse, and those of a node. at is their list's."""
    if len(ports) > MOST_PORTS:
        report.refuse(at, f"A Service may have {MOST_PORTS} ports at most.")
        return
    names = Counter(port["name"] for port in ports if port.get("name"))
    for index, port in enumerate(ports):
        pointer = child(at, index)
        _check_port(port, pointer, report)
        _check_port_name(port, names, pointer, report, required=len(ports) > 1)
    _check_port_duplicates(ports, at, report)


def _check_port(port: JsonObject, at: str, report: Report) -> None:
    number = port.get("port", 0)
    if number != _PORTS.clamp(number):
        report.refuse(child(at, "port"), "port must be a whole number from 1 to 65535.")
    if port.get("protocol", "TCP") not in _PROTOCOLS:
        report.refuse(child(at, "protocol"), "protocol must be TCP or UDP.")
    if "nodePort" in port:
        pointer = child(at, "nodePort")
        report.refuse(pointer, f"nodePort cannot be set: {INSIDE_ONLY}", remove(pointer))
    _check_target(port.get("targetPort", _PORTS.least), child(at, "targetPort"), report)


def _check_target(target: int | str, at: str, report: Report) -> None:
    if isinstance(target, int):
        if target != _PORTS.clamp(target):
            report.refuse(at, _TARGET_RULE)
    elif not is_port_name(target):
        number = int(target) if _NUMBER.fullmatch(target) else 0
        report.refuse(at, _TARGET_RULE, add(at, number) if number == _PORTS.clamp(number) else None)


def _check_port_name(
    port: JsonObject, names: Counter[str], at: str, report: Report, *, required: bool
) -> None:
    name, pointer = port.get("name"), child(at, "name")
    if not name:
        if required:
            spare = f"{port.get('protocol', 'TCP').lower()}-{port.get('port')}"
            usable = spare not in names and is_dns_label(spare)
            fix = add(pointer, spare) if usable else None
            report.refuse(pointer, "name is required where a Service has several ports.", fix)
    elif not is_dns_label(name):
        report.refuse(pointer, f"A port's name must be {DNS_LABEL_RULE}.")
    elif names[name] > 1:
        report.refuse(pointer, f"The name {echo(name)} stands for several ports.")


def _check_port_duplicates(ports: Sequence[JsonObject], at: str, report: Report) -> None:
    seen = set()
    for index, port in enumerate(ports):
        key = port.get("port"), port.get("protocol", "TCP")
        if key in seen:
            message = "Another port of this Service has the same port and protocol."
            report.refuse(child(at, index), message)
        seen.add(key)
