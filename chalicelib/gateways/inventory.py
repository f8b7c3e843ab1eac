"""All that is recorded, read from the index "friends"; and the lease of a pass over it.

pk           sk      what
RECONCILE    PASS    lease_owner, lease_until of the pass that is under way
"""

from typing import Final

from chalicelib.domain.claims import claims_of
from chalicelib.domain.evidence import RemovedExposure, Tombstone
from chalicelib.domain.friend_limits import FriendCount
from chalicelib.domain.model import DamagedRow, Exposure, FriendRecord, Lease, NameClaim
from chalicelib.domain.tiers import TIERS
from chalicelib.domain.timestamps import moment_of
from chalicelib.gateways.damage import EXPOSURE_PREFIX, read_row, sound_in
from chalicelib.gateways.dynamodb import (
    ALL_CLAIMS,
    ALL_EXPOSURES,
    ALL_FRIENDS,
    CLAIM,
    FRIENDS_INDEX,
    PROFILE,
    exposures_in,
    friend_pk,
    to_friend,
    to_queue,
)
from chalicelib.gateways.exposures import REMOVED_PREFIX, host_pk, removed_sk
from chalicelib.gateways.friend_counts import correct_count, read_counts
from chalicelib.gateways.operations import ALL_TOMBSTONES, ALL_WATCHED
from chalicelib.gateways.table import ConditionFailed, Item, Table, to_item
from chalicelib.ports import Claims, Watched

_PASS: Final = ("RECONCILE", "PASS")
_OF_A_CLAIM: Final = "pk, sk, friend_id, uid, expires_at, exposure, free_at"
_KINDS: Final = {"HOST": "host", "IDENTITY": "identity"}
_PREFIXES: Final = {kind: prefix for prefix, kind in _KINDS.items()}


