"""What friends' pods may reach outside the cluster: the public internet, and nothing besides.

Closed is what the IANA special-purpose address registries do not call globally reachable (RFC
6890; iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry), multicast,
and the clouds' metadata addresses. Of IPv6 only 2000::/3 is open, which is all that IANA has given
out as global unicast: loopback, link-local, private, site-local, multicast, discard-only (100::/64)
and SRv6 (5f00::/16) addresses lie outside. So do both forms that hold an IPv4 address: IPv4-mapped
(::ffff:0:0/96), and NAT64 (64:ff9b::/96, 64:ff9b:1::/48), whose translator would decide which IPv4
addresses are reached.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

IPNetwork = IPv4Network | IPv6Network

OPEN_V4: Final = ip_network("0.0.0.0/0")
OPEN_V6: Final = ip_network("2000::/3")

# The widest range that settings may close. A wider one could leave no rule, which opens everything.
WIDEST_PREFIX: Final = 4

_CLOSED: Final = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared with a provider; Alibaba's metadata is 100.100.100.200
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's metadata; in no registry
            "169.254.0.0/16",  # link-local; the other clouds' metadata is 169.254.169.254
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # IETF protocol assignments; Oracle's metadata is 192.0.0.192
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays to 2002::/16, deprecated
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
            "2001::/23",  # IETF protocol assignments: Teredo, benchmarks, ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which holds an IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)


@dataclass(frozen=True)
class OpenRange:
    """A range that is open but for the ranges in it that are closed, each smaller than it."""

    cidr: str
    closed: tuple[str, ...]


def open_ranges(closed_too: Sequence[str]) -> tuple[OpenRange, ...]:
    """Return what is open when these ranges are closed as well, IPv4 first."""
    closed = [*_CLOSED, *map(ip_network, closed_too)]
    return tuple(
        OpenRange(str(whole), tuple(map(str, _inside(whole, closed))))
        for whole in (OPEN_V4, OPEN_V6)
    )


def _inside(whole: IPNetwork, closed: Sequence[IPNetwork]) -> Iterator[IPNetwork]:
    """Yield the ranges in another, each once, and none that lies in one of the others.

    A Kubernetes API server refuses an exception that is not within its range.
    """
    inside = [each for each in dict.fromkeys(closed) if _is_in(each, whole)]
    for each in inside:
        if not any(each != other and _is_in(each, other) for other in inside):
            yield each


def _is_in(inner: IPNetwork, outer: IPNetwork) -> bool:
    return (
        inner.version == outer.version
        and inner.prefixlen >= outer.prefixlen
        and inner.network_address in outer
    )
