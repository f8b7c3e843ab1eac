"""The first answers to idempotency keys, in the same DynamoDB table, each an item of its own.

pk IDEMPOTENCY#<token id>#<key>    sk REQUEST
    digest, lease_owner, then lease_until while it runs, or status, headers and body
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast

from botocore.exceptions import ClientError

from chalicelib.domain.errors import Conflict, Fault, Refused
from chalicelib.gateways.aws import CONDITION_FAILED, AwsClients, aws_errors, error_code
from chalicelib.gateways.table import Item, from_item, to_item
from chalicelib.ports import KeyClaim, StoredAnswer

_SERVICE: Final = "DynamoDB"
_IS_OURS: Final = "lease_owner = :owner"
_KEPT_SECONDS: Final = 24 * 60 * 60


class DynamoAnswerStore:
    """The AnswerStore of ports.py."""

    def __init__(self, aws: AwsClients, table: str, clock: Callable[[], float] = time.time) -> None:
        """Keep the clients; clock gives seconds since the epoch."""
        self._aws = aws
        self._table = table
        self._clock = clock

    def claim(self, key: str, digest: str, *, owner: str, lease_seconds: int) -> KeyClaim:
        """See AnswerStore. One conditional put decides among all callers.

        botocore repeats a put whose answer was lost: a lease of this owner's is not in its way.
        """
        now = int(self._clock())
        claim = {
            **_key(key),
            "digest": digest,
            "lease_owner": owner,
            "lease_until": now + lease_seconds,
            # DynamoDB deletes late, so that the condition looks at the time itself.
            "expires_at": now + _KEPT_SECONDS,
        }
        with aws_errors(_SERVICE):
            try:
                answer = self._aws.dynamodb.put_item(
                    TableName=self._table,
                    Item=to_item(claim),
                    ConditionExpression="attribute_not_exists(pk) OR expires_at <= :now"
                    " OR (digest = :digest AND attribute_exists(lease_until)"
                    " AND (lease_until <= :now OR lease_owner = :owner))",
                    ExpressionAttributeValues=to_item(
                        {":now": now, ":digest": digest, ":owner": owner}
                    ),
                    ReturnValues="ALL_OLD",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                if error_code(error) != CONDITION_FAILED:
                    raise
                found = from_item(cast("Item", error.response).get("Item", {}))
                return KeyClaim(_answer_in(found, digest, now))
        return KeyClaim(is_repeat=_is_alive(answer.get("Attributes"), now))

    def keep(self, key: str, answer: StoredAnswer, *, owner: str) -> None:
        """See AnswerStore."""
        values = {
            ":status": answer.status,
            ":headers": dict(answer.headers),
            ":body": answer.body,
            ":owner": owner,
        }
        with aws_errors(_SERVICE), _unless_taken_over():
            self._aws.dynamodb.update_item(
                TableName=self._table,
                Key=to_item(_key(key)),
                UpdateExpression="SET #status = :status, headers = :headers, body = :body"
                " REMOVE lease_until",
                ConditionExpression=_IS_OURS,
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item(values),
            )

    def release(self, key: str, *, owner: str) -> None:
        """See AnswerStore."""
        with aws_errors(_SERVICE), _unless_taken_over():
            self._aws.dynamodb.delete_item(
                TableName=self._table,
                Key=to_item(_key(key)),
                ConditionExpression=_IS_OURS,
                ExpressionAttributeValues=to_item({":owner": owner}),
            )


@contextmanager
def _unless_taken_over() -> Iterator[None]:
    """Let it be: an attempt that outlived its lease has nothing to say about the key any more."""
    try:
        yield
    except ClientError as error:
        if error_code(error) != CONDITION_FAILED:
            raise


def _key(key: str) -> Item:
    return {"pk": f"IDEMPOTENCY#{key}", "sk": "REQUEST"}


def _is_alive(attributes: Mapping[str, Any] | None, now: int) -> bool:
    return bool(attributes) and from_item(attributes or {})["expires_at"] > now


def _answer_in(item: Item, digest: str, now: int) -> StoredAnswer:
    if not item:
        msg = "What was kept for this Idempotency-Key expired at this very moment. Try again."
        raise Conflict(msg, code="idempotency_key_in_use", retry_after_seconds=1)
    if item["digest"] != digest:
        msg = "This Idempotency-Key was used for another request. Use a new key."
        faults = (Fault("Idempotency-Key", msg),)
        raise Refused(msg, code="idempotency_key_reused", faults=faults)
    if "status" not in item:
        msg = "The first request with this Idempotency-Key is still running."
        wait = max(1, min(int(item["lease_until"]) - now, 5))
        raise Conflict(msg, code="idempotency_key_in_use", retry_after_seconds=wait)
    return StoredAnswer(int(item["status"]), item["headers"], item["body"])
