"""The one DynamoDB table: items in and out, queries page by page, and transactions.

What the items mean is the stores' matter (dynamodb, operations, exposures, inventory).
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from botocore.exceptions import ClientError

from chalicelib.domain.backoff import backoff_seconds
from chalicelib.domain.errors import UpstreamUnreachable
from chalicelib.gateways.attribute_values import deserialize, serialize
from chalicelib.gateways.aws import CONDITION_FAILED, AwsClients, aws_errors, error_code

Item = dict[str, Any]

_SERVICE: Final = "DynamoDB"
_TRANSACTION_TRIES: Final = 4
_BATCH_TRIES: Final = 4
# The reasons for which a transaction may be cancelled and the next step is ours to decide.
_DECIDABLE: Final = frozenset({"None", "ConditionalCheckFailed", "TransactionConflict"})
_THROTTLED: Final = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})


class ConditionFailed(Exception):
    """A conditional write was not made. item is what stood in its way; empty, where nothing is."""

    def __init__(self, item: Item) -> None:
        """Keep the item."""
        super().__init__("the condition of a write did not hold")
        self.item = item


class Table:
    """The table's calls, in plain values. Every method may raise what aws_errors names."""

    def __init__(self, aws: AwsClients, name: str) -> None:
        """Keep the clients; nothing is called yet."""
        self._aws = aws
        self._name = name

    def get(self, pk: str, sk: str) -> Item | None:
        """Return an item by a consistent point read, or None."""
        with aws_errors(_SERVICE):
            answer = self._aws.dynamodb.get_item(
                TableName=self._name, Key=to_item({"pk": pk, "sk": sk}), ConsistentRead=True
            )
        return from_item(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[tuple[str, str]]) -> list[Item]:
        """Return those of up to 100 items that there are, in no order, by consistent reads."""
        items: list[Item] = []
        left: Any = {self._name: {"Keys": list(map(_key, keys)), "ConsistentRead": True}}
        for attempt in range(_BATCH_TRIES if keys else 0):
            with aws_errors(_SERVICE):
                answer = self._aws.dynamodb.batch_get_item(RequestItems=left)
            items += [from_item(item) for item in answer["Responses"].get(self._name, ())]
            left = answer.get("UnprocessedKeys")
            if not left:
                return items
            # DynamoDB gives back what it is too busy for, and what exceeds its 16 MB.
            time.sleep(backoff_seconds(attempt, first_seconds=0.05))
        if left and keys:
            raise _busy()
        return items

    def query(self, *, most: int | None = None, **query: Any) -> list[Item]:  # noqa: ANN401 - botocore's own arguments
        """Return the query's items, page after page, up to most of them."""
        items: list[Item] = []
        with aws_errors(_SERVICE):
            while True:
                if most is not None:
                    query["Limit"] = most - len(items)
                page = self._aws.dynamodb.query(TableName=self._name, **query)
                items += [from_item(item) for item in page["Items"]]
                if "LastEvaluatedKey" not in page or len(items) == most:
                    return items
                query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def update(self, update: Item) -> Item:
        """Make one update_action alone and return the item as it is now. Raises ConditionFailed."""
        arguments = cast("Any", update["Update"])
        with aws_errors(_SERVICE):
            try:
                answer = self._aws.dynamodb.update_item(**arguments, ReturnValues="ALL_NEW")
            except ClientError as error:
                if error_code(error) != CONDITION_FAILED:
                    raise
                found = cast("Item", error.response).get("Item", {})
                raise ConditionFailed(from_item(found)) from error
        return from_item(answer["Attributes"])

    def transact(self, actions: Sequence[Item]) -> list[Item | None]:
        """Write all of the actions or none.

        Returns nothing when all are written. When a condition did not hold, nothing is written,
        and the answer has for each action the item that stood in its way (empty where there is
        none), or None for an action that would have passed.
        """
        for attempt in range(_TRANSACTION_TRIES):
            reasons = self._try_transaction(actions)
            if any(reason["Code"] == "ConditionalCheckFailed" for reason in reasons):
                return [_obstacle(reason) for reason in reasons]
            if not reasons:
                return []
            # Another transaction holds one of the items: stand back for a random moment.
            time.sleep(backoff_seconds(attempt, first_seconds=0.05))
        raise _busy()

    def put_action(self, item: Item, *, when: str = "", values: Item | None = None) -> Item:
        """Return the action that writes an item, whatever was there, or when a condition holds."""
        put: Item = {"TableName": self._name, "Item": to_item(item)}
        if when:
            put |= {
                "ConditionExpression": when,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        if values:
            put["ExpressionAttributeValues"] = to_item(values)
        return {"Put": put}

    def put_new_action(self, item: Item) -> Item:
        """Return the action that writes an item where there is none."""
        return self.put_action(item, when="attribute_not_exists(pk)")

    def check_action(self, pk: str, sk: str, *, when: str, values: Item) -> Item:
        """Return the action that lets the others be made only when a condition holds."""
        return {
            "ConditionCheck": {
                "TableName": self._name,
                "Key": to_item({"pk": pk, "sk": sk}),
                "ConditionExpression": when,
                "ExpressionAttributeValues": to_item(values),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def delete_action(self, pk: str, sk: str, *, when: str, values: Item) -> Item:
        """Return the action that deletes an item when a condition holds.

        There is none without: whose the item is has to be part of the delete itself.
        """
        return {
            "Delete": {
                "TableName": self._name,
                "Key": to_item({"pk": pk, "sk": sk}),
                "ConditionExpression": when,
                "ExpressionAttributeValues": to_item(values),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def update_action(  # noqa: PLR0913 - the parts of DynamoDB's own expression
        self,
        pk: str,
        sk: str,
        *,
        when: str,
        values: Item,
        sets: Item | None = None,
        also: str = "",
        remove: Sequence[str] = (),
    ) -> Item:
        """Return the action that changes an item when a condition holds.

        sets are attributes with their new values; also is more of the SET clause, as DynamoDB
        spells it; values are what `when` and `also` refer to.
        """
        sets = sets or {}
        assignments = [f"#{name} = :set_{name}" for name in sets] + ([also] if also else [])
        clauses = [f"SET {', '.join(assignments)}"] if assignments else []
        clauses += [f"REMOVE {', '.join(remove)}"] if remove else []
        everything = {**values, **{f":set_{name}": value for name, value in sets.items()}}
        update: Item = {
            "TableName": self._name,
            "Key": to_item({"pk": pk, "sk": sk}),
            "UpdateExpression": " ".join(clauses),
            "ConditionExpression": when,
            "ExpressionAttributeValues": to_item(everything),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if sets:
            update["ExpressionAttributeNames"] = {f"#{name}": name for name in sets}
        return {"Update": update}

    def _try_transaction(self, actions: Sequence[Item]) -> Sequence[Any]:
        with aws_errors(_SERVICE):
            try:
                self._aws.dynamodb.transact_write_items(TransactItems=cast("Any", actions))
            except ClientError as error:
                if error_code(error) != "TransactionCanceledException":
                    raise
                reasons: Sequence[Any] = error.response.get("CancellationReasons", ())
                codes = {str(reason["Code"]) for reason in reasons}
                if codes & _THROTTLED or not codes:
                    raise _busy() from error
                if not codes <= _DECIDABLE:
                    raise
                return reasons
        return ()


def _key(key: tuple[str, str]) -> Item:
    pk, sk = key
    return to_item({"pk": pk, "sk": sk})


def to_item(values: Mapping[str, Any]) -> Item:
    """Return plain values in DynamoDB's typed JSON."""
    return {key: serialize(value) for key, value in values.items()}


def from_item(item: Mapping[str, Any]) -> Item:
    """Return plain values from DynamoDB's typed JSON; its numbers become Decimal."""
    # Most values are strings, and a pass reads them by the hundred thousand.
    return {key: value["S"] if "S" in value else deserialize(value) for key, value in item.items()}


def _busy() -> UpstreamUnreachable:
    msg = "Others are changing the same records. Try again."
    return UpstreamUnreachable(msg, code="dynamodb_busy", retry_after_seconds=1)


def _obstacle(reason: Item) -> Item | None:
    if reason["Code"] != "ConditionalCheckFailed":
        return None
    return from_item(reason.get("Item", {}))
