"""Exposures in the one DynamoDB table: who owns a host name, and who is at work on it.

pk                           sk                what
FRIEND#alice                 EXPOSURE#my-app   what is exposed, under which name, its DNS record;
                                               checked_at, faults: what was seen last
HOST#my-app-alice.net        CLAIM             friend_id, uid, exposure; lease_owner, lease_until
HOST#my-app-alice.net        REMOVED#<uid>     friend_id, uid, exposure, free_at; lease_owner,
                                               lease_until of the run that deletes what is left

COUNTER#exposures#mochi      1795894740        changes: the agent's exposes and removals of a minute

The friend's PROFILE has exposures_checked_at: when a request was last permitted to check.

A claim is not deleted with its exposure: until expires_at, nobody else may have the name, because
resolvers remember the old record that long. The removal is recorded apart from it, without an
expiry: it proves that what is left of the exposure may be deleted, even if another friend has the
name by then. It stays until a reconcile run has seen that record and route are gone.
"""

import math
from typing import Final

from chalicelib.domain.errors import Conflict, Fault, TooManyRequests
from chalicelib.domain.exposures import exposure_elsewhere, exposure_not_found
from chalicelib.domain.model import Exposure, Friend, Lease, Phase
from chalicelib.gateways.cloudflare_budget import WINDOW_SECONDS
from chalicelib.gateways.damage import EXPOSURE_PREFIX
from chalicelib.gateways.dynamodb import (
    ALL_CLAIMS,
    CLAIM,
    PROFILE,
    checks_item,
    exposure_item,
    friend_pk,
)
from chalicelib.gateways.table import ConditionFailed, Item, Table
from chalicelib.ports import LeaseLost, StaleVersion

# The same lease again: botocore repeats a call whose answer was lost.
_IS_FREE: Final = (
    "(attribute_not_exists(lease_until) OR lease_until <= :now OR lease_owner = :owner)"
)
_IS_OURS: Final = "uid = :uid AND exposure = :exposure"
_BUSY_SECONDS: Final = 5
REMOVED_PREFIX: Final = "REMOVED#"
_CHECKS_EVERY_SECONDS: Final = 30
_COUNTER_PREFIX: Final = "COUNTER#exposures#"
# Each takes up to four of the 140 requests a minute that all agents' changes may send.
_MOST_CHANGES: Final = 20
_COUNT_KEPT_SECONDS: Final = 3600


