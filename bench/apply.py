"""Applying five objects inline on a real cluster, and what admission costs.

The bare client sends the same five writes side by side where their order allows, and nothing else.
What recording the operation costs depends on where DynamoDB is: it is measured once left out, and
once answered by moto in this process. There the bare client makes the same three calls, since what
moto takes for them is no code of ours.
"""

import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import boto3
from moto import mock_aws

from bench.clusters import run_real_cluster
from bench.measure import Figure, compare
from chalicelib.domain.admission import admit
from chalicelib.domain.deadline import Deadline
from chalicelib.domain.model import FriendRecord, Principal, Role
from chalicelib.domain.tiers import TIERS
from chalicelib.gateways.operations import DynamoOperationStore
from chalicelib.services.access import Access
from chalicelib.services.operations import ApplyRequest, Operations
from chalicelib.settings import DEFAULT_RESERVED_LABELS
from tests.cluster_client import ClusterClient
from tests.harness import TABLE, Api, Clock, create_backend
from tests.manifests import (
    create_config_map_manifest,
    create_cron_job_manifest,
    create_deployment_manifest,
    create_service_manifest,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ROUNDS = 20
_MANIFESTS = 100
_ADMISSIONS = 15
_APPLY = "an inline apply of 5 objects, DynamoDB aside, against a bare client's 5 writes"
_RECORDED = (
    "an inline apply of 5 objects, recorded in moto, against a bare client's 5 writes and 3 calls"
)
_MOST = 1.5
_ADMISSION = f"admission of {_MANIFESTS} manifests, CPU, against 50 ms"
_MOST_CPU_MS = 50.0
_NO_REAL_AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}
# A tier that admits a hundred of each kind: how much a friend may have is not what is measured.
_ROOMY = dataclasses.replace(
    TIERS["default"],
    object_counts=dict.fromkeys(TIERS["default"].object_counts, _MANIFESTS),
)


def measure_apply() -> list[Figure]:
    """Measure an inline apply and admission."""
    return [*_measure_applies(), _measure_admission()]


def _measure_applies() -> list[Figure]:
    with run_real_cluster() as cluster:
        if cluster is None:
            skipped = "no control plane is built yet: make test-cluster builds it"
            return [Figure(name, _MOST, skipped=skipped) for name in (_APPLY, _RECORDED)]
        with mock_aws(), _friend(cluster.kubeconfig) as (api, friend_id):
            client, numbers = ClusterClient(cluster.kubeconfig), count()
            bare = partial(_apply_bare, client, friend_id, numbers)
            recorded = partial(_apply_by_request, api, friend_id, numbers)
            unrecorded = partial(
                _apply_unrecorded, _without_dynamodb(api, friend_id), friend_id, numbers
            )
            bare_recorded = partial(
                _apply_bare_recorded, boto3.client("dynamodb"), client, friend_id, numbers
            )
            for warm_up in (bare, bare_recorded, recorded, unrecorded):
                warm_up()
            return [
                Figure(_APPLY, _MOST, *compare(unrecorded, bare, rounds=_ROUNDS)),
                Figure(_RECORDED, _MOST, *compare(recorded, bare_recorded, rounds=_ROUNDS)),
            ]


class _HastyClock(Clock):
    """A minute passes at each look, so that no apply is taken for a repeat of the last."""

    def now(self) -> datetime:
        """Return the time."""
        self.pass_seconds(60)
        return super().now()


class _CannedStore(DynamoOperationStore):
    """Records nothing."""

    def __init__(self) -> None:
        """Need no table."""

    def accept(self, *_: object) -> None:
        """Accept it."""

    def finish(self, *_: object, **__: object) -> bool:
        """Say that nothing more is pending."""
        return False


class _CannedAccess(Access):
    def load(self, principal: Principal, friend_id: str) -> FriendRecord:
        del principal, friend_id
        return cast("FriendRecord", self.friends)


@contextmanager
def _friend(kubeconfig: str) -> Iterator[tuple[Api, str]]:
    os.environ.update(_NO_REAL_AWS)
    create_backend(kubeconfig)
    api, friend_id = Api(now=_HastyClock().now), f"bench-{uuid4().hex[:12]}"
    api.register_friend(friend_id)
    try:
        yield api, friend_id
    finally:
        ClusterClient(kubeconfig).call("DELETE", f"/api/v1/namespaces/friend-{friend_id}")


