"""What a pod may mount: what is in its own namespace, and room that ends with it.

Everything else reaches the node, another namespace, a disk, or a token for the cluster's API.
"""

from typing import Final

from chalicelib.domain.admission.names import DNS_LABEL_RULE, is_dns_label, is_inside
from chalicelib.domain.admission.quantities import format_quantity, parse_quantity
from chalicelib.domain.admission.references import (
    VOLUME_FIELDS,
    check_config_map_name,
    check_field,
    check_key,
    check_resource,
    check_secret_name,
)
from chalicelib.domain.admission.report import Report, add, child, joined
from chalicelib.domain.admission.units import MEBI, read_bytes
from chalicelib.domain.model import JsonObject

_SOURCES: Final = ("configMap", "secret", "emptyDir", "downwardAPI", "projected")
_PROJECTED: Final = ("configMap", "secret", "downwardAPI")


def check_volumes(spec: JsonObject, at: str, report: Report) -> None:
    """Refuse volumes that reach beyond the pod's namespace; at is the pod spec's pointer."""
    for index, volume in enumerate(spec.get("volumes", ())):
        pointer = child(at, "volumes", index)
        if not is_dns_label(volume.get("name", "name")):
            report.refuse(child(pointer, "name"), f"A volume's name must be {DNS_LABEL_RULE}.")
        _check_source(volume, pointer, report)


def _check_source(volume: JsonObject, at: str, report: Report) -> None:
    given = volume.keys() - {"name"}
    if len(given) != 1 or not given <= {*_SOURCES}:
        report.refuse(at, f"A volume must be exactly one of: {joined(_SOURCES)}.")
    _check_parts(volume, at, report, secret_name="secretName")  # noqa: S106 - a field's name
    if "emptyDir" in volume:
        _check_empty_dir(volume["emptyDir"], child(at, "emptyDir"), report)
    sources = volume.get("projected", {}).get("sources", ())
    for index, source in enumerate(sources):
        _check_projected(source, child(at, "projected", "sources", index), report)
    paths = [path for source in sources for path in _paths_of(source)]
    if len({*paths}) < len(paths):
        message = "sources must not put two files at the same path."
        report.refuse(child(at, "projected", "sources"), message)


def _check_projected(source: JsonObject, at: str, report: Report) -> None:
    if len(source) != 1 or not source.keys() <= {*_PROJECTED}:
        report.refuse(at, f"A projected source must be exactly one of: {joined(_PROJECTED)}.")
    _check_parts(source, at, report, secret_name="name")  # noqa: S106 - a field's name


def _paths_of(source: JsonObject) -> list[str]:
    items = [item for name in _PROJECTED for item in source.get(name, {}).get("items", ())]
    return [item["path"] for item in items if "path" in item]


def _check_parts(holder: JsonObject, at: str, report: Report, *, secret_name: str) -> None:
    config_map, secret = holder.get("configMap", {}), holder.get("secret", {})
    check_config_map_name(config_map.get("name"), child(at, "configMap", "name"), report)
    check_secret_name(secret.get(secret_name), child(at, "secret", secret_name), report)
    for name in _PROJECTED:
        for index, item in enumerate(holder.get(name, {}).get("items", ())):
            _check_item(item, child(at, name, "items", index), report)
            if name == "downwardAPI":
                _check_downward(item, child(at, name, "items", index), report)


def _check_item(item: JsonObject, at: str, report: Report) -> None:
    check_key(item.get("key"), child(at, "key"), report)
    path = item.get("path", "path")
    if not path or not is_inside(path):
        message = "path must be relative, and stay inside the volume: without '..'."
        report.refuse(child(at, "path"), message)


def _check_downward(item: JsonObject, at: str, report: Report) -> None:
    if ("fieldRef" in item) == ("resourceFieldRef" in item):
        report.refuse(at, "There must be exactly one of: fieldRef, resourceFieldRef.")
    elif "fieldRef" in item:
        check_field(item["fieldRef"], VOLUME_FIELDS, child(at, "fieldRef"), report)
    else:
        pointer = child(at, "resourceFieldRef")
        check_resource(item["resourceFieldRef"], pointer, report, needs_container=True)


def _check_empty_dir(source: JsonObject, at: str, report: Report) -> None:
    medium, limit = source.get("medium", ""), source.get("sizeLimit")
    if medium not in {"", "Memory"}:
        report.refuse(child(at, "medium"), "medium must be absent, or Memory.")
    if medium == "Memory" and limit is None:
        message = "sizeLimit is required where medium is Memory: it is memory of the containers."
        report.refuse(child(at, "sizeLimit"), message)
    elif limit is not None and (size := parse_quantity(limit)) < MEBI:
        pointer = child(at, "sizeLimit")
        meant = max(read_bytes(limit), MEBI) if size > 0 else None
        fix = None if meant is None else add(pointer, format_quantity(meant, "memory"))
        report.refuse(pointer, "sizeLimit must be 1Mi at least.", fix)
