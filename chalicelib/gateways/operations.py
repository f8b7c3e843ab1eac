"""Operations in the one DynamoDB table, and the lease in the friend's row.

pk                 sk                     what
OPERATIONS#alice   19a2b3c4d5e-00000007   an operation; expires 30 days after it was accepted
FRIEND#alice       PROFILE                accepted, finished, ran_at, lease_owner, lease_until

The friend's row changes without a new version here: an operation is no change of the friend.
Manifests are kept compressed: what a write costs grows with the size of its item.
"""

import json
import logging
import zlib
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from chalicelib.domain.fields import identities_of
from chalicelib.domain.model import Friend, Identity, JsonObject, Lease, Phase, Queue
from chalicelib.domain.operations import (
    DeletionStep,
    Operation,
    OperationStatus,
    OperationType,
    operation_id,
)
from chalicelib.domain.ownership import friend_not_found
from chalicelib.domain.timestamps import moment_of
from chalicelib.gateways.damage import DAMAGE, DAMAGED_ROW
from chalicelib.gateways.dynamodb import (
    CLAIM,
    PROFILE,
    friend_pk,
    identity_pk,
    to_friend,
    to_queue,
)
from chalicelib.gateways.friend_counts import count_down
from chalicelib.gateways.table import ConditionFailed, Item, Table, to_item
from chalicelib.ports import Claim, LeaseLost, StaleVersion

ALL_WATCHED: Final = "WATCHED"
_PREFIX: Final = "OPERATIONS#"
_UNREADABLE: Final = (
    "What is recorded of this operation cannot be read, so it was given up. Apply again what it "
    "was to apply."
)
# DynamoDB takes 100 in one transaction.
_MOST_AT_ONCE: Final = 100
_KEPT: Final = timedelta(days=30)
# What is told of an operation whose row does not say when it was accepted.
_LONG_AGO: Final = "1970-01-01T00:00:00.000000Z"
_IS_OURS: Final = "lease_owner = :owner"
_NOT_OVER: Final = "uid = :uid AND attribute_not_exists(finished_at)"


_log = logging.getLogger(__name__)


