"""Which names a friend holds: the host names of exposures, and ids on platforms."""

from collections.abc import Iterable

from chalicelib.domain.fields import identities_of
from chalicelib.domain.model import Exposure, Friend, NameClaim


def claims_of(friend: Friend, exposures: Iterable[Exposure]) -> frozenset[NameClaim]:
    """Return the claims that have to be there for a friend with these exposures."""
    identities = (
        NameClaim("identity", f"{each.platform}#{each.key}", friend.id, friend.uid)
        for each in identities_of(friend.contact)
    )
    hosts = (NameClaim("host", each.hostname, friend.id, friend.uid) for each in exposures)
    return frozenset((*identities, *hosts))
