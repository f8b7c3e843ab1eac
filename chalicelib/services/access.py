"""Who may touch which friend: the one door through which every route reaches a friend."""

from dataclasses import dataclass

from chalicelib.domain.errors import Forbidden
from chalicelib.domain.model import FriendRecord, FriendshipStatus, Principal, Role
from chalicelib.domain.ownership import friend_not_found
from chalicelib.ports import FriendStore


@dataclass(frozen=True)
class Access:
    """Loads friends on behalf of a principal.

    require_relationship narrows agents from every friend that has not blocked them to those
    that they are active for.
    """

    friends: FriendStore
    require_relationship: bool

    def load(self, principal: Principal, friend_id: str) -> FriendRecord:
        """Return the friend's record. Raises NotFound, or Forbidden when it is out of bounds."""
        record = self.friends.load(friend_id)
        if record is None:
            raise friend_not_found()
        friendship = record.friendship_of(principal.agent_id)
        if not self.permits(principal, friendship.status if friendship else None):
            msg = "This agent may not act for this friend. Ask an admin to change the relationship."
            raise Forbidden(msg, code="relationship_required")
        return record

    def knows_only_its_own(self, principal: Principal) -> bool:
        """Tell whether the principal reaches only friends that it is active for."""
        return self.require_relationship and principal.role is Role.AGENT

    def permits(self, principal: Principal, status: FriendshipStatus | None) -> bool:
        """Tell whether the principal, having this friendship, may act for the friend."""
        if principal.role is Role.ADMIN:
            return True
        if self.require_relationship:
            return status is FriendshipStatus.ACTIVE
        return status is not FriendshipStatus.BLOCKED
