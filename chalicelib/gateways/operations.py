"""Operations in the one DynamoDB table, and the lease in the friend's row.

pk                 sk                     what
OPERATIONS#alice   19a2b3c4d5e-00000007   an operation; expires 30 days after it was accepted
MANIFESTS#alice    19a2b3c4d5e-00000007   its manifests, compressed; written once, with it
FRIEND#alice       PROFILE                accepted, finished, ran_at, dispatched_at, lease_owner,
                                          lease_until, and unfinished_7: its date, until it is over
TOMBSTONE#<uid>    FRIEND                 a friend who was deleted, and when; kept for good

The friend's row changes without a new version here: an operation is no change of the friend.
Manifests are apart: what a write costs grows with its item, and an operation's is written often.
"""

import json
import logging
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
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
    unfinished_field,
)
from chalicelib.gateways.friend_counts import count_down
from chalicelib.gateways.table import ConditionFailed, Item, Table, to_item
from chalicelib.ports import Claim, LeaseLost, StaleVersion

# What the version before had wait for a rollout, it listed in the index by this.
ALL_WATCHED: Final = "WATCHED"
ALL_TOMBSTONES: Final = "TOMBSTONES"
TOMBSTONE_PREFIX: Final = "TOMBSTONE#"
TOMBSTONE: Final = "FRIEND"
_PREFIX: Final = "OPERATIONS#"
_MANIFESTS_PREFIX: Final = "MANIFESTS#"
_UNREADABLE: Final = (
    "The record of this operation cannot be read, so the operation has failed. Send the request "
    "again."
)
# DynamoDB takes 100 in one transaction.
_MOST_AT_ONCE: Final = 100
_KEPT: Final = timedelta(days=30)
# What is told of an operation whose row does not say when it was accepted.
_LONG_AGO: Final = "1970-01-01T00:00:00.000000Z"
_IS_OURS: Final = "lease_owner = :owner"
_NOT_OVER: Final = "uid = :uid AND attribute_not_exists(finished_at)"
_IS_WAITING: Final = f"{_NOT_OVER} AND attribute_exists(applied_at)"


_log = logging.getLogger(__name__)