class DynamoInventory:
    """The Inventory of ports.py."""

    def __init__(self, table: Table) -> None:
        """Keep the table; nothing is called yet."""
        self._table = table

    def friends(self, damaged: list[DamagedRow] | None = None) -> list[FriendRecord]:
        """See Inventory."""
        return list(sound_in(_to_record, self._list(ALL_FRIENDS), damaged))

    def exposures(self, damaged: list[DamagedRow] | None = None) -> list[Exposure]:
        """See Inventory."""
        return list(exposures_in(self._list(ALL_EXPOSURES), damaged))

    def claims(
        self, friend_id: str | None = None, damaged: list[DamagedRow] | None = None
    ) -> Claims:
        """See Inventory."""
        rows = self._list(ALL_CLAIMS, friend_id, shown=_OF_A_CLAIM)
        removed = [row for row in rows if row["sk"].startswith(REMOVED_PREFIX)]
        claims = [row for row in rows if row["sk"] == CLAIM and "expires_at" not in row]
        return Claims(
            tuple(sound_in(_to_claim, claims, damaged)),
            tuple(sound_in(_to_removed, removed, damaged)),
        )

    def tombstones(self, damaged: list[DamagedRow] | None = None) -> list[Tombstone]:
        """See Inventory."""
        return list(sound_in(_to_tombstone, self._list(ALL_TOMBSTONES), damaged))

    def watched(
        self, friend_id: str | None = None, damaged: list[DamagedRow] | None = None
    ) -> list[Watched]:
        """See Inventory."""
        return list(sound_in(_to_watched, self._list(ALL_WATCHED, friend_id), damaged))

    def friend_counts(self) -> list[FriendCount]:
        """See Inventory."""
        return read_counts(self._table)

    def correct_count(self, of: str, seen: FriendCount | None, *, friends: int, at: str) -> bool:
        """See Inventory."""
        return correct_count(self._table, of, seen, friends=friends, at=at)

    def drop(self, claim: NameClaim, now: float) -> bool:
        """See Inventory."""
        drop = self._table.delete_action(
            f"{_PREFIXES[claim.kind]}#{claim.name}",
            CLAIM,
            # A claim that has become a tombstone since it was listed keeps its name.
            when="uid = :uid AND attribute_not_exists(expires_at)"
            " AND (attribute_not_exists(lease_until) OR lease_until <= :now)",
            values={":uid": claim.uid, ":now": int(now)},
        )
        unused = self._unless_exposed(claim) if claim.kind == "host" else self._unless_said(claim)
        return unused is not None and not self._table.transact([drop, *unused])

    def _unless_exposed(self, claim: NameClaim) -> list[Item]:
        """Return the condition that no exposure has the name: one may have got it since."""
        if claim.exposure is None:
            return []
        pk, sk = friend_pk(claim.friend_id), f"{EXPOSURE_PREFIX}{claim.exposure}"
        is_elsewhere = "attribute_not_exists(pk) OR uid <> :uid OR hostname <> :name"
        values = {":uid": claim.uid, ":name": claim.name}
        return [self._table.check_action(pk, sk, when=is_elsewhere, values=values)]

    def _unless_said(self, claim: NameClaim) -> list[Item] | None:
        """Return the condition that the friend's row does not say the id; None where it does.

        The row has it as it was written, so that the condition is the version that was read.
        """
        row = self._table.get(friend_pk(claim.friend_id), PROFILE)
        values: Item = {":uid": claim.uid}
        when = "attribute_not_exists(pk) OR uid <> :uid"
        if row is not None and row.get("uid") == claim.uid:
            friend = read_row(to_friend, row)
            if claim in claims_of(friend, ()):
                return None
            when, values[":version"] = f"{when} OR version = :version", friend.version
        pk = friend_pk(claim.friend_id)
        return [self._table.check_action(pk, PROFILE, when=when, values=values)]

    def forget_removed(self, removed: RemovedExposure) -> None:
        """See Inventory."""
        forget = self._table.delete_action(
            host_pk(removed.hostname),
            removed_sk(removed.uid),
            # The exposure may have been published and removed again since it was listed.
            when="free_at = :free_at",
            values={":free_at": removed.free_at},
        )
        self._table.transact([forget])

    def hold_removed(self, removed: RemovedExposure, lease: Lease, now: float) -> bool:
        """See Inventory."""
        hold = self._table.update_action(
            host_pk(removed.hostname),
            removed_sk(removed.uid),
            when="uid = :uid AND exposure = :exposure AND (attribute_not_exists(lease_until)"
            " OR lease_until <= :now OR lease_owner = :owner)",
            values={
                ":uid": removed.uid,
                ":exposure": removed.exposure,
                ":now": int(now),
                ":owner": lease.owner,
            },
            sets={"lease_owner": lease.owner, "lease_until": lease.until},
        )
        try:
            self._table.update(hold)
        except ConditionFailed:
            return False
        return True

    def release_removed(self, removed: RemovedExposure, owner: str) -> None:
        """See Inventory."""
        release = self._table.update_action(
            host_pk(removed.hostname),
            removed_sk(removed.uid),
            when="lease_owner = :owner",
            values={":owner": owner},
            remove=("lease_owner", "lease_until"),
        )
        self._table.transact([release])

    def begin_pass(self, lease: Lease, now: float) -> bool:
        """See Inventory."""
        take = self._table.update_action(
            *_PASS,
            when="attribute_not_exists(lease_until) OR lease_until <= :now OR lease_owner = :owner",
            values={":now": int(now), ":owner": lease.owner},
            sets={"lease_owner": lease.owner, "lease_until": lease.until},
        )
        try:
            self._table.update(take)
        except ConditionFailed:
            return False
        return True

    def end_pass(self, owner: str) -> None:
        """See Inventory."""
        ours = {":owner": owner}
        end = self._table.delete_action(*_PASS, when="lease_owner = :owner", values=ours)
        self._table.transact([end])

    def _list(
        self, of: str, friend_id: str | None = None, *, shown: str | None = None
    ) -> list[Item]:
        projection: Item = {} if shown is None else {"ProjectionExpression": shown}
        prefix = {} if friend_id is None else {":prefix": f"{friend_id}#"}
        return self._table.query(
            **projection,
            IndexName=FRIENDS_INDEX,
            KeyConditionExpression="list_pk = :of"
            + (" AND begins_with(list_sk, :prefix)" if prefix else ""),
            ExpressionAttributeValues=to_item({":of": of, **prefix}),
        )


def _to_record(row: Item) -> FriendRecord:
    friend = to_friend(row)
    _ = TIERS[friend.tier]
    return FriendRecord(friend, queue=to_queue(row))


def _to_claim(row: Item) -> NameClaim:
    prefix, _, name = row["pk"].partition("#")
    return NameClaim(
        _KINDS[prefix], name, _text(row["friend_id"]), _text(row["uid"]), row.get("exposure")
    )


def _to_removed(row: Item) -> RemovedExposure:
    _, _, hostname = row["pk"].partition("#")
    return RemovedExposure(
        hostname,
        _text(row["friend_id"]),
        _text(row["uid"]),
        _text(row["exposure"]),
        int(row["free_at"]),
    )


def _to_tombstone(row: Item) -> Tombstone:
    return Tombstone(
        friend_id=_text(row["friend_id"]),
        uid=_text(row["uid"]),
        cluster=_text(row["cluster"]),
        created_at=_text(row["created_at"]),
        deleted_at=_text(row["deleted_at"]),
    )


def _to_watched(row: Item) -> Watched:
    moment_of(row["created_at"])
    return Watched(_text(row["friend_id"]), row["uid"], row["sk"], row["created_at"])


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = "The row has something else where a text belongs."
        raise TypeError(msg)
    return value
