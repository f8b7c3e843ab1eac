"""What the services need of the outside, and nothing about who provides it.

Every method may raise UpstreamUnreachable, UpstreamFailed or OutOfTime (domain/errors) on top of
what its docstring names. now and free_at are in seconds since the epoch.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.dns import Record, RecordChanges, RecordSpec
from chalicelib.domain.errors import UpstreamFailed
from chalicelib.domain.evidence import RemovedExposure, Tombstone
from chalicelib.domain.friend_limits import FriendCount, FriendLimits
from chalicelib.domain.kinds import Kind, ObjectRef
from chalicelib.domain.model import (
    DamagedRow,
    Exposure,
    Friend,
    FriendPage,
    FriendRecord,
    Friendship,
    Identity,
    JsonObject,
    Lease,
    NameClaim,
    Phase,
    Queue,
    Relationship,
)
from chalicelib.domain.operations import Operation
from chalicelib.domain.pod_logs import LogEnd
from chalicelib.domain.tokens import TokenRecord


class FriendStore(Protocol):
    """The friends, their friendships and the claims that keep platform ids unique."""

    def load(self, friend_id: str) -> FriendRecord | None:
        """Return everything recorded about one friend, or None. One consistent query.

        Raises UpstreamFailed (damaged_row) when what is recorded of them cannot be read.
        """

    def list_page(self, *, limit: int, after: str | None) -> FriendPage:
        """Return up to limit friends, sorted by id, that come after the given id.

        Reads an index that follows the writes by milliseconds. A friend whose row is damaged is
        left out: then there are fewer, though more may come after.
        """

    def find_owner(self, identity: Identity) -> str | None:
        """Return the id of the friend that owns the identity, or None. One point read."""

    def relationships_of(self, agent_id: str) -> Sequence[Relationship]:
        """Return what the agent is to each friend that it knows, by the friends' ids.

        Reads an index that follows the writes by milliseconds.
        """

    def load_friends(self, friend_ids: Sequence[str]) -> list[Friend]:
        """Return those of up to 100 friends that there are, in no order. One call.

        A friend whose row is damaged is left out.
        """

    def create(
        self, friend: Friend, friendship: Friendship | None, limits: FriendLimits | None = None
    ) -> None:
        """Record a new friend, its claims and its first friendship, and count it: all, or nothing.

        Raises Conflict: with a fault for each taken name, or too_many_friends; but not where this
        very registration (same uid) is recorded, so that a second call is safe.
        """

    def update_contact(self, before: Friend, after: Friend) -> None:
        """Replace before's contact by after's and move its claims: all of it, or nothing.

        A claim to be dropped that is another friend's by now stays. Raises StaleVersion when the
        row neither was at before's version nor says all of after's contact, and Conflict when a
        platform id belongs to another friend.
        """

    def mark(self, friend: Friend, phase: Phase) -> Friend:
        """Record how far the friend's world is from what the row says, and return the row.

        Safe to repeat. Raises NotFound when this registration is gone or being deleted.
        """

    def claim_identities(self, friend: Friend) -> None:
        """Claim the friend's platform ids where that was lost. Safe to repeat.

        Raises Conflict, naming those that are others' by now, when the rest is claimed; and
        StaleVersion.
        """

    def put_friendship(self, friend: Friend, friendship: Friendship) -> None:
        """Record what an agent is to the friend. Raises StaleVersion. Safe to repeat."""

    def delete_friendship(self, friend: Friend, agent_id: str) -> None:
        """Forget what an agent is to the friend. Raises StaleVersion. Safe to repeat."""


@dataclass(frozen=True)
class Claim:
    """A friend and their line of operations, as a claim of the lease left them."""

    friend: Friend
    queue: Queue


class OperationStore(Protocol):
    """The friends' operations, and the lease under which each friend's are run.

    A lease that has run out may be taken over. Whoever lost it finds LeaseLost at the next write,
    and has to stop.
    """

    def accept(self, queue: Queue, operation: Operation, lease: Lease | None) -> None:
        """Record the friend's next operation; with a lease, take that in the same step.

        A deletion marks the friend as being deleted in that step too: nothing is accepted after it.
        queue is what was read of the friend's line. Raises StaleVersion when the line has moved
        on, or the friend is gone or another registration: read again, and decide again.
        """

    def claim(self, friend_id: str, lease: Lease, now: float) -> Claim:
        """Take the friend's lease if operations are pending and nobody has it; return the friend.

        The queue's lease_owner tells whether the lease was taken. Raises NotFound when the friend
        is gone. One call.
        """

    def renew(self, friend: Friend, lease: Lease) -> None:
        """Have the lease last longer. Raises LeaseLost."""

    def release(self, friend: Friend, owner: str) -> None:
        """Give the lease back before the line is drained. Safe to repeat."""

    def start(self, friend: Friend, sequence: int, owner: str) -> Operation | None:
        """Begin, or take up again, the operation with this number, and return it.

        It has its manifests with it. Returns None where there is nothing to do: it is over, or not
        this registration's.
        """

    def checkpoint(
        self, operation: Operation, position: int, result: JsonObject, owner: str
    ) -> None:
        """Keep the result of one manifest. Raises LeaseLost. Safe to repeat."""

    def finish(
        self,
        friend: Friend,
        sequence: int,
        operation: Operation | None,
        owner: str,
        *,
        keep: bool,
    ) -> bool:
        """Record that the operation is applied or has failed, and move the friend's line on.

        operation is None where start() found nothing to do. Tells whether more is pending: then
        the lease is kept if keep says so; otherwise it is given back. Raises LeaseLost.
        """

    def record(self, operation: Operation, owner: str) -> bool:
        """Record how an operation stands, and tell whether that was done.

        Returns False, and changes nothing, when it is over, or another runner has taken it over.
        """

    def postpone(self, operation: Operation, owner: str, *, attempts: int) -> None:
        """Count the starts of an operation anew: it could not go on, for no fault of its own.

        attempts is 1 where a start may have sent something, which may be done, and 0 otherwise.
        Safe to repeat. Raises LeaseLost.
        """

    def claim_check(self, operation: Operation, at: str, before: str) -> Operation | None:
        """Take the right to check a waiting operation's rollouts now; return it as it is.

        Returns None when it is over, or was checked after before. One call.
        """

    def record_check(self, friend: Friend, operation: Operation) -> bool:
        """Record what was found of a waiting operation's rollouts, and tell whether that was done.

        Where that ends it, it counts no longer as unfinished, in the same step. Returns False, and
        changes nothing, when it is over already, or does not wait.
        """

    def forget_unfinished(self, friend: Friend, sequence: int) -> None:
        """Count an operation no longer as unfinished: it is over, or gone. Safe to repeat."""

    def claim_dispatch(self, friend: Friend, at: str, before: str, now: float) -> bool:
        """Take the right to start the friend's queue again, and tell whether it was free.

        It is not free while a runner has the lease, nothing is pending, or after a claim later than
        before. One call.
        """

    def finish_deletion(self, friend: Friend, operation: Operation, owner: str) -> None:
        """Record the deletion as it now stands and forget the friend, with all that is recorded.

        Safe to repeat. Raises LeaseLost.
        """

    def find(self, friend: Friend, identifier: str) -> Operation | None:
        """Return one of the friend's operations, or None. Without its manifests."""

    def find_deletion(self, friend_id: str, identifier: str) -> Operation | None:
        """Return the finished deletion of a friend who had this id, or None."""

    def list_newest(self, friend: Friend, *, limit: int, before: str | None) -> list[Operation]:
        """Return up to limit of the friend's operations, the newest first, older than before."""


