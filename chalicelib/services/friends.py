"""Friends: registered, found, changed, and known to agents.

The row is what should be true; the namespace and profile.json are converged to it, now if the
upstreams answer and later if they do not.
"""

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Literal

from chalicelib.domain.deadline import Deadline
from chalicelib.domain.errors import (
    ApiError,
    Conflict,
    Fault,
    Forbidden,
    NotFound,
    OutOfTime,
    PreconditionFailed,
    UpstreamFailed,
    UpstreamUnreachable,
)
from chalicelib.domain.fields import NewFriend, merge_contact
from chalicelib.domain.friend_limits import FriendLimits
from chalicelib.domain.model import (
    Friend,
    FriendPage,
    Friendship,
    FriendshipStatus,
    Identity,
    JsonObject,
    Phase,
    Principal,
    Role,
)
from chalicelib.domain.ownership import NAMESPACE_NOT_OURS, friend_deleting, require_staying
from chalicelib.domain.plan import Change
from chalicelib.domain.presentation import build_profile, etag_of
from chalicelib.domain.tiers import DEFAULT_TIER
from chalicelib.domain.timestamps import timestamp
from chalicelib.ports import FriendStore, Workspace
from chalicelib.services.access import Access
from chalicelib.services.concurrency import both, side_by_side
from chalicelib.services.provisioning import Provisioner
from chalicelib.services.stale import retry_stale

# A cluster that hangs must leave time to record the friend.
_LOOK_SECONDS = 8.0
# So many friends are read at a time: those after a page on which some are out of bounds, and those
# of an agent's own relationships.
_FOLLOWING = 200
_MOST_LOADED = 100
# What must be left of a request's time to read some more.
_ENOUGH_SECONDS = 5.0


Part = Literal["namespace", "profile"]


@dataclass(frozen=True)
class Outcome:
    """A recorded friend, and why parts of its world could not be converged yet, by part."""

    friend: Friend
    pending: Mapping[Part, ApiError]


