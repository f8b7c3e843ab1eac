"""AWS, in process: moto, made atomic, with Lambda as a list of events.

A conditional write is atomic on AWS; in moto's threads it is not. moto runs no function without
docker, and a test wants to decide itself what is delivered, when, and how often.
"""

import json
import os
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from http import HTTPStatus
from typing import Any
from unittest import mock

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError
from botocore.loaders import create_loader
from moto import mock_aws
from moto.backends import get_backend
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.serialize import JSONSerializer

from chalicelib.gateways.table import from_item
from tests import canaries

REGION = "us-east-1"


class AwsDouble:
    """What has reached AWS: the events of invocations, and every request by its service."""

    def __init__(self, invocations: list[Any]) -> None:
        """Nothing has reached it yet."""
        self.invocations = invocations
        self.requests: list[str] = []
        self._tokens: set[str] = set()
        self._lost: list[tuple[str, int]] = []
        self._lock = threading.RLock()

    def answer(self, respond: Callable[[], Any], event_name: str, request: Any) -> Any:
        """Answer one request; respond is how moto answers it."""
        with self._lock:
            _, service, operation = event_name.split(".")
            # The events of one service are named with hyphens, and its client is not.
            self.requests.append(service.replace("-", ""))
            canaries.search_aws(service, operation, request)
            if (service, operation) == ("lambda", "Invoke"):
                assert request.headers["X-Amz-Invocation-Type"] == b"Event"
                self.invocations.append(json.loads(request.body))
                return AWSResponse(request.url, 202, HTTPHeaders(), MockRawResponse(b""))
            if operation == "TransactWriteItems":
                return self._transact(respond, request)
            answer = respond()
            self._maybe_lose(operation, request)
            return answer

    def lose_answer(self, operation: str, number: int = 1) -> None:
        """Have this operation done the number-th time it is asked for, and its answer lost."""
        self._lost.append((operation, number))

    @property
    def has_answers_to_lose(self) -> bool:
        """Whether an answer that was to be lost was never asked for."""
        return bool(self._lost)

    def forget_faults(self) -> None:
        """Lose no more answers."""
        self._lost.clear()

    def _transact(self, respond: Callable[[], Any], request: Any) -> Any:
        """Answer as DynamoDB does: a transaction with the token of one that is made is made.

        moto does not know the token. A transaction that was cancelled may be tried again.
        """
        token = json.loads(request.body)["ClientRequestToken"]
        if token in self._tokens:
            return AWSResponse(request.url, 200, HTTPHeaders(), MockRawResponse(b"{}"))
        answer = respond()
        if answer.status_code == HTTPStatus.OK:
            self._tokens.add(token)
        self._maybe_lose("TransactWriteItems", request)
        return answer

    def _maybe_lose(self, operation: str, request: Any) -> None:
        waiting = [(each, left - (each == operation)) for each, left in self._lost]
        self._lost = [(each, left) for each, left in waiting if left > 0]
        if len(self._lost) < len(waiting):
            raise ReadTimeoutError(endpoint_url=request.url)

    def items(self, table: str) -> list[dict[str, Any]]:
        """Return all items of a table, in plain values, without a request."""
        groups = _backend("dynamodb", REGION).tables[table].items.values()
        items = [each.to_json()["Attributes"] for group in groups for each in group.values()]
        return [from_item({key: _on_the_wire(item[key]) for key in item}) for item in items]

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Return all objects of a bucket, by key, without a request."""
        keys = _backend("s3", "aws").buckets[bucket].keys
        return {key: keys[key].value for key in list(keys)}

    def save(self, storage: Mapping[str, str]) -> Callable[[], None]:
        """Return a function that puts everything back as it is: buckets are by their tables."""
        invocations = list(self.invocations)
        parts = [self.save_items(table) for table in storage]
        parts += [_save_objects(bucket) for bucket in storage.values()]

        def restore() -> None:
            for restore_one in parts:
                restore_one()
            self.invocations[:] = invocations
            self.requests.clear()

        return restore

    def save_items(self, table: str) -> Callable[[], None]:
        """Return a function that puts a table's items back as they are, as a backup does."""
        # moto puts another table in the table's place when it takes a transaction back.
        tables = _backend("dynamodb", REGION).tables
        items = deepcopy(tables[table].items)

        def restore() -> None:
            tables[table].items = deepcopy(items)

        return restore

    def clear_items(self, table: str) -> None:
        """Lose all items of a table."""
        _backend("dynamodb", REGION).tables[table].items.clear()


