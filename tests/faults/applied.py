"""What a cluster holds of what was applied, held to the operations that are recorded."""

import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from chalicelib.domain import kinds
from chalicelib.domain.model import FriendRecord, JsonObject
from chalicelib.domain.operations import Operation, OperationType
from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.operations import DynamoOperationStore
from chalicelib.gateways.table import Table
from tests.harness import TABLE
from tests.observed import Observed

_MANY = 1000
# The label that tells one apply of a Deployment from another.
VALUE: Final = "value"
_FOLLOWED: Final = (kinds.CONFIG_MAP.name, kinds.DEPLOYMENT.name)


def operations_of(record: FriendRecord) -> list[Operation]:
    """Return the friend's recorded operations, the oldest first."""
    store = DynamoOperationStore(Table(AwsClients(), TABLE))
    return store.list_newest(record.friend, limit=_MANY, before=None)[::-1]


def find_deviations(seen: Observed, record: FriendRecord) -> list[str]:
    """Return the friend's objects that do not say what the last operation on them did."""
    possible = _possible_values(operations_of(record), _manifests_in(seen, record))
    found = {
        (kind.name, each["metadata"]["name"]): _value_of(each)
        for kind in (kinds.CONFIG_MAP, kinds.DEPLOYMENT)
        for each in seen.objects[kind]
        if each["metadata"]["namespace"] == record.friend.namespace
    }
    return [
        f"{record.friend.id}'s {key} says {found.get(key)}, not one of {values}"
        for key, values in possible.items()
        if found.get(key) not in values
    ]


def _value_of(thing: JsonObject) -> Any:
    """Return what tells one apply of the object from another."""
    if "data" in thing:
        return thing["data"]
    return (thing["metadata"].get("labels") or {}).get(VALUE)


def _manifests_in(seen: Observed, record: FriendRecord) -> dict[str, list[JsonObject]]:
    """Return the manifests of the friend's operations, by the operations' ids."""
    return {
        each["sk"]: json.loads(zlib.decompress(bytes(each["manifests"])))
        for each in seen.items
        if each["pk"] == f"MANIFESTS#{record.friend.id}"
    }


def _possible_values(
    operations: Iterable[Operation], manifests: Mapping[str, list[JsonObject]]
) -> dict[tuple[str, str], list[Any]]:
    possible: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [None])
    for operation in operations:
        if operation.type is OperationType.DELETE:
            continue
        for manifest, result in zip(manifests[operation.id], operation.results, strict=True):
            if manifest["kind"] not in _FOLLOWED:
                continue
            key = manifest["kind"], manifest["metadata"]["name"]
            value = None if operation.type is OperationType.DELETE_OBJECT else _value_of(manifest)
            if result is None:
                # It failed for good; whether it was sent is not known.
                possible[key].append(value)
            elif result["status"] in {"applied", "deleted"}:
                possible[key] = [value]
    return possible