@dataclass(frozen=True)
class Friends:
    """What a request can do with friends."""

    store: FriendStore
    access: Access
    provisioner: Provisioner
    workspace: Workspace
    cluster_names: tuple[str, ...]
    limits: FriendLimits
    now: Callable[[], datetime]

    def list_page(
        self, principal: Principal, *, limit: int, after: str | None, deadline: Deadline
    ) -> FriendPage:
        """Return a page of the friends that the principal may act for, sorted by id.

        It starts where the last friend of the page before ends, and never names one who is out of
        the principal's bounds. It is shorter than limit at the end, and where time runs out.
        """
        if principal.agent_id is not None and self.access.knows_only_its_own(principal):
            return self._own_page(principal.agent_id, limit, after, deadline)
        page, statuses = both(
            partial(self.store.list_page, limit=limit, after=after),
            partial(self._statuses_of, principal),
        )
        permits = partial(self._is_permitted, principal, statuses)
        found = list(filter(permits, page.friends))
        if len(found) == len(page.friends) and (page.after is None or len(found) == limit):
            return page
        # Some are out of bounds, or damaged: their places go to those who follow.
        while page.after is not None and len(found) <= limit and _has_time(deadline):
            page = self.store.list_page(limit=_FOLLOWING, after=page.after)
            found += filter(permits, page.friends)
        if len(found) > limit:
            return FriendPage(tuple(found[:limit]), found[limit - 1].id)
        return FriendPage(tuple(found), page.after)

    def _own_page(
        self, agent_id: str, limit: int, after: str | None, deadline: Deadline
    ) -> FriendPage:
        """Return a page of the friends that the agent is active for: from its own relationships."""
        known = self.store.relationships_of(agent_id)
        active = [each for each in known if each.status is FriendshipStatus.ACTIVE]
        left = [each for each in active if after is None or each.friend_id > after]
        found: list[Friend] = []
        while left and len(found) < limit and (_has_time(deadline) or not found):
            count = min(_MOST_LOADED, limit - len(found))
            batch, left = left[:count], left[count:]
            after = batch[-1].friend_id
            loaded = {
                each.uid: each
                for each in self.store.load_friends([each.friend_id for each in batch])
            }
            found += [loaded[each.uid] for each in batch if each.uid in loaded]
        return FriendPage(tuple(found), after if left else None)

    def _is_permitted(
        self, principal: Principal, statuses: Mapping[str, FriendshipStatus], friend: Friend
    ) -> bool:
        return self.access.permits(principal, statuses.get(friend.uid))

    def find(self, principal: Principal, identity: Identity) -> Friend | None:
        """Return the friend behind a platform id, or None, also where it is out of bounds."""
        owner = self.store.find_owner(identity)
        if owner is None:
            return None
        try:
            return self.access.load(principal, owner).friend
        except (NotFound, Forbidden):
            return None

    def register(
        self, principal: Principal, new: NewFriend, *, request: str | None, deadline: Deadline
    ) -> Outcome:
        """Record a friend, then provision their namespace and write their profile.

        request identifies this very POST, if it can be repeated: a repeat after a crash takes up
        what the first try recorded. Raises Conflict for a taken name, a foreign namespace or one
        friend too many; then nothing was recorded. What an upstream could not do is pending, never
        lost.
        """
        friend = self._build_friend(principal, new, request)
        friendship = self._first_friendship(principal, friend)
        try:
            unreachable = self._require_free_namespace(friend, deadline)
            self.store.create(friend, friendship, self.limits)
        except Conflict as conflict:
            friend = self._recorded_by(principal, friend, friendship, conflict)
            return self._converge(friend, partial(self.provisioner.provision, friend, deadline))
        if unreachable is not None:
            return self._converge(friend, partial(_fail, unreachable))
        provision = partial(self.provisioner.provision, friend, deadline, absent=True)
        return self._converge(friend, provision)

    def update(
        self,
        principal: Principal,
        friend_id: str,
        changes: JsonObject,
        *,
        if_match: Collection[str] | None,
    ) -> Outcome:
        """Merge contact changes into a friend and rewrite their profile. Safe to repeat.

        if_match, when given, holds the entity tags of which the friend must still have one ("*"
        is any); otherwise PreconditionFailed is raised.
        """
        friend = retry_stale(partial(self._update_once, principal, friend_id, changes, if_match))
        return Outcome(friend, self._pending({"profile": partial(self._put_profile, friend)}))

    def provision(self, friend: Friend, deadline: Deadline, *, dry_run: bool) -> tuple[Change, ...]:
        """Converge the friend's namespace, and finish a registration that was left unfinished."""
        require_staying(friend)
        changes = self.provisioner.provision(friend, deadline, dry_run=dry_run)
        if not dry_run and friend.phase is not Phase.READY:
            self._put_profile(friend)
            self.store.mark(friend, Phase.READY)
        return changes

    def set_friendship(
        self, principal: Principal, friend_id: str, agent_id: str, status: FriendshipStatus
    ) -> Friendship:
        """Record what an agent is to a friend. Safe to repeat. Raises Forbidden."""
        self._require_own(principal, agent_id)
        return retry_stale(
            partial(self._set_friendship_once, principal, friend_id, agent_id, status)
        )

    def remove_friendship(self, principal: Principal, friend_id: str, agent_id: str) -> None:
        """Forget what an agent is to a friend. Raises NotFound when it is nothing to them."""
        self._require_own(principal, agent_id)
        retry_stale(partial(self._remove_friendship_once, principal, friend_id, agent_id))

    def _statuses_of(self, principal: Principal) -> Mapping[str, FriendshipStatus]:
        if principal.agent_id is None:
            return {}
        return {each.uid: each.status for each in self.store.relationships_of(principal.agent_id)}

    def _build_friend(self, principal: Principal, new: NewFriend, request: str | None) -> Friend:
        created_at = timestamp(self.now())
        return Friend(
            id=new.id,
            uid=uuid.uuid4().hex,
            version=1,
            phase=Phase.PROVISIONING,
            cluster=new.cluster,
            tier=DEFAULT_TIER,
            contact=new.contact,
            created_at=created_at,
            updated_at=created_at,
            request=request,
            registered_by=principal.agent_id,
        )

    def _first_friendship(self, principal: Principal, friend: Friend) -> Friendship | None:
        if principal.agent_id is None:
            return None
        return Friendship(principal.agent_id, friend.id, FriendshipStatus.ACTIVE, friend.created_at)

    def _recorded_by(
        self,
        principal: Principal,
        friend: Friend,
        friendship: Friendship | None,
        conflict: Conflict,
    ) -> Friend:
        """Return what an earlier try of this request recorded; else the conflict stands."""
        recorded = self.store.load(friend.id)
        if recorded is not None and recorded.friend.phase is Phase.DELETING:
            raise friend_deleting() from conflict
        if recorded is not None and friend.request and recorded.friend.request == friend.request:
            # Loaded again for the principal: an agent may have been blocked since.
            return self.access.load(principal, friend.id).friend
        if recorded is not None and conflict.code == NAMESPACE_NOT_OURS:
            # The namespace is a recorded friend's: the store names every name that is taken.
            self.store.create(friend, friendship, self.limits)
            return friend
        raise conflict

    def _require_free_namespace(self, friend: Friend, deadline: Deadline) -> ApiError | None:
        """Raise Conflict for a foreign namespace; return why the cluster could not tell."""
        try:
            self.provisioner.require_free(friend, deadline.within(_LOOK_SECONDS))
        except (OutOfTime, UpstreamFailed, UpstreamUnreachable) as error:
            # A cluster that is down does not keep a friend from being recorded.
            return error
        return None

    def _converge(self, friend: Friend, provision: Callable[[], object]) -> Outcome:
        parts: dict[Part, Callable[[], object]] = {
            "namespace": provision,
            "profile": partial(self._put_profile, friend),
        }
        pending = self._pending(parts)
        return Outcome(friend if pending else self.store.mark(friend, Phase.READY), pending)

    def _pending(self, parts: Mapping[Part, Callable[[], object]]) -> dict[Part, ApiError]:
        failures = side_by_side([partial(_failure_of, part) for part in parts.values()])
        return {name: failure for name, failure in zip(parts, failures, strict=True) if failure}

    def _put_profile(self, friend: Friend) -> None:
        self.workspace.put_profile(friend, build_profile(friend))

    def _update_once(
        self,
        principal: Principal,
        friend_id: str,
        changes: JsonObject,
        if_match: Collection[str] | None,
    ) -> Friend:
        before = self.access.load(principal, friend_id).friend
        require_staying(before)
        if if_match is not None and not {etag_of(before), "*"} & set(if_match):
            msg = "The friend has changed since this ETag was given. Read it again, then decide."
            raise PreconditionFailed(msg, faults=(Fault("If-Match", msg),))
        contact = merge_contact(before.contact, changes)
        if contact == before.contact:
            return before
        after = replace(
            before,
            contact=contact,
            version=before.version + 1,
            updated_at=timestamp(self.now()),
        )
        self.store.update_contact(before, after)
        return after

    def _set_friendship_once(
        self, principal: Principal, friend_id: str, agent_id: str, status: FriendshipStatus
    ) -> Friendship:
        record = self.access.load(principal, friend_id)
        require_staying(record.friend)
        existing = record.friendship_of(agent_id)
        if existing is not None and existing.status is status:
            return existing
        created_at = existing.created_at if existing else timestamp(self.now())
        friendship = Friendship(agent_id, friend_id, status, created_at)
        self.store.put_friendship(record.friend, friendship)
        return friendship

    def _remove_friendship_once(self, principal: Principal, friend_id: str, agent_id: str) -> None:
        record = self.access.load(principal, friend_id)
        if record.friendship_of(agent_id) is None:
            msg = "This agent has no relationship with this friend."
            raise NotFound(msg, code="relationship_not_found")
        self.store.delete_friendship(record.friend, agent_id)

    def _require_own(self, principal: Principal, agent_id: str) -> None:
        if principal.role is Role.AGENT and principal.agent_id != agent_id:
            msg = "An agent may change only its own relationship. Ask an admin."
            raise Forbidden(msg)


def _has_time(deadline: Deadline) -> bool:
    return deadline.remaining_seconds >= _ENOUGH_SECONDS


def _failure_of(part: Callable[[], object]) -> ApiError | None:
    try:
        part()
    except ApiError as error:
        return error
    return None


def _fail(error: ApiError) -> None:
    raise error