class ExposureStore(Protocol):
    """Who owns a host name, and who is at work on it."""

    def claim(self, friend: Friend, exposure: Exposure, lease: Lease, now: float) -> None:
        """Record the exposure, claim its host name for it and take the name's lease: all, or none.

        Raises Conflict: hostname_taken (another friend's, or until a moment ago), exposure_busy
        (somebody has the lease), exposure_elsewhere (it has another host name); and StaleVersion
        when this registration of the friend is gone.
        """

    def require_claimable(self, exposure: Exposure, now: float) -> None:
        """Raise the Conflict that claim would raise, and change nothing."""

    def lock(self, exposure: Exposure, lease: Lease, now: float) -> None:
        """Take the lease of an exposure. Raises NotFound, or Conflict (exposure_busy)."""

    def reclaim(self, exposure: Exposure, now: float) -> None:
        """Claim the exposure's host name again where the claim was lost. Safe to repeat.

        Raises Conflict (hostname_taken, exposure_busy), and NotFound when the exposure is gone.
        """

    def settle(self, exposure: Exposure, owner: str) -> None:
        """Record what the exposure has become, and give the lease back. Raises LeaseLost."""

    def release(self, exposure: Exposure, owner: str) -> None:
        """Give the lease back and change nothing else. Safe to repeat."""

    def count_change(self, agent_id: str, now: float) -> None:
        """Count an expose or a removal by the agent.

        Raises TooManyRequests where this minute has had as many of its as one agent may. Not safe
        to repeat: each call counts.
        """

    def begin_checks(self, friend: Friend, now: float) -> bool:
        """Tell whether the friend's exposures may be looked at now: once in 30 s.

        Not safe to repeat: only the caller that got True runs the checks.
        """

    def record_checks(self, exposure: Exposure) -> None:
        """Record what was seen of the exposure. Safe to repeat.

        Nothing is recorded where it has changed or gone, or was looked at later.
        """

    def forget(self, exposure: Exposure, owner: str, free_at: float) -> None:
        """Forget the exposure. Until free_at, nobody else may claim its host name.

        That it was removed is recorded until forget_removed. Raises LeaseLost.
        """


