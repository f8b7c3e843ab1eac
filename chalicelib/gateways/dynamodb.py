"""Friends in one DynamoDB table. What spans items is one transaction: all of it, or nothing.

pk                       sk               what
FRIEND#alice             PROFILE          the friend; indexed by list_pk, list_sk
FRIEND#alice             AGENT#mochi      a friendship; indexed by agent_pk, agent_sk
IDENTITY#discord#<id>    CLAIM            who owns a platform id
"""

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from chalicelib.domain.errors import NotFound, UpstreamUnreachable
from chalicelib.domain.fields import contact_fields, identities_of, names_taken
from chalicelib.domain.model import (
    Contact,
    Friend,
    FriendPage,
    FriendRecord,
    Friendship,
    FriendshipStatus,
    Identity,
    Phase,
    Platform,
)
from chalicelib.gateways.aws import CONDITION_FAILED, AwsClients, aws_errors, error_code
from chalicelib.ports import StaleVersion

Item = dict[str, Any]

FRIENDS_INDEX: Final = "friends"
AGENT_INDEX: Final = "by_agent"
_SERVICE: Final = "DynamoDB"
_ALL_FRIENDS: Final = "FRIENDS"
_PROFILE: Final = "PROFILE"
_CLAIM: Final = "CLAIM"
_AGENT_PREFIX: Final = "AGENT#"
_TRANSACTION_TRIES: Final = 4
# The reasons for which a transaction may be cancelled and the next step is ours to decide.
_DECIDABLE: Final = frozenset({"None", "ConditionalCheckFailed", "TransactionConflict"})

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class DynamoFriendStore:
    """The FriendStore of ports.py."""

    def __init__(self, aws: AwsClients, table: str) -> None:
        """Keep the clients; nothing is called yet."""
        self._aws = aws
        self._table = table

    def load(self, friend_id: str) -> FriendRecord | None:
        """See FriendStore."""
        items = self._query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": _friend_pk(friend_id)}),
            ConsistentRead=True,
        )
        friend = next((_to_friend(item) for item in items if item["sk"] == _PROFILE), None)
        if friend is None:
            return None
        friendships = (
            _to_friendship(item)
            for item in items
            if item["sk"].startswith(_AGENT_PREFIX) and item["uid"] == friend.uid
        )
        return FriendRecord(friend, tuple(friendships))

    def list_page(self, *, limit: int, after: str | None) -> FriendPage:
        """See FriendStore."""
        start = {} if after is None else {"ExclusiveStartKey": to_item(_list_key(after))}
        items = self._query(
            most=limit + 1,
            IndexName=FRIENDS_INDEX,
            KeyConditionExpression="list_pk = :all",
            ExpressionAttributeValues=to_item({":all": _ALL_FRIENDS}),
            **start,
        )
        friends = tuple(_to_friend(item) for item in items[:limit])
        return FriendPage(friends, friends[-1].id if len(items) > limit else None)

    def find_owner(self, identity: Identity) -> str | None:
        """See FriendStore."""
        with aws_errors(_SERVICE):
            answer = self._aws.dynamodb.get_item(
                TableName=self._table,
                Key=to_item({"pk": _identity_pk(identity), "sk": _CLAIM}),
                ConsistentRead=True,
            )
        return from_item(answer["Item"])["friend_id"] if "Item" in answer else None

    def statuses_of(self, agent_id: str) -> Mapping[str, FriendshipStatus]:
        """See FriendStore."""
        items = self._query(
            IndexName=AGENT_INDEX,
            KeyConditionExpression="agent_pk = :agent",
            ExpressionAttributeValues=to_item({":agent": f"{_AGENT_PREFIX}{agent_id}"}),
        )
        return {item["agent_sk"]: FriendshipStatus(item["status"]) for item in items}

    def create(self, friend: Friend, friendship: Friendship | None) -> None:
        """See FriendStore."""
        identities = identities_of(friend.contact)
        actions = [self._put_new(_friend_item(friend))]
        actions += [self._put_new(_claim_item(friend, identity)) for identity in identities]
        if friendship is not None:
            actions.append({"Put": self._item(_friendship_item(friend, friendship))})
        names = ["id", *(identity.platform.field for identity in identities)]
        _require_ours(friend, names, self._transact(actions))

    def update_contact(self, before: Friend, after: Friend) -> None:
        """See FriendStore."""
        old, new = set(identities_of(before.contact)), set(identities_of(after.contact))
        claimed, dropped = sorted(new - old, key=_identity_pk), old - new
        actions = [self._update_row(before, _contact_attributes(after))]
        actions += [self._put_new(_claim_item(after, identity)) for identity in claimed]
        actions += [self._delete(_identity_pk(identity), _CLAIM) for identity in dropped]
        found = self._transact(actions)
        if found and found[0] is not None and not _is_written(found[0], after):
            raise StaleVersion
        _require_ours(after, [identity.platform.field for identity in claimed], found[1:])

    def mark_ready(self, friend: Friend) -> Friend:
        """See FriendStore."""
        with aws_errors(_SERVICE):
            try:
                answer = self._aws.dynamodb.update_item(
                    TableName=self._table,
                    Key=to_item({"pk": _friend_pk(friend.id), "sk": _PROFILE}),
                    UpdateExpression="SET phase = :ready, version = version + :one",
                    ConditionExpression="uid = :uid",
                    ExpressionAttributeValues=to_item(
                        {":ready": Phase.READY, ":one": 1, ":uid": friend.uid}
                    ),
                    ReturnValues="ALL_NEW",
                )
            except ClientError as error:
                if error_code(error) != CONDITION_FAILED:
                    raise
                msg = "The friend was deleted meanwhile."
                raise NotFound(msg, code="friend_not_found") from error
        return _to_friend(from_item(answer["Attributes"]))

    def put_friendship(self, friend: Friend, friendship: Friendship) -> None:
        """See FriendStore."""
        put = {"Put": self._item(_friendship_item(friend, friendship))}
        self._transact_at_version(friend, put)

    def delete_friendship(self, friend: Friend, agent_id: str) -> None:
        """See FriendStore."""
        self._transact_at_version(
            friend, self._delete(_friend_pk(friend.id), f"{_AGENT_PREFIX}{agent_id}")
        )

    def _query(self, *, most: int | None = None, **query: Any) -> list[Item]:  # noqa: ANN401 - botocore's own arguments
        """Return the query's items, page after page, up to most of them."""
        items: list[Item] = []
        with aws_errors(_SERVICE):
            while True:
                if most is not None:
                    query["Limit"] = most - len(items)
                page = self._aws.dynamodb.query(TableName=self._table, **query)
                items += [from_item(item) for item in page["Items"]]
                if "LastEvaluatedKey" not in page or len(items) == most:
                    return items
                query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _transact_at_version(self, friend: Friend, action: Item) -> None:
        if self._transact([self._update_row(friend, {}), action]):
            raise StaleVersion

    def _transact(self, actions: Sequence[Item]) -> list[Item | None]:
        """Write all of the actions or none.

        Returns nothing when all are written. When a condition did not hold, nothing is written,
        and the answer has for each action the item that stood in its way, or None.
        """
        for attempt in range(_TRANSACTION_TRIES):
            reasons = self._try_transaction(actions)
            if any(reason["Code"] == "ConditionalCheckFailed" for reason in reasons):
                return [_obstacle(reason) for reason in reasons]
            if not reasons:
                return []
            # Another transaction holds one of the items: stand back for a random moment.
            time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter, no secret
        msg = "Others are changing the same records. Try again."
        raise UpstreamUnreachable(msg, code="dynamodb_busy", retry_after_seconds=1)

    def _try_transaction(self, actions: Sequence[Item]) -> Sequence[Any]:
        with aws_errors(_SERVICE):
            try:
                self._aws.dynamodb.transact_write_items(TransactItems=cast("Any", actions))
            except ClientError as error:
                if error_code(error) != "TransactionCanceledException":
                    raise
                reasons = error.response["CancellationReasons"]
                if not {str(reason["Code"]) for reason in reasons} <= _DECIDABLE:
                    raise
                return reasons
        return ()

    def _item(self, item: Item) -> Item:
        return {"TableName": self._table, "Item": to_item(item)}

    def _put_new(self, item: Item) -> Item:
        return {
            "Put": {
                **self._item(item),
                "ConditionExpression": "attribute_not_exists(pk)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _delete(self, pk: str, sk: str) -> Item:
        return {"Delete": {"TableName": self._table, "Key": to_item({"pk": pk, "sk": sk})}}

    def _update_row(self, friend: Friend, attributes: Item) -> Item:
        """Return the action that moves the friend's row from this version to the next."""
        names = {f"#{name}": name for name in attributes}
        values = {f":{name}": value for name, value in attributes.items()}
        sets = [f"#{name} = :{name}" for name in attributes]
        update = {
            "TableName": self._table,
            "Key": to_item({"pk": _friend_pk(friend.id), "sk": _PROFILE}),
            "UpdateExpression": f"SET {', '.join(['version = version + :one', *sets])}",
            "ConditionExpression": "uid = :uid AND version = :version",
            "ExpressionAttributeValues": to_item(
                {":one": 1, ":uid": friend.uid, ":version": friend.version, **values}
            ),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        return {"Update": update | ({"ExpressionAttributeNames": names} if names else {})}


def to_item(values: Mapping[str, Any]) -> Item:
    """Return plain values in DynamoDB's typed JSON."""
    return {key: _serialize(value) for key, value in values.items()}


def from_item(item: Mapping[str, Any]) -> Item:
    """Return plain values from DynamoDB's typed JSON; its numbers become Decimal."""
    return {key: _deserialize(value) for key, value in item.items()}


def _obstacle(reason: Item) -> Item | None:
    if reason["Code"] != "ConditionalCheckFailed":
        return None
    return from_item(reason.get("Item", {}))


def _require_ours(friend: Friend, names: Sequence[str], obstacles: Sequence[Item | None]) -> None:
    """Raise Conflict for names that others hold.

    What this registration holds itself is what a repeat after a lost answer finds.
    """
    taken = [
        name
        for name, item in zip(names, obstacles, strict=False)
        if item is not None and item.get("uid") != friend.uid
    ]
    if taken:
        raise names_taken(taken)


def _is_written(item: Item, after: Friend) -> bool:
    # A repeat after a lost answer finds its own write.
    return item.get("uid") == after.uid and item.get("updated_at") == after.updated_at


def _friend_pk(friend_id: str) -> str:
    return f"FRIEND#{friend_id}"


def _identity_pk(identity: Identity) -> str:
    return f"IDENTITY#{identity.platform}#{identity.key}"


def _list_key(friend_id: str) -> Item:
    return {
        "pk": _friend_pk(friend_id),
        "sk": _PROFILE,
        "list_pk": _ALL_FRIENDS,
        "list_sk": friend_id,
    }


def _contact_attributes(friend: Friend) -> Item:
    return {**contact_fields(friend.contact), "updated_at": friend.updated_at}


def _friend_item(friend: Friend) -> Item:
    return {
        **_list_key(friend.id),
        **_contact_attributes(friend),
        "id": friend.id,
        "uid": friend.uid,
        "version": friend.version,
        "phase": friend.phase,
        "cluster": friend.cluster,
        "tier": friend.tier,
        "created_at": friend.created_at,
        "request": friend.request,
    }


def _claim_item(friend: Friend, identity: Identity) -> Item:
    return {
        "pk": _identity_pk(identity),
        "sk": _CLAIM,
        "friend_id": friend.id,
        "uid": friend.uid,
    }


def _friendship_item(friend: Friend, friendship: Friendship) -> Item:
    return {
        "pk": _friend_pk(friend.id),
        "sk": f"{_AGENT_PREFIX}{friendship.agent_id}",
        "agent_pk": f"{_AGENT_PREFIX}{friendship.agent_id}",
        "agent_sk": friend.id,
        "uid": friend.uid,
        "status": friendship.status,
        "created_at": friendship.created_at,
    }


def _to_friend(item: Item) -> Friend:
    channel = item["preferred_channel"]
    return Friend(
        id=item["id"],
        uid=item["uid"],
        version=int(item["version"]),
        phase=Phase(item["phase"]),
        cluster=item["cluster"],
        tier=item["tier"],
        contact=Contact(
            display_name=item["display_name"],
            discord_id=item["discord_id"],
            signal=item["signal"],
            whatsapp=item["whatsapp"],
            preferred_channel=None if channel is None else Platform(channel),
        ),
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        request=item["request"],
    )


def _to_friendship(item: Item) -> Friendship:
    return Friendship(
        agent_id=item["sk"].removeprefix(_AGENT_PREFIX),
        friend_id=item["agent_sk"],
        status=FriendshipStatus(item["status"]),
        created_at=item["created_at"],
    )
