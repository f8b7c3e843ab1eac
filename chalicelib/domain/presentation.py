"""How friends look from outside: the shapes of the contract, built in one place each."""

from typing import TYPE_CHECKING

from chalicelib.domain.checks import present_exposure
from chalicelib.domain.fields import contact_fields
from chalicelib.domain.model import Friend, FriendRecord, Friendship

if TYPE_CHECKING:  # A cold start does not load what only mypy and the description read.
    from chalicelib.domain import shown


def present_friend(friend: Friend) -> "shown.Friend":
    """Return a friend as the list and the answers of changes show it; absent values are None."""
    return {
        "id": friend.id,
        **contact_fields(friend.contact),
        "namespace": friend.namespace,
        "phase": friend.phase,
        "cluster": friend.cluster,
    }


def present_record(record: FriendRecord) -> "shown.FriendRecord":
    """Return a friend with the profile, the friendships and the exposures."""
    return {
        **present_friend(record.friend),
        "profile": build_profile(record.friend),
        "friendships": [present_friendship(each) for each in record.friendships],
        "exposures": [present_exposure(each) for each in record.exposures],
    }


def present_friendship(friendship: Friendship) -> "shown.Friendship":
    """Return what one agent is to one friend."""
    return {
        "agent_id": friendship.agent_id,
        "friend_id": friendship.friend_id,
        "status": friendship.status,
        "created_at": friendship.created_at,
    }


def build_profile(friend: Friend) -> "shown.Profile":
    """Return what profile.json holds: what agents know of the friend, and where it lives."""
    return {
        "id": friend.id,
        **contact_fields(friend.contact),
        "namespace": friend.namespace,
        "created_at": friend.created_at,
        "updated_at": friend.updated_at,
    }


def etag_of(friend: Friend) -> str:
    """Return the friend's entity tag: it changes with the friend, not with applies."""
    return f'"{friend.uid[:8]}-{friend.version}"'