class DynamoExposureStore:
    """The ExposureStore of ports.py."""

    def __init__(self, table: Table) -> None:
        """Keep the table; nothing is called yet."""
        self._table = table

    def claim(self, friend: Friend, exposure: Exposure, lease: Lease, now: float) -> None:
        """See ExposureStore."""
        values = {
            ":uid": exposure.uid,
            ":exposure": exposure.name,
            ":now": int(now),
            ":owner": lease.owner,
        }
        host = self._table.update_action(
            host_pk(exposure.hostname),
            CLAIM,
            when=f"attribute_not_exists(pk) OR expires_at <= :now OR ({_IS_OURS} AND {_IS_FREE})",
            values=values,
            sets={
                "friend_id": exposure.friend_id,
                "uid": exposure.uid,
                "exposure": exposure.name,
                **_listed(exposure),
                "lease_owner": lease.owner,
                "lease_until": lease.until,
            },
            remove=("expires_at",),
        )
        row = self._table.put_action(
            exposure_item(exposure),
            when="attribute_not_exists(pk) OR uid <> :uid OR hostname = :hostname",
            values={":uid": exposure.uid, ":hostname": exposure.hostname},
        )
        is_there = self._table.check_action(
            friend_pk(friend.id),
            PROFILE,
            when="uid = :uid AND phase <> :deleting",
            values={":uid": friend.uid, ":deleting": Phase.DELETING},
        )
        void = self._void_removal(exposure, now)
        obstacles = self._table.transact([is_there, host, row, void])
        if not obstacles:
            return
        gone, claimed, elsewhere, held = obstacles
        if gone is not None:
            raise StaleVersion
        if claimed is not None:
            raise _taken(claimed, exposure, now)
        if elsewhere is not None:
            raise exposure_elsewhere()
        if held is not None:
            raise _busy(held, now)

    def require_claimable(self, exposure: Exposure, now: float) -> None:
        """See ExposureStore."""
        claim = self._table.get(host_pk(exposure.hostname), CLAIM)
        if claim is None or claim.get("expires_at", now + 1) <= now:
            return
        is_free = claim.get("lease_until", 0) <= now
        if not (_is_owned_by(claim, exposure) and is_free):
            raise _taken(claim, exposure, now)

    def lock(self, exposure: Exposure, lease: Lease, now: float) -> None:
        """See ExposureStore."""
        take = self._table.update_action(
            host_pk(exposure.hostname),
            CLAIM,
            when=f"{_IS_OURS} AND attribute_not_exists(expires_at) AND {_IS_FREE}",
            values={
                ":uid": exposure.uid,
                ":exposure": exposure.name,
                ":now": int(now),
                ":owner": lease.owner,
            },
            sets={"lease_owner": lease.owner, "lease_until": lease.until},
        )
        try:
            self._table.update(take)
        except ConditionFailed as error:
            claim = error.item
            if not _is_owned_by(claim, exposure) or "expires_at" in claim:
                raise exposure_not_found() from error
            raise _busy(claim, now) from error

    def reclaim(self, exposure: Exposure, now: float) -> None:
        """See ExposureStore."""
        row = self._table.check_action(
            friend_pk(exposure.friend_id),
            f"{EXPOSURE_PREFIX}{exposure.name}",
            when="uid = :uid AND hostname = :hostname",
            values={":uid": exposure.uid, ":hostname": exposure.hostname},
        )
        claim = self._table.update_action(
            host_pk(exposure.hostname),
            CLAIM,
            # A row that was put back, from a backup say, may find its own tombstone.
            when=f"attribute_not_exists(pk) OR ({_IS_OURS} AND attribute_exists(expires_at))",
            values={":uid": exposure.uid, ":exposure": exposure.name},
            sets={
                "friend_id": exposure.friend_id,
                "uid": exposure.uid,
                "exposure": exposure.name,
                **_listed(exposure),
            },
            remove=("expires_at",),
        )
        found = self._table.transact([row, claim, self._void_removal(exposure, now)])
        if found and found[0] is not None:
            raise exposure_not_found()
        if found and found[2] is not None:
            raise _busy(found[2], now)
        if found and not _is_owned_by(found[1] or {}, exposure):
            raise _taken(found[1] or {}, exposure, 0)

    def settle(self, exposure: Exposure, owner: str) -> None:
        """See ExposureStore."""
        row = self._table.update_action(
            friend_pk(exposure.friend_id),
            f"{EXPOSURE_PREFIX}{exposure.name}",
            when="uid = :uid AND hostname = :hostname",
            values={":uid": exposure.uid, ":hostname": exposure.hostname},
            sets={"record_id": exposure.record_id},
        )
        if self._table.transact([self._unlock(exposure, owner), row]):
            raise LeaseLost

    def release(self, exposure: Exposure, owner: str) -> None:
        """See ExposureStore."""
        try:
            self._table.update(self._unlock(exposure, owner))
        except ConditionFailed:
            return

    def count_change(self, agent_id: str, now: float) -> None:
        """See ExposureStore."""
        start = int(now) // WINDOW_SECONDS * WINDOW_SECONDS
        count = self._table.update_action(
            f"{_COUNTER_PREFIX}{agent_id}",
            str(start),
            when="attribute_not_exists(changes) OR changes < :most",
            values={":most": _MOST_CHANGES, ":none": 0, ":one": 1},
            sets={"expires_at": start + _COUNT_KEPT_SECONDS},
            also="changes = if_not_exists(changes, :none) + :one",
        )
        try:
            self._table.update(count)
        except ConditionFailed as error:
            wait = math.ceil(start + WINDOW_SECONDS - now)
            msg = (
                f"An agent may expose and remove at most {_MOST_CHANGES} times in a minute. "
                f"Send this again in {wait} s."
            )
            raise TooManyRequests(msg, code="throttled", retry_after_seconds=wait) from error

    def begin_checks(self, friend: Friend, now: float) -> bool:
        """See ExposureStore."""
        begin = self._table.update_action(
            friend_pk(friend.id),
            PROFILE,
            when="uid = :uid AND (attribute_not_exists(exposures_checked_at)"
            " OR exposures_checked_at <= :before)",
            values={":uid": friend.uid, ":before": int(now) - _CHECKS_EVERY_SECONDS},
            sets={"exposures_checked_at": int(now)},
        )
        try:
            self._table.update(begin)
        except ConditionFailed:
            return False
        return True

    def record_checks(self, exposure: Exposure) -> None:
        """See ExposureStore."""
        record = self._table.update_action(
            friend_pk(exposure.friend_id),
            f"{EXPOSURE_PREFIX}{exposure.name}",
            when="uid = :uid AND hostname = :hostname AND service = :service AND port = :port"
            " AND (attribute_not_exists(checked_at) OR checked_at <= :at)",
            values={
                ":at": exposure.checked_at,
                ":uid": exposure.uid,
                ":hostname": exposure.hostname,
                ":service": exposure.service,
                ":port": exposure.port,
            },
            sets=checks_item(exposure),
        )
        try:
            self._table.update(record)
        except ConditionFailed:
            return

    def forget(self, exposure: Exposure, owner: str, free_at: float) -> None:
        """See ExposureStore."""
        row = self._table.delete_action(
            friend_pk(exposure.friend_id),
            f"{EXPOSURE_PREFIX}{exposure.name}",
            when="attribute_not_exists(pk) OR (uid = :uid AND hostname = :hostname)",
            values={":uid": exposure.uid, ":hostname": exposure.hostname},
        )
        unlock = self._unlock(exposure, owner, sets={"expires_at": int(free_at)})
        if self._table.transact([unlock, row, self._record_removal(exposure, free_at)]):
            raise LeaseLost

    def _record_removal(self, exposure: Exposure, free_at: float) -> Item:
        # An update makes the item where there is none.
        return self._table.update_action(
            host_pk(exposure.hostname),
            removed_sk(exposure.uid),
            when="attribute_not_exists(pk) OR uid = :uid",
            values={":uid": exposure.uid},
            sets={
                "list_pk": ALL_CLAIMS,
                "list_sk": f"{exposure.friend_id}#{host_pk(exposure.hostname)}#removed",
                "friend_id": exposure.friend_id,
                "uid": exposure.uid,
                "exposure": exposure.name,
                "free_at": int(free_at),
            },
        )

    def _void_removal(self, exposure: Exposure, now: float) -> Item:
        """Return the action by which the exposure is no longer one that was removed.

        Not while a reconcile run deletes what is left of it.
        """
        return self._table.delete_action(
            host_pk(exposure.hostname),
            removed_sk(exposure.uid),
            when="attribute_not_exists(pk) OR (uid = :uid"
            " AND (attribute_not_exists(lease_until) OR lease_until <= :now))",
            values={":uid": exposure.uid, ":now": int(now)},
        )

    def _unlock(self, exposure: Exposure, owner: str, sets: Item | None = None) -> Item:
        return self._table.update_action(
            host_pk(exposure.hostname),
            CLAIM,
            when="lease_owner = :owner",
            values={":owner": owner},
            sets=sets,
            remove=("lease_owner", "lease_until"),
        )