_RESERVED = tuple(DEFAULT_RESERVED_LABELS.split(","))


def _build(prefix: str, number: int) -> list[list[dict[str, Any]]]:
    """Return two ranks of manifests, each of which changes something every time."""
    data = {"number": str(number)}
    label = {"labels": {"number": str(number)}}
    first = [
        create_config_map_manifest(f"{prefix}-a", data=data),
        create_config_map_manifest(f"{prefix}-b", data=data),
        create_service_manifest(f"{prefix}-web"),
    ]
    second = [
        create_deployment_manifest(f"{prefix}-web"),
        create_cron_job_manifest(f"{prefix}-cron"),
    ]
    for manifest in (*first, *second):
        manifest["metadata"] |= label
    return [first, second]


def _apply_by_request(api: Api, friend_id: str, numbers: Iterator[int]) -> None:
    manifests = [each for rank in _build("ours", next(numbers)) for each in rank]
    answer = api.post(f"/api/friends/{friend_id}/namespace/apply", manifests)
    assert answer.json["ok"], answer.text  # noqa: S101 - a benchmark of a failure is none


def _without_dynamodb(api: Api, friend_id: str) -> Operations:
    services = api.dependencies.services
    record: Any = services.access.friends.load(friend_id)
    access = _CannedAccess(record, require_relationship=False)
    return dataclasses.replace(services.operations, store=_CannedStore(), access=access)


def _apply_unrecorded(operations: Operations, friend_id: str, numbers: Iterator[int]) -> None:
    built = [each for rank in _build("ours", next(numbers)) for each in rank]
    manifests = admit(
        [(f"/{number}", each) for number, each in enumerate(built)],
        friend_id=friend_id,
        tier=TIERS["default"],
        reserved_labels=_RESERVED,
    )
    principal = Principal(Role.ADMIN, "bench")
    operation = operations.apply(principal, ApplyRequest(friend_id, manifests), Deadline.after(26))
    assert operation.error is None, operation.error  # noqa: S101 - a benchmark of a failure is none


def _apply_bare(client: ClusterClient, friend_id: str, numbers: Iterator[int]) -> None:
    ranks = _build("bare", next(numbers))
    with ThreadPoolExecutor(3) as pool:
        for rank in ranks:
            for manifest in rank:
                manifest["metadata"]["namespace"] = f"friend-{friend_id}"
            list(pool.map(client.apply, rank))


def _apply_bare_recorded(
    dynamodb: "DynamoDBClient", client: ClusterClient, friend_id: str, numbers: Iterator[int]
) -> None:
    """Read the friend, record an operation, apply, record its end: each by one call to boto3."""
    key = {"pk": {"S": f"BARE#{friend_id}"}, "sk": {"S": "PROFILE"}}
    dynamodb.query(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"FRIEND#{friend_id}"}},
        ConsistentRead=True,
    )
    operation = {"pk": {"S": f"BARE#{friend_id}"}, "sk": {"S": uuid4().hex}}
    manifests = {"S": json.dumps(_build("bare", 0))}
    accept: Any = [{"Put": _item(operation | {"manifests": manifests})}, _count_up(key)]
    finish: Any = [{"Put": _item(operation)}, _count_up(key)]
    dynamodb.transact_write_items(TransactItems=accept)
    _apply_bare(client, friend_id, numbers)
    dynamodb.transact_write_items(TransactItems=finish)


def _item(item: dict[str, Any]) -> dict[str, Any]:
    return {"TableName": TABLE, "Item": item}


def _count_up(key: dict[str, Any]) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": TABLE,
            "Key": key,
            "UpdateExpression": "ADD accepted :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }


def _measure_admission() -> Figure:
    builders: tuple[Callable[[str], dict[str, Any]], ...] = (
        partial(create_deployment_manifest, replicas=0),
        create_service_manifest,
        create_config_map_manifest,
    )
    manifests = [
        (f"/{number}", builders[number % len(builders)](f"m{number}"))
        for number in range(_MANIFESTS)
    ]
    taken = []
    for _ in range(_ADMISSIONS):
        started = time.process_time()
        admit(manifests, friend_id="alice", tier=_ROOMY, reserved_labels=_RESERVED, harden=True)
        taken.append((time.process_time() - started) * 1000)
    return Figure(_ADMISSION, 1.0, sorted(taken)[len(taken) // 2], _MOST_CPU_MS)