@dataclass(frozen=True)
class Watched:
    """A waiting operation of the version before, which the friend's row does not count."""

    friend_id: str
    uid: str
    operation_id: str
    created_at: str


@dataclass(frozen=True)
class Claims:
    """Who holds which names, and which exposures were removed from theirs."""

    in_force: Sequence[NameClaim]
    removed: Sequence[RemovedExposure]


class Inventory(Protocol):
    """All that is recorded, for those who compare it with the world.

    It is read from an index that follows the writes by milliseconds: before anything is done about
    what it shows, the friend is loaded. A damaged row is left out, and added to the list that is
    given for those.
    """

    def friends(self, damaged: list[DamagedRow] | None = None) -> list[FriendRecord]:
        """Return every friend with their line of operations, by id; nothing else of them."""

    def exposures(self, damaged: list[DamagedRow] | None = None) -> list[Exposure]:
        """Return every friend's exposures."""

    def claims(
        self, friend_id: str | None = None, damaged: list[DamagedRow] | None = None
    ) -> Claims:
        """Return the claims of names, of one friend or of all, and what was removed from them."""

    def tombstones(self, damaged: list[DamagedRow] | None = None) -> list[Tombstone]:
        """Return every friend who was deleted."""

    def watched(
        self, friend_id: str | None = None, damaged: list[DamagedRow] | None = None
    ) -> list[Watched]:
        """Return what the version before left waiting for rollouts, of one friend or of all."""

    def friend_counts(self) -> list[FriendCount]:
        """Return how many friends are counted, of each agent and in all: as it is, not by index."""

    def correct_count(self, of: str, seen: FriendCount | None, *, friends: int, at: str) -> bool:
        """Have a count say this, unless it has changed since it was seen (None: absent).

        at is the time, ISO 8601, UTC. Safe to repeat. Tells whether it says this now.
        """

    def drop(self, claim: NameClaim, now: float) -> bool:
        """Delete a claim, if it is still this registration's and nobody is at work on it.

        Safe to repeat. Tells whether it was deleted.
        """

    def forget_removed(self, removed: RemovedExposure) -> None:
        """Delete the record of a removal whose remains were seen gone. Safe to repeat.

        A later removal of the same exposure stays.
        """

    def hold_removed(self, removed: RemovedExposure, lease: Lease, now: float) -> bool:
        """Keep a removed exposure from being published again until the lease ends or is released.

        Safe to repeat. Tells whether it is held: False where it is published again already, or
        where another run holds it.
        """

    def release_removed(self, removed: RemovedExposure, owner: str) -> None:
        """Let it be published again. Safe to repeat."""

    def begin_pass(self, lease: Lease, now: float) -> bool:
        """Take the lease under which a pass over everything runs; tell whether it was free."""

    def end_pass(self, owner: str) -> None:
        """Give that lease back. Safe to repeat."""


class KindMissing(UpstreamFailed):
    """The cluster does not serve a kind that the API needs."""

    default_code = "cluster_misconfigured"

    def __init__(self, kind: Kind) -> None:
        """Name the kind, and what an admin has to do."""
        super().__init__(
            f"The cluster does not serve {kind.plural} of {kind.api_version}. Ask an admin to "
            "install the custom resource definition."
        )


class LeaseLost(Exception):
    """Another runner has taken the lease over, or the friend is gone: stop."""


class RecordTaken(Exception):
    """A record of this name stands in the way of the one that was to be written: look again."""