class DynamoOperationStore:
    """The OperationStore of ports.py."""

    def __init__(self, table: Table) -> None:
        """Keep the table; nothing is called yet."""
        self._table = table

    def accept(self, queue: Queue, operation: Operation, lease: Lease | None) -> None:
        """See OperationStore."""
        when = "uid = :uid AND phase <> :deleting AND accepted = :accepted AND finished = :finished"
        sets: Item = {"accepted": operation.sequence}
        also = ""
        if operation.type is OperationType.DELETE:
            sets["phase"], also = Phase.DELETING, "version = version + :one"
        if lease is not None:
            when += " AND (attribute_not_exists(lease_until) OR lease_until = :lease_until)"
            sets |= {"lease_owner": lease.owner, "lease_until": lease.until}
        values = {
            ":uid": operation.uid,
            ":deleting": Phase.DELETING,
            ":accepted": queue.accepted,
            ":finished": queue.finished,
            **({":lease_until": queue.lease_until} if lease else {}),
            **({":one": 1} if also else {}),
        }
        item = _operation_item(operation, owner=lease.owner if lease else None)
        row = self._table.update_action(
            friend_pk(operation.friend_id), PROFILE, when=when, values=values, sets=sets, also=also
        )
        if self._table.transact([row, self._table.put_new_action(item)]):
            raise StaleVersion

    def claim(self, friend_id: str, lease: Lease, now: float) -> Claim:
        """See OperationStore."""
        take = self._table.update_action(
            friend_pk(friend_id),
            PROFILE,
            when="finished < accepted"
            " AND (attribute_not_exists(lease_until) OR lease_until <= :now)",
            values={":now": int(now)},
            sets={"lease_owner": lease.owner, "lease_until": lease.until},
        )
        try:
            row = self._table.update(take)
        except ConditionFailed as error:
            row = error.item
        if not row:
            raise friend_not_found()
        return Claim(to_friend(row), to_queue(row))

    def renew(self, friend: Friend, lease: Lease) -> None:
        """See OperationStore."""
        self._change_row(friend, lease.owner, sets={"lease_until": lease.until})

    def release(self, friend: Friend, owner: str) -> None:
        """See OperationStore."""
        try:
            self._change_row(friend, owner, remove=("lease_owner", "lease_until"))
        except LeaseLost:
            return

    def start(self, friend: Friend, sequence: int, owner: str) -> Operation | None:
        """See OperationStore."""
        begin = self._table.update_action(
            _pk(friend.id),
            operation_id(friend, sequence),
            when=f"{_NOT_OVER} AND attribute_not_exists(applied_at)",
            values={":uid": friend.uid, ":one": 1},
            sets={"status": OperationStatus.RUNNING, "lease_owner": owner},
            also="attempts = attempts + :one",
        )
        try:
            return _to_operation(self._table.update(begin))
        except ConditionFailed:
            return None

    def checkpoint(
        self, operation: Operation, position: int, result: JsonObject, owner: str
    ) -> None:
        """See OperationStore."""
        keep = self._table.update_action(
            _pk(operation.friend_id),
            operation.id,
            when=_IS_OURS,
            values={":owner": owner, ":result": result},
            sets={"attempts": 0},
            also=f"results[{position}] = :result",
        )
        try:
            self._table.update(keep)
        except ConditionFailed as error:
            raise LeaseLost from error

    def finish(
        self,
        friend: Friend,
        sequence: int,
        operation: Operation | None,
        owner: str,
        *,
        keep: bool,
    ) -> bool:
        """See OperationStore."""
        done = [] if operation is None else [self._done(operation, owner)]
        ran_at = operation and (operation.applied_at or operation.finished_at)
        change = {"finished": sequence, **({"ran_at": ran_at} if ran_at else {})}
        last = self._move_on(friend, change, owner, is_last=True, keep=False)
        obstacles = self._table.transact([last, *done])
        if not obstacles:
            return False
        row = obstacles[0]
        if not row or row.get("lease_owner") != owner or row["finished"] >= sequence:
            raise LeaseLost
        onward = self._move_on(friend, change, owner, is_last=False, keep=keep)
        if self._table.transact([onward, *done]):
            raise LeaseLost
        return True

    def finish_deletion(self, friend: Friend, operation: Operation, owner: str) -> None:
        """See OperationStore.

        What belongs to the friend goes first, claims on platform ids included, and the row last: so
        long as it is there, the deletion can be taken up again.
        """
        items = self._table.query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": friend_pk(friend.id)}),
            ConsistentRead=True,
        )
        row = next((each for each in items if each["sk"] == PROFILE), {})
        if row.get("uid") == friend.uid and row.get("lease_owner") == owner:
            rest = [each for each in items if each["sk"] != PROFILE and "uid" in each]
            for start in range(0, len(rest), _MOST_AT_ONCE):
                drops = map(self._drop_as_read, rest[start : start + _MOST_AT_ONCE])
                if self._table.transact([*drops]):
                    # The id was registered anew: this runner was frozen meanwhile.
                    raise LeaseLost
            for identity in identities_of(to_friend(row).contact):
                # A claim that is another's by now stays.
                self._table.transact([self._give_up(identity, friend)])
            end = [self._forget(friend, owner), self._done(operation, owner)]
            end += count_down(self._table, friend, operation.finished_at or operation.created_at)
            if not self._table.transact(end):
                return
        found = self.find(friend, operation.id)
        if found is None or not found.status.is_final:
            raise LeaseLost

    def record(self, operation: Operation, owner: str | None = None) -> bool:
        """See OperationStore."""
        when = f"{_NOT_OVER} AND {_IS_OURS if owner else 'attribute_exists(applied_at)'}"
        record = self._table.update_action(
            _pk(operation.friend_id),
            operation.id,
            when=when,
            values={":uid": operation.uid, **({":owner": owner} if owner else {})},
            sets=_progress(operation),
            remove=("list_pk", "list_sk") if operation.status.is_final else (),
        )
        try:
            self._table.update(record)
        except ConditionFailed:
            return False
        return True

    def find(self, friend: Friend, identifier: str) -> Operation | None:
        """See OperationStore."""
        item = self._table.get(_pk(friend.id), identifier)
        is_theirs = item is not None and item.get("uid") == friend.uid
        return _to_operation(item) if item is not None and is_theirs else None

    def find_deletion(self, friend_id: str, identifier: str) -> Operation | None:
        """See OperationStore."""
        item = self._table.get(_pk(friend_id), identifier)
        if item is None or item.get("type") != OperationType.DELETE or "finished_at" not in item:
            return None
        return _to_operation(item)

    def list_newest(self, friend: Friend, *, limit: int, before: str | None) -> list[Operation]:
        """See OperationStore."""
        # The ids of an earlier registration sort before the first of this one.
        oldest, newest = operation_id(friend, 0), _preceding(before) if before else "~"
        if newest < oldest:
            return []
        items = self._table.query(
            most=limit,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :oldest AND :newest",
            ExpressionAttributeValues=to_item(
                {":pk": _pk(friend.id), ":oldest": oldest, ":newest": newest}
            ),
            ScanIndexForward=False,
            ConsistentRead=True,
        )
        return [_to_operation(each) for each in items if each.get("uid") == friend.uid]

    def _drop_as_read(self, row: Item) -> Item:
        """Return the action that deletes a row if it is of the registration that it was read of.

        That may be one before this friend's, which left it.
        """
        is_as_read, values = "attribute_not_exists(pk) OR uid = :uid", {":uid": row["uid"]}
        return self._table.delete_action(row["pk"], row["sk"], when=is_as_read, values=values)

    def _give_up(self, identity: Identity, friend: Friend) -> Item:
        return self._table.delete_action(
            identity_pk(identity), CLAIM, when="uid = :uid", values={":uid": friend.uid}
        )

    def _forget(self, friend: Friend, owner: str) -> Item:
        return self._table.delete_action(
            friend_pk(friend.id),
            PROFILE,
            when="uid = :uid AND lease_owner = :owner",
            values={":uid": friend.uid, ":owner": owner},
        )

    def _done(self, operation: Operation, owner: str) -> Item:
        return self._table.update_action(
            _pk(operation.friend_id),
            operation.id,
            when=_IS_OURS,
            values={":owner": owner},
            sets=_progress(operation),
        )

    def _move_on(
        self, friend: Friend, change: Item, owner: str, *, is_last: bool, keep: bool
    ) -> Item:
        """Return the action that moves the line past a number, if that is the last one or not."""
        sequence = change["finished"]
        when = "lease_owner = :owner AND finished = :before"
        values = {":owner": owner, ":before": sequence - 1}
        if is_last:
            when += " AND accepted = :last"
            values[":last"] = sequence
        return self._table.update_action(
            friend_pk(friend.id),
            PROFILE,
            when=when,
            values=values,
            sets=change,
            remove=() if keep else ("lease_owner", "lease_until"),
        )

    def _change_row(self, friend: Friend, owner: str, **change: Any) -> None:  # noqa: ANN401 - as update_action takes it
        action = self._table.update_action(
            friend_pk(friend.id), PROFILE, when=_IS_OURS, values={":owner": owner}, **change
        )
        try:
            self._table.update(action)
        except ConditionFailed as error:
            raise LeaseLost from error


