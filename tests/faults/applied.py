"""What a cluster holds of what was applied, held to the operations that are recorded."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from chalicelib.domain import kinds
from chalicelib.domain.model import FriendRecord
from chalicelib.domain.operations import Operation
from chalicelib.gateways.aws import AwsClients
from chalicelib.gateways.operations import DynamoOperationStore
from chalicelib.gateways.table import Table
from tests.harness import TABLE
from tests.observed import Observed

_MANY = 1000


def operations_of(record: FriendRecord) -> list[Operation]:
    """Return the friend's recorded operations, the oldest first."""
    store = DynamoOperationStore(Table(AwsClients(), TABLE))
    return store.list_newest(record.friend, limit=_MANY, before=None)[::-1]


def find_deviations(seen: Observed, record: FriendRecord) -> list[str]:
    """Return the friend's ConfigMaps that do not say what the last operation on them did."""
    possible = _possible_values(operations_of(record))
    found = {
        each["metadata"]["name"]: each["data"]
        for each in seen.objects[kinds.CONFIG_MAP]
        if each["metadata"]["namespace"] == record.friend.namespace
    }
    return [
        f"{record.friend.id}'s ConfigMap {name} says {found.get(name)}, not one of {values}"
        for name, values in possible.items()
        if found.get(name) not in values
    ]


def _possible_values(operations: Iterable[Operation]) -> dict[str, list[Any]]:
    possible: dict[str, list[Any]] = defaultdict(lambda: [None])
    for operation in operations:
        for manifest, result in zip(operation.manifests, operation.results, strict=False):
            if manifest["kind"] != kinds.CONFIG_MAP.name:
                continue
            name, value = manifest["metadata"]["name"], manifest["data"]
            if result is None:
                # It was given up; whether it was sent, nobody knows.
                possible[name].append(value)
            elif result["status"] == "applied":
                possible[name] = [value]
    return possible