class Dns(Protocol):
    """The DNS zones of the configured domains.

    Requests are counted against one budget, of which reads may use less than writes; bootstrap
    says which share. A record that Cloudflare writes under another name than was asked for, because
    the zone is another one, is deleted again, and the call raises WrongZone (dns_misconfigured).

    Calls that fail for a reason that may pass are repeated with backoff while the deadline allows.
    Raises UpstreamFailed with code dns_auth, dns_zone_unknown, dns_misconfigured or dns_failed, and
    UpstreamUnreachable with code dns_unreachable, dns_unavailable or dns_rate_limited.
    """

    def find(self, zone_id: str, name: str, deadline: Deadline) -> list[Record]:
        """Return all records of a host name, of whatever type and whoever's."""

    def create(self, zone_id: str, spec: RecordSpec, deadline: Deadline) -> Record:
        """Create a record. Raises RecordTaken, also where an earlier try of this call made it."""

    def update(self, zone_id: str, record: Record, deadline: Deadline) -> Record | None:
        """Have the record with this id say this; None when there is none. Safe to repeat.

        Raises RecordTaken.
        """

    def delete(self, zone_id: str, record_id: str, deadline: Deadline) -> None:
        """Delete the record with this id, if it is there. Safe to repeat."""

    def zone_name(self, zone_id: str, deadline: Deadline) -> str | None:
        """Return the name of the zone with this id; None where the token may not read it."""

    def list_all(self, zone_id: str, deadline: Deadline) -> list[Record]:
        """Return all of the zone's records, whoever's, page by page."""

    def list_owned(self, zone_id: str, owner_prefix: str, deadline: Deadline) -> list[Record]:
        """Return the zone's records whose comment starts so, page by page."""

    def write(self, zone_id: str, changes: RecordChanges, deadline: Deadline) -> list[Record]:
        """Make the changes in as few batches as the zone's plan allows; return the new records.

        Raises RecordTaken when a record is in the way, or one to be changed or deleted is gone.
        More than 200 changes are several transactions, of which the first may have been made.
        """


class Dispatcher(Protocol):
    """Starts invocations that nobody waits for."""

    def dispatch(self, friend_id: str, identifier: str) -> None:
        """Have an operation run, soon and at least once. Only ids travel."""

    def dispatch_work(self, work: Mapping[str, Sequence[str]]) -> None:
        """Have reconcile converge these parts of these friends, soon and at least once."""


class StaleVersion(Exception):
    """The row has changed since it was read: read it again, and decide again."""


@dataclass(frozen=True)
class StoredAnswer:
    """An HTTP answer, kept for a repeat of its request. body is JSON text."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class KeyClaim:
    """The first answer to a key's request; without one, the key is the claimer's.

    is_repeat says that an attempt had it before: one that died, or this one, whose claim was sent
    twice. Its work may be there.
    """

    answer: StoredAnswer | None = None
    is_repeat: bool = False


class AnswerStore(Protocol):
    """The first answer to each idempotency key.

    absent, or kept 24 h, or lease run out ──claim──▶ running ──keep──▶ answered
                                                         └──release──▶ absent
    """

    def claim(self, key: str, digest: str, *, owner: str, lease_seconds: int) -> KeyClaim:
        """Take the key for a request with this digest; return the first answer if there is one.

        owner names this attempt, and no other. lease_seconds must exceed the time a request may
        take. Raises Refused when the key was used for another request, and Conflict (with
        retry_after_seconds) while the first one runs.
        """

    def keep(self, key: str, answer: StoredAnswer, *, owner: str) -> None:
        """Keep the answer for 24 hours, unless another attempt has taken the key over."""

    def release(self, key: str, *, owner: str) -> None:
        """Give the key back, unless another attempt has taken it over. Safe to repeat."""


class TokenSource(Protocol):
    """The accepted tokens."""

    def records(self, *, fresher_than_seconds: float) -> Sequence[TokenRecord]:
        """Return the token records as they were at most that many seconds ago."""


@dataclass(frozen=True)
class StoredProfile:
    """A profile.json, as a listing shows it."""

    friend_id: str
    digest: str


class ProfileFate(StrEnum):
    """What became of a listed profile.json that no recorded friend needs."""

    DELETED = "deleted"
    GONE = "gone"
    NOT_OURS = "not ours"
    UNPROVED = "unproved"


class Workspace(Protocol):
    """Each friend's profile.json in the agents' workspace. What else is there is the agents'."""

    def put_profile(
        self,
        friend: Friend,
        profile: Mapping[str, object],
        *,
        dry_run: bool = False,
        is_newest: Callable[[], bool] | None = None,
    ) -> bool:
        """Have the friend's profile.json say this, unless a newer one is there. Safe to repeat.

        is_newest is asked when a newer one seems to be there: whether this one is the newest for
        all that. Tells whether it was written; with dry_run, whether it would be.
        """

    def list_profiles(self) -> Iterator[StoredProfile]:
        """Return which profiles there are, page by page."""

    def has_digest(self, stored: StoredProfile, profile: Mapping[str, object]) -> bool:
        """Tell whether a stored profile says this, without reading it."""

    def delete_profile(self, friend: Friend) -> None:
        """Delete the profile.json of this registration, if it is there. Safe to repeat."""

    def drop_profile(
        self, stored: StoredProfile, registrations: Collection[str], *, dry_run: bool = False
    ) -> ProfileFate:
        """Delete a listed profile.json that one of these registrations wrote; tell its fate.

        registrations are named by when they were made. A profile that has changed since it was
        listed is GONE: there is another now. Safe to repeat.
        """


