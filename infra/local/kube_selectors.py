"""Which objects of a list are asked for: label and field selectors, and pages."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from infra.local import kube_objects as kinds
from infra.local.kube_objects import Json, Kind, Obj, bad_request, object_key

Matches: TypeAlias = Callable[[Obj], bool]

_KEY: Final = r"[A-Za-z0-9][-A-Za-z0-9_./]*"
_SET: Final = re.compile(rf"\s*({_KEY})\s+(in|notin)\s*\(([^()]*)\)\s*")
_EQUALITY: Final = re.compile(rf"\s*({_KEY})\s*(==|=|!=)\s*([-A-Za-z0-9_.]*)\s*")
_PRESENCE: Final = re.compile(rf"\s*(!?)\s*({_KEY})\s*")
_FIELD: Final = re.compile(r"([^=!,]+)(==|=|!=)([^,]*)")

_FIELDS: Final[Mapping[Kind, tuple[str, ...]]] = {
    kinds.POD: (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
    ),
    kinds.EVENT: (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    kinds.NAMESPACE: ("status.phase",),
    kinds.SECRET: ("type",),
    kinds.JOB: ("status.successful",),
    kinds.REPLICA_SET: ("status.replicas",),
}


def parse_label_selector(text: str) -> Matches:
    """Return a test of an object's labels. Raises Refused (400) for what is not a selector."""
    tests = [_label_test(part) for part in _split(text)]

    def matches(obj: Obj) -> bool:
        labels = obj["metadata"].get("labels", {})
        return all(test(labels) for test in tests)

    return matches


def _split(text: str) -> list[str]:
    """Split at the commas that are not inside brackets."""
    if not text.strip():
        return []
    if text.count("(") != text.count(")"):
        message = "unable to parse requirement: found '', expected: ',' or ')'"
        raise bad_request(message)
    return re.split(r",(?![^()]*\))", text)


def _label_test(part: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.fullmatch(part):
        key, operator, values = match[1], match[2], {v.strip() for v in match[3].split(",")}
        if operator == "in":
            return lambda labels: key in labels and labels[key] in values
        return lambda labels: key not in labels or labels[key] not in values
    if match := _EQUALITY.fullmatch(part):
        key, operator, value = match.groups()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := _PRESENCE.fullmatch(part):
        absent, key = match.groups()
        return lambda labels: (key in labels) != bool(absent)
    message = f"unable to parse requirement: found '{part.strip()}', expected: identifier"
    raise bad_request(message)


def parse_field_selector(kind: Kind, text: str) -> Matches:
    """Return a test of an object's fields. Raises Refused (400) for a field that has no index."""
    known = ("metadata.name", "metadata.namespace")[: 1 + kind.namespaced]
    known += _FIELDS.get(kind, ())
    tests = []
    for part in filter(None, text.split(",")):
        match = _FIELD.fullmatch(part)
        if match is None:
            message = f"invalid selector: '{text}'; can't understand '{part}'"
            raise bad_request(message)
        field, operator, value = match.groups()
        if field not in known:
            message = f'"{field}" is not a known field selector: only ' + ", ".join(
                f'"{name}"' for name in known
            )
            raise bad_request(message)
        tests.append((field.split("."), operator != "!=", value))
    return lambda obj: all((_at(obj, path) == value) == wanted for path, wanted, value in tests)


def _at(obj: Json, path: Iterable[str]) -> str:
    for name in path:
        obj = obj.get(name, "") if isinstance(obj, dict) else ""
    if isinstance(obj, dict):
        return str(obj.get("component", ""))
    return str(obj)


def page(
    objects: list[Obj], query: Mapping[str, str], revision: int
) -> tuple[list[Obj], dict[str, object]]:
    """Return one page of ordered objects, and the list's metadata."""
    limit = _limit(query.get("limit", ""))
    token = query.get("continue", "")
    if token:
        revision, start = _decode(token)
        objects = [obj for obj in objects if object_key(obj) > start]
    metadata: dict[str, object] = {"resourceVersion": str(revision)}
    if limit and len(objects) > limit:
        metadata["continue"] = _encode(revision, object_key(objects[limit - 1]))
        # The real server cannot tell how many of the rest a selector would choose.
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            metadata["remainingItemCount"] = len(objects) - limit
        objects = objects[:limit]
    return objects, metadata


def _limit(text: str) -> int:
    try:
        return max(int(text or "0"), 0)
    except ValueError:
        message = f'strconv.ParseInt: parsing "{text}": invalid syntax'
        raise bad_request(message) from None


def _encode(revision: int, start: str) -> str:
    token = {"v": "meta.k8s.io/v1", "rv": revision, "start": start}
    return base64.urlsafe_b64encode(json.dumps(token).encode()).decode().rstrip("=")


def _decode(token: str) -> tuple[int, str]:
    try:
        padded = token + "=" * (-len(token) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        return int(found["rv"]), str(found["start"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        message = "invalid continue token: continue key is not valid"
        raise bad_request(message) from None