def _preceding(identifier: str) -> str:
    prefix, _, number = identifier.partition("-")
    return f"{prefix}-{int(number) - 1:08d}"


def _pk(friend_id: str) -> str:
    return f"{_PREFIX}{friend_id}"


def _progress(operation: Operation) -> Item:
    """Return what changes of an operation while it runs."""
    progress: Item = {"status": operation.status, "results": list(operation.results)}
    if operation.is_watched:
        progress |= {
            "list_pk": ALL_WATCHED,
            "list_sk": f"{operation.friend_id}#{operation.id}",
        }
    later = {
        "applied_at": operation.applied_at,
        "finished_at": operation.finished_at,
        "error": operation.error,
        "code": operation.code,
        "given_up": operation.given_up or None,
        "expires_at": _expires_at(operation),
    }
    return progress | {name: value for name, value in later.items() if value is not None}


def _expires_at(operation: Operation) -> int | None:
    """Return when the row may go. A deletion is needed until it is over, however long it takes."""
    if operation.type is OperationType.DELETE and not operation.status.is_final:
        return None
    kept_from = operation.finished_at or operation.created_at
    return int((datetime.fromisoformat(kept_from) + _KEPT).timestamp())


def _operation_item(operation: Operation, *, owner: str | None) -> Item:
    manifests = json.dumps(operation.manifests, separators=(",", ":")).encode()
    item: Item = {
        "pk": _pk(operation.friend_id),
        "sk": operation.id,
        "friend_id": operation.friend_id,
        "uid": operation.uid,
        "sequence": operation.sequence,
        "type": operation.type,
        "manifests": zlib.compress(manifests),
        "wait": operation.wait,
        "created_at": operation.created_at,
        "requested_by": operation.requested_by,
        "request": operation.request,
        "attempts": operation.attempts,
        **_progress(operation),
    }
    return item if owner is None else item | {"lease_owner": owner}