@dataclass(frozen=True)
class LogQuery:
    """Which lines of a pod's log to read: the last tail, and of these the last limit_bytes."""

    tail: int
    container: str
    previous: bool = False
    since_seconds: int | None = None
    limit_bytes: int = 512 * 1024


@dataclass(frozen=True)
class SecretSummary:
    """All that ever leaves the gateway of a Secret."""

    name: str
    type: str
    keys: tuple[str, ...]
    created: str


@dataclass(frozen=True)
class Applied:
    """What the server answered to an apply.

    was_changed is true as well where only what we hold of the object has changed: a default that
    was spelled out is the object's value as before. version_before is what get_at takes to return
    the object as this apply found it; None where that is not known.
    """

    manifest: JsonObject
    was_created: bool
    was_changed: bool
    version_before: str | None = None


class Cluster(Protocol):
    """One Kubernetes API server, for the length of one request.

    Calls that fail for a reason that may pass (429, 5xx, connection) are repeated with backoff
    while the deadline allows. A write raises Conflict, Refused or NotFound as the server decides;
    what the API's service account may not do is UpstreamFailed (code cluster_forbidden). To get or
    apply a kind that the cluster does not serve raises KindMissing (code cluster_misconfigured).
    """

    def get(self, ref: ObjectRef) -> JsonObject | None:
        """Return the object, or None."""

    def get_at(self, ref: ObjectRef, version: str) -> JsonObject | None:
        """Return the object as it was at an earlier version, or None where it was not there.

        It lacks apiVersion and kind. A server keeps versions for minutes.
        """

    def list_all(self, kind: Kind, namespace: str) -> list[JsonObject]:
        """Return the namespace's objects of a kind, at most the first 5,000.

        None when the cluster lacks the kind.
        """

    def list_pages(self, kind: Kind, labels: str = "") -> Iterator[list[JsonObject]]:
        """Return all namespaces' objects of a kind, page by page; labels is a selector.

        A page's objects lack apiVersion and kind, as the server sends them.
        """

    def apply(
        self,
        manifest: JsonObject,
        *,
        force: bool,
        dry_run: bool = False,
        newly_permitted: bool = False,
    ) -> Applied:
        """Server-side apply the manifest and return what came of it. Safe to repeat.

        was_changed may be true of an object that another apply of ours changed moments ago.
        force takes over fields that another manager holds (else FieldConflict): only for objects
        that we create, or have applied before. A manifest with a uid is for that very object.
        newly_permitted says that the right to do this was granted a moment ago: a refusal is then
        repeated like any other failure that may pass, until the grant has spread.
        """

    def create(self, manifest: JsonObject, *, dry_run: bool = False) -> bool:
        """Create the object and return True; return False, and touch nothing, if it exists."""

    def delete(
        self, ref: ObjectRef, *, seen: JsonObject | None = None, dry_run: bool = False
    ) -> bool:
        """Delete the object and what it owns; tell whether it was there. Safe to repeat.

        With seen, only that very object goes: another of its name stays, and so does an
        IngressRoute that has changed since, because only what it says tells whose it is.
        """

    def read_log(self, namespace: str, pod: str, query: LogQuery) -> LogEnd:
        """Return the end of a container's log. Raises NotFound."""

    def list_secrets(self, namespace: str) -> list[SecretSummary]:
        """Return what the namespace's Secrets are called, at most the first 500.

        Their values are dropped unread.
        """


class Clusters(Protocol):
    """The clusters, by name."""

    def open(self, name: str, deadline: Deadline, *, attempts: int = 5) -> Cluster:
        """Return the named cluster, its every call bounded by the deadline.

        A call that fails for a reason that may pass is made so many times at most.
        Raises UpstreamFailed (code cluster_misconfigured) when its kubeconfig is missing or
        unsafe. Opens no connection.
        """

    def credential_ends_at(self, name: str) -> datetime | None:
        """Return when the named cluster's credential ends, where it says so.

        Raises as open does. Opens no connection.
        """