@contextmanager
def serve(
    invocations: list[Any] | None = None,
    watch: Callable[[str, Any], None] = lambda _event_name, _request: None,
) -> Iterator[AwsDouble]:
    """Have every AWS client of this process talk to an empty double, until the block ends.

    watch is told of each request before it is answered.
    """
    double, answer = AwsDouble([] if invocations is None else invocations), BotocoreStubber.__call__

    def answer_one_by_one(
        stubber: BotocoreStubber, event_name: str, request: Any, **options: Any
    ) -> Any:
        def respond() -> Any:
            return answer(stubber, event_name, request, **options)

        if not stubber.enabled:
            return None
        watch(event_name, request)
        return double.answer(respond, event_name, request)

    with (
        mock.patch.object(BotocoreStubber, "__call__", answer_one_by_one),
        mock.patch.object(JSONSerializer, "_serialize_type_structure", _serialize_structure),
        mock_aws(),
    ):
        boto3.DEFAULT_SESSION = None
        yield double


_serialize_any_structure = JSONSerializer._serialize_type_structure  # noqa: SLF001 - called in its own place


def _serialize_structure(
    serializer: Any, serialized: Any, value: Any, shape: Any, key: str
) -> None:
    """Serialize as moto does; an attribute of DynamoDB's already is as it goes over the wire.

    moto looks for each of its ten types under a dozen names: a quarter of the state machine's time.
    """
    if shape.name == "AttributeValue" and "B" not in value:
        serialized[key] = value
    else:
        _serialize_any_structure(serializer, serialized, value, shape, key)


@contextmanager
def no_real_aws() -> Iterator[None]:
    """Have AWS's libraries know credentials that open nothing, and no endpoint of anybody's."""
    cleared = {
        name: value
        for name, value in os.environ.items()
        if name not in {"AWS_PROFILE", "AWS_ENDPOINT_URL"}
    }
    fake = {**canaries.ENVIRONMENT, "AWS_DEFAULT_REGION": REGION}
    with mock.patch.dict("os.environ", {**cleared, **fake}, clear=True):
        yield


@contextmanager
def one_loader() -> Iterator[None]:
    """Have botocore read its descriptions of services once, and not for each session."""
    loader = create_loader()
    with mock.patch("botocore.session.create_loader", return_value=loader):
        yield


def _on_the_wire(attribute: dict[str, Any]) -> dict[str, Any]:
    """Return an attribute value of moto's, which keeps bytes as they are."""
    return {"B": b64encode(attribute["B"]).decode()} if "B" in attribute else attribute


def _save_objects(bucket: str) -> Callable[[], None]:
    s3 = boto3.client("s3")
    keys = _backend("s3", "aws").buckets[bucket].keys
    saved = {key: s3.get_object(Bucket=bucket, Key=key) for key in list(keys)}
    bodies = {key: found["Body"].read() for key, found in saved.items()}
    # A write puts another object in an object's place.
    kept = {key: keys[key] for key in saved}

    def restore() -> None:
        for key in keys.keys() - saved.keys():
            s3.delete_object(Bucket=bucket, Key=key)
        for key, found in saved.items():
            if keys.get(key) is not kept[key]:
                metadata = found["Metadata"]
                s3.put_object(Bucket=bucket, Key=key, Body=bodies[key], Metadata=metadata)
                kept[key] = keys[key]

    return restore


def _backend(service: Any, partition: str) -> Any:
    return get_backend(service)[DEFAULT_ACCOUNT_ID][partition]