def _to_result(result: JsonObject | None) -> JsonObject | None:
    if result is None:
        return None
    return {
        name: int(value) if isinstance(value, Decimal) else value for name, value in result.items()
    }


def _to_operation(item: Item) -> Operation:
    """Return the operation of a row.

    One whose row is damaged stands as failed for good, so that it blocks nobody; a deletion's is
    begun anew, because the friend is to be gone.
    """
    try:
        return _read(item)
    except (*DAMAGE, zlib.error):
        _log.error("damaged row", extra={"pk": item["pk"], "sk": item["sk"]})
        return _stand_in(item)


def _stand_in(item: Item) -> Operation:
    try:
        created_at = str(item["created_at"])
        moment_of(created_at)
    except DAMAGE:
        created_at = _LONG_AGO
    is_deletion, finished_at = item.get("type") == OperationType.DELETE, item.get("finished_at")
    return Operation(
        id=item["sk"],
        friend_id=item["pk"].removeprefix(_PREFIX),
        uid=item["uid"],
        sequence=0,
        type=OperationType.DELETE if is_deletion else OperationType.APPLY,
        status=OperationStatus.RUNNING if is_deletion else OperationStatus.FAILED,
        manifests=(),
        results=(None,) * len(DeletionStep) if is_deletion else (),
        wait=False,
        created_at=created_at,
        requested_by=str(item.get("requested_by")),
        request=item.get("request"),
        finished_at=finished_at if isinstance(finished_at, str) else None,
        error=None if is_deletion else _UNREADABLE,
        code=None if is_deletion else DAMAGED_ROW,
    )


def _read(item: Item) -> Operation:
    moment_of(item["created_at"])
    return Operation(
        id=item["sk"],
        friend_id=item["friend_id"],
        uid=item["uid"],
        sequence=int(item["sequence"]),
        type=OperationType(item["type"]),
        status=OperationStatus(item["status"]),
        manifests=tuple(json.loads(zlib.decompress(bytes(item["manifests"])))),
        results=tuple(map(_to_result, item["results"])),
        wait=item["wait"],
        created_at=item["created_at"],
        requested_by=item["requested_by"],
        request=item["request"],
        attempts=int(item["attempts"]),
        applied_at=item.get("applied_at"),
        finished_at=item.get("finished_at"),
        error=item.get("error"),
        code=item.get("code"),
        given_up=item.get("given_up") is True,
    )
