"""DNS records as we want them, and as a zone holds them."""

from dataclasses import dataclass
from typing import Final

OWNER_PREFIX: Final = "friends-api/"


@dataclass(frozen=True)
class Domain:
    """One domain that friends' services are exposed on.

    target is what its records point at: a tunnel's or an ingress controller's host name (CNAME),
    or its address (A, AAAA).
    """

    name: str
    zone_id: str
    target: str
    proxied: bool


@dataclass(frozen=True)
class RecordSpec:
    """What a record of ours should say. comment names its owner; TTL is always automatic."""

    name: str
    type: str
    content: str
    proxied: bool
    comment: str


@dataclass(frozen=True)
class Record:
    """A record as the zone holds it."""

    id: str
    spec: RecordSpec

    def is_owned_by(self, owner: str) -> bool:
        """Tell whether the record is this owner's. What has no such comment is nobody of ours."""
        return self.spec.comment == owner


def owner_of(uid: str, exposure: str) -> str:
    """Return the comment that marks the record of a friend's exposure.

    At most 64 characters, all of them such as a comment on the Free plan may hold.
    """
    return f"{OWNER_PREFIX}{uid}/{exposure}"
