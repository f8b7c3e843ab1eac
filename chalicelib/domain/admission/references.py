"""References to what is beside a pod: ConfigMaps, Secrets, and the pod's own fields.

Environment variables and volumes refer to the same things, by the same rules.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from chalicelib.domain.admission.metadata import OWN_NAME_PREFIX
from chalicelib.domain.admission.names import is_data_key, is_label_key, is_subdomain
from chalicelib.domain.admission.quantities import parse_quantity
from chalicelib.domain.admission.report import Report, child, echo, joined
from chalicelib.domain.model import JsonObject

_IN_VOLUMES: Final = ("metadata.annotations", "metadata.labels")
_IN_BOTH: Final = ("metadata.name", "metadata.namespace", "metadata.uid")
_IN_VARIABLES: Final = (
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VARIABLE_FIELDS: Final = (*_IN_BOTH, *_IN_VARIABLES)
VOLUME_FIELDS: Final = (*_IN_BOTH, *_IN_VOLUMES)
_BY_KEY: Final = re.compile(r"metadata\.(?:annotations|labels)\['([^']*)'\]")
_DIVISORS: Final[Mapping[str, frozenset[Fraction]]] = {
    "cpu": frozenset(map(parse_quantity, ("1m", "1"))),
    "memory": frozenset(
        parse_quantity(f"1{unit}")
        for unit in ("", *"kMGTPE", *(f"{letter}i" for letter in "KMGTPE"))
    ),
}
_RESOURCES: Final = tuple(
    f"{side}.{name}"
    for side in ("limits", "requests")
    for name in ("cpu", "memory", "ephemeral-storage")
)


def check_config_map_name(name: str | None, at: str, report: Report) -> None:
    """Refuse what cannot be the name of a ConfigMap."""
    if name is not None and not is_subdomain(name):
        report.refuse(at, "There must be a ConfigMap's name here.")


def check_secret_name(name: str | None, at: str, report: Report) -> None:
    """Refuse what cannot be the name of a Secret, or is that of one of ours."""
    if name is None:
        return
    if name.startswith(OWN_NAME_PREFIX):
        report.refuse(at, f"The Secret {echo(name)} is not the friend's; use another.")
    elif not is_subdomain(name):
        report.refuse(at, "There must be a Secret's name here.")


def check_key(key: str | None, at: str, report: Report) -> None:
    """Refuse what cannot be a key of a ConfigMap or Secret."""
    if key is not None and not is_data_key(key):
        report.refuse(at, "key must be 1 to 253 letters, digits, '-', '_' and '.'.")


def check_field(reference: JsonObject, known: tuple[str, ...], at: str, report: Report) -> None:
    """Refuse a reference to a field of the pod that the cluster would refuse."""
    path = reference.get("fieldPath")
    by_key = _BY_KEY.fullmatch(path or "")
    if path is not None and path not in known and not (by_key and is_label_key(by_key[1])):
        message = f"fieldPath must be metadata.labels['<key>'] or one of: {joined(known)}."
        report.refuse(child(at, "fieldPath"), message)
    if reference.get("apiVersion", "v1") != "v1":
        report.refuse(child(at, "apiVersion"), "apiVersion must be absent or v1.")


def check_resource(
    reference: JsonObject, at: str, report: Report, *, needs_container: bool
) -> None:
    """Refuse a reference to a container's resources that the cluster would refuse."""
    resource = reference.get("resource")
    if resource is not None and resource not in _RESOURCES:
        report.refuse(child(at, "resource"), f"resource must be one of: {joined(_RESOURCES)}.")
    elif resource and not _is_divisor(reference.get("divisor", "1"), resource):
        message = "divisor must be absent, or a single unit such as 1m for cpu, or 1Mi."
        report.refuse(child(at, "divisor"), message)
    if needs_container and not reference.get("containerName"):
        report.refuse(child(at, "containerName"), "containerName is required in a volume.")


def _is_divisor(divisor: object, resource: str) -> bool:
    units = _DIVISORS["cpu" if resource.endswith(".cpu") else "memory"]
    return parse_quantity(divisor) in {*units, Fraction(0)}