def _taken(claim: Item, exposure: Exposure, now: float) -> Conflict:
    if _is_owned_by(claim, exposure):
        return _busy(claim, now)
    wait = int(claim["expires_at"]) - int(now) if "expires_at" in claim else None
    msg = (
        f"The host name {exposure.hostname} belongs to another friend's service. "
        "Choose another name."
    )
    if wait is not None:
        msg = (
            f"The host name {exposure.hostname} was another friend's until a moment ago: it is "
            "free five minutes after it went. Choose another name, or try again then."
        )
    faults = (Fault("/name", msg),)
    return Conflict(msg, code="hostname_taken", faults=faults, retry_after_seconds=wait)


def _busy(claim: Item, now: float) -> Conflict:
    msg = "Another request is at work on this exposure. Try again in a moment."
    # Most are done in a second or two; one that died holds its lease to the end.
    left = max(1, int(claim.get("lease_until", now)) - int(now))
    return Conflict(msg, code="exposure_busy", retry_after_seconds=min(left, _BUSY_SECONDS))


def _is_owned_by(claim: Item, exposure: Exposure) -> bool:
    return (claim.get("uid"), claim.get("exposure")) == (exposure.uid, exposure.name)


def _listed(exposure: Exposure) -> Item:
    return {
        "list_pk": ALL_CLAIMS,
        "list_sk": f"{exposure.friend_id}#{host_pk(exposure.hostname)}",
    }


def host_pk(hostname: str) -> str:
    """Return the partition of a host name: its claim, and what was removed from it."""
    return f"HOST#{hostname}"


def removed_sk(uid: str) -> str:
    """Return the sort key of a registration's exposure that was removed from a host name."""
    return f"{REMOVED_PREFIX}{uid}"
