"""DNS records as we want them, and as a zone holds them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.domain.errors import UpstreamFailed

OWNER_PREFIX: Final = "friends-api/"
LONGEST_HOST_NAME: Final = 253

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# What ends in a number is read as an IPv4 address (WHATWG URL, section 3.5), hence the letter.
_HOST_NAME: Final = re.compile(rf"(?:{_LABEL}\.)+(?=[a-z]){_LABEL}")
_OWNER: Final = re.compile(rf"{OWNER_PREFIX}([a-z0-9-]+)/([a-z0-9-]+)")


class WrongZone(UpstreamFailed):
    """A domain's zone id is that of a zone that cannot hold the domain's names."""

    default_code = "dns_misconfigured"

    def __init__(self, domain: str, zone: str) -> None:
        """Name both; zone is Cloudflare's text."""
        of = f"that of {zone}" if is_host_name(zone) else "another zone's"
        super().__init__(
            f"The zone id in the settings for {domain} is {of}, so no record can be made. "
            "Ask an admin to correct it."
        )


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

    @property
    def is_ours(self) -> bool:
        """Whether this is the record of an exposure: its comment and its name belong together.

        A person's own comment that merely starts like ours is no owner.
        """
        owner = _OWNER.fullmatch(self.spec.comment)
        return owner is not None and self.spec.name.startswith(f"{owner[2]}-")

    @property
    def owner_uid(self) -> str:
        """The uid of the registration whose record this is; empty where it is not ours."""
        owner = _OWNER.fullmatch(self.spec.comment)
        return "" if owner is None else owner[1]

    @property
    def exposure_name(self) -> str:
        """The name of the exposure whose record this is; empty where it is not ours."""
        owner = _OWNER.fullmatch(self.spec.comment)
        return "" if owner is None else owner[2]


@dataclass(frozen=True)
class RecordChanges:
    """Changes of one zone's records, as one transaction: deletions, then changes, then new ones."""

    deleted: Sequence[str] = ()
    changed: Sequence[Record] = ()
    created: Sequence[RecordSpec] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the zone is as it should be."""
        return not (self.deleted or self.changed or self.created)


def owner_of(uid: str, exposure: str) -> str:
    """Return the comment that marks the record of a friend's exposure.

    At most 65 characters, all of them such as a comment on the Free plan may hold.
    """
    return f"{OWNER_PREFIX}{uid}/{exposure}"


def is_within(name: str, zone: str) -> bool:
    """Tell whether a zone can hold the name. Cloudflare makes one that it cannot part of a name."""
    return name == zone or name.endswith(f".{zone}")


def is_right_below(name: str, domain: str) -> bool:
    """Tell whether the name is the domain with one label before it, as exposures' names are."""
    label = name.removesuffix(f".{domain}")
    return label != name and "." not in label


def is_host_name(text: str) -> bool:
    """Tell whether this is a host name in one spelling: two labels or more, in lower case.

    No trailing dot, no underscore, no address.
    """
    return len(text) <= LONGEST_HOST_NAME and _HOST_NAME.fullmatch(text) is not None