class DynamoOperationStore:
    """The OperationStore of ports.py."""

    def __init__(self, table: Table) -> None:
        """Keep the table; nothing is called yet."""
        self._table = table

    def accept(self, queue: Queue, operation: Operation, lease: Lease | None) -> None:
        """See OperationStore."""
        when = "uid = :uid AND phase <> :deleting AND accepted = :accepted AND finished = :finished"
        sets: Item = {
            "accepted": operation.sequence,
            unfinished_field(operation.sequence): operation.created_at,
        }
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
        actions = [row, self._table.put_new_action(item)]
        if operation.type is not OperationType.DELETE:
            actions.append(self._table.put_action(_manifests_item(operation)))
        if self._table.transact(actions):
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
            item = self._table.update(begin)
        except ConditionFailed:
            return None
        # The version before kept them in the operation's own item.
        if item.get("type") != OperationType.DELETE and "manifests" not in item:
            apart = self._table.get(f"{_MANIFESTS_PREFIX}{friend.id}", item["sk"])
            item["manifests"] = (apart or {}).get("manifests")
        return _to_operation(item)

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
        is_over = operation is None or not operation.is_watched
        move_on = partial(self._move_on, friend, change, owner, is_over=is_over)
        last = move_on(is_last=True, keep=False)
        obstacles = self._table.transact([last, *done])
        if not obstacles:
            return False
        row = obstacles[0]
        if not row or row.get("lease_owner") != owner or row["finished"] >= sequence:
            raise LeaseLost
        onward = move_on(is_last=False, keep=keep)
        if self._table.transact([onward, *done]):
            raise LeaseLost
        return True

    def finish_deletion(self, friend: Friend, operation: Operation, owner: str) -> None:
        """See OperationStore.

        What belongs to the friend goes first, claims on platform ids included, and the row last: so
        long as it is there, the deletion can be taken up again. The tombstone is written in the
        row's own transaction, so that a friend is recorded or proved to be deleted at any moment.
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
            end = [
                self._forget(friend, owner),
                self._done(operation, owner),
                self._bury(friend, operation),
            ]
            end += count_down(self._table, friend, operation.finished_at or operation.created_at)
            if not self._table.transact(end):
                return
        found = self.find(friend, operation.id)
        if found is None or not found.status.is_final:
            raise LeaseLost

    def record(self, operation: Operation, owner: str) -> bool:
        """See OperationStore."""
        record = self._table.update_action(
            _pk(operation.friend_id),
            operation.id,
            when=f"{_NOT_OVER} AND {_IS_OURS}",
            values={":uid": operation.uid, ":owner": owner},
            sets=_progress(operation),
        )
        try:
            self._table.update(record)
        except ConditionFailed:
            return False
        return True

    def postpone(self, operation: Operation, owner: str, *, attempts: int) -> None:
        """See OperationStore."""
        postpone = self._table.update_action(
            _pk(operation.friend_id),
            operation.id,
            when=_IS_OURS,
            values={":owner": owner},
            sets={"attempts": attempts},
        )
        try:
            self._table.update(postpone)
        except ConditionFailed as error:
            raise LeaseLost from error

    def claim_check(self, operation: Operation, at: str, before: str) -> Operation | None:
        """See OperationStore."""
        claim = self._table.update_action(
            _pk(operation.friend_id),
            operation.id,
            when=f"{_IS_WAITING} AND (attribute_not_exists(judged_at) OR judged_at <= :before)",
            values={":uid": operation.uid, ":before": before},
            sets={"judged_at": at},
        )
        try:
            return _to_operation(self._table.update(claim))
        except ConditionFailed:
            return None

    def record_check(self, friend: Friend, operation: Operation) -> bool:
        """See OperationStore."""
        # What the version before left in the index goes out of it when it is over.
        gone = ["list_pk", "list_sk"] if operation.status.is_final else []
        record = self._table.update_action(
            _pk(operation.friend_id),
            operation.id,
            when=_IS_WAITING,
            values={":uid": operation.uid},
            sets=_progress(operation),
            remove=[*gone, *(["failing_since"] if operation.failing_since is None else [])],
        )
        actions = [record]
        if operation.status.is_final:
            actions.append(self._no_longer_unfinished(friend, operation.sequence))
        obstacles = self._table.transact(actions)
        if obstacles and obstacles[0] is None:
            # Only the friend's row stands in the way: it is gone, or another registration's.
            obstacles = self._table.transact([record])
        return not obstacles

    def forget_unfinished(self, friend: Friend, sequence: int) -> None:
        """See OperationStore."""
        self._table.transact([self._no_longer_unfinished(friend, sequence)])

    def claim_dispatch(self, friend: Friend, at: str, before: str, now: float) -> bool:
        """See OperationStore."""
        claim = self._table.update_action(
            friend_pk(friend.id),
            PROFILE,
            when="uid = :uid AND finished < accepted"
            " AND (attribute_not_exists(lease_until) OR lease_until <= :now)"
            " AND (attribute_not_exists(dispatched_at) OR dispatched_at <= :before)",
            values={":uid": friend.uid, ":now": int(now), ":before": before},
            sets={"dispatched_at": at},
        )
        try:
            self._table.update(claim)
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

    def _bury(self, friend: Friend, operation: Operation) -> Item:
        """Return the action that records for good that this registration was deleted."""
        # An update makes the item where there is none; a repeat finds its own.
        return self._table.update_action(
            f"{TOMBSTONE_PREFIX}{friend.uid}",
            TOMBSTONE,
            when="attribute_not_exists(pk) OR uid = :uid",
            values={":uid": friend.uid},
            sets={
                "list_pk": ALL_TOMBSTONES,
                "list_sk": f"{friend.id}#{friend.uid}",
                "friend_id": friend.id,
                "uid": friend.uid,
                "cluster": friend.cluster,
                "created_at": friend.created_at,
                "deleted_at": operation.finished_at,
            },
        )

    def _done(self, operation: Operation, owner: str) -> Item:
        return self._table.update_action(
            _pk(operation.friend_id),
            operation.id,
            when=_IS_OURS,
            values={":owner": owner},
            sets=_progress(operation),
        )

    def _no_longer_unfinished(self, friend: Friend, sequence: int) -> Item:
        return self._table.update_action(
            friend_pk(friend.id),
            PROFILE,
            when="uid = :uid",
            values={":uid": friend.uid},
            remove=[unfinished_field(sequence)],
        )

    def _move_on(  # noqa: PLR0913 - each says one thing of the step
        self, friend: Friend, change: Item, owner: str, *, is_over: bool, is_last: bool, keep: bool
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
            remove=[
                *([unfinished_field(sequence)] if is_over else []),
                *([] if keep else ["lease_owner", "lease_until"]),
            ],
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
    later = {
        "applied_at": operation.applied_at,
        "finished_at": operation.finished_at,
        "error": operation.error,
        "code": operation.code,
        "given_up": operation.given_up or None,
        "failing_since": operation.failing_since,
        "expires_at": _expires_at(operation),
    }
    return progress | {name: value for name, value in later.items() if value is not None}


def _expires_at(operation: Operation) -> int | None:
    """Return when the row may go. A deletion is needed until it is over, however long it takes."""
    if operation.type is OperationType.DELETE and not operation.status.is_final:
        return None
    kept_from = operation.finished_at or operation.created_at
    return int((datetime.fromisoformat(kept_from) + _KEPT).timestamp())


def _manifests_item(operation: Operation) -> Item:
    manifests = json.dumps(operation.manifests, separators=(",", ":")).encode()
    return {
        "pk": f"{_MANIFESTS_PREFIX}{operation.friend_id}",
        "sk": operation.id,
        "uid": operation.uid,
        "manifests": zlib.compress(manifests),
        "expires_at": _expires_at(operation),
    }


def _operation_item(operation: Operation, *, owner: str | None) -> Item:
    item: Item = {
        "pk": _pk(operation.friend_id),
        "sk": operation.id,
        "friend_id": operation.friend_id,
        "uid": operation.uid,
        "sequence": operation.sequence,
        "type": operation.type,
        "wait": operation.wait,
        "created_at": operation.created_at,
        "requested_by": operation.requested_by,
        "request": operation.request,
        "attempts": operation.attempts,
        **({"force": True} if operation.force else {}),
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
    known = [each for each in OperationType if each == item.get("type")]
    is_deletion, finished_at = OperationType.DELETE in known, item.get("finished_at")
    return Operation(
        id=item["sk"],
        friend_id=item["pk"].removeprefix(_PREFIX),
        uid=item["uid"],
        sequence=_sequence_in(item["sk"]),
        type=known[0] if known else OperationType.APPLY,
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


def _sequence_in(identifier: str) -> int:
    _, _, number = identifier.rpartition("-")
    return int(number) if number.isdecimal() else 0


def _read(item: Item) -> Operation:
    moment_of(item["created_at"])
    results = tuple(map(_to_result, item["results"]))
    manifests = _to_manifests(item["manifests"]) if "manifests" in item else ()
    if "manifests" in item and item["type"] != OperationType.DELETE:
        _require_pairs(manifests, results)
    return Operation(
        id=item["sk"],
        friend_id=item["friend_id"],
        uid=item["uid"],
        sequence=int(item["sequence"]),
        type=OperationType(item["type"]),
        status=OperationStatus(item["status"]),
        manifests=manifests,
        results=results,
        wait=item["wait"],
        created_at=item["created_at"],
        requested_by=item["requested_by"],
        force=item.get("force") is True,
        request=item["request"],
        attempts=int(item["attempts"]),
        applied_at=item.get("applied_at"),
        finished_at=item.get("finished_at"),
        error=item.get("error"),
        code=item.get("code"),
        given_up=item.get("given_up") is True,
        judged_at=item.get("judged_at"),
        failing_since=item.get("failing_since"),
    )


def _to_manifests(value: object) -> tuple[JsonObject, ...]:
    if not isinstance(value, bytes):
        msg = "An operation's manifests are bytes."
        raise TypeError(msg)
    return tuple(json.loads(zlib.decompress(value)))


def _require_pairs(manifests: Sequence[object], results: Sequence[object]) -> None:
    if len(manifests) != len(results):
        msg = "An operation has a result for each manifest."
        raise ValueError(msg)
