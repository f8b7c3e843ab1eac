"""What friends' pods may reach outside the cluster."""

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.internet import OPEN_V4, OPEN_V6, open_ranges

IPAddress = IPv4Address | IPv6Address

# The special-purpose registries, without their entries that are globally reachable and within none
# of these: AS112 (192.31.196.0/24, 192.175.48.0/24, 2620:4f:8000::/48), AMT (192.52.193.0/24).
REGISTRIES = [
    *("0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.170/31"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
    *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
    *("::1/128", "::/128", "::ffff:0:0/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64"),
    *("2001::/23", "2001::/32", "2001:2::/48", "2001:10::/28", "2001:db8::/32", "2002::/16"),
    *("3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
]
# What IANA calls globally reachable, or does not list, and is closed nevertheless: docs/decisions.
CLOSED_THOUGH_GLOBAL = [
    *map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")),
    *map(ipaddress.ip_network, ("2001::/23", "2002::/16", "3fff::/20")),
]
METADATA = {
    "AWS, Google, Azure and most others": "169.254.169.254",
    "tasks of ECS": "169.254.170.2",
    "pods of EKS": "169.254.170.23",
    "AWS, IPv6": "fd00:ec2::254",
    "Google, IPv6": "fd20:ce::254",
    "Alibaba": "100.100.100.200",
    "Azure's agent": "168.63.129.16",
    "Oracle": "192.0.0.192",
    "Scaleway": "fd00:42::42",
    "OpenStack, IPv6": "fe80::a9fe:a9fe",
}


def is_open(address: IPAddress, *closed_too: str) -> bool:
    for each in open_ranges(closed_too):
        closed = map(ipaddress.ip_network, each.closed)
        if address in ipaddress.ip_network(each.cidr):
            return not any(address in network for network in closed)
    return False


@pytest.mark.case("M9")
@pytest.mark.parametrize("registered", REGISTRIES)
def test_a_special_purpose_range_is_closed_from_end_to_end(registered: str) -> None:
    network = ipaddress.ip_network(registered)
    assert not is_open(network[0])
    assert not is_open(network[-1])


@pytest.mark.case("M9")
@pytest.mark.parametrize("whose", METADATA)
def test_a_metadata_address_is_closed(whose: str) -> None:
    assert not is_open(ipaddress.ip_address(METADATA[whose]))


@pytest.mark.case("M9")
@pytest.mark.parametrize(
    "address",
    ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:a00:1::1"],
)
def test_no_ipv6_address_stands_for_a_closed_ipv4_address(address: str) -> None:
    assert not is_open(ipaddress.ip_address(address))


@pytest.mark.case("M9")
@pytest.mark.parametrize("closed", ["8.8.8.0/24", "2606:4700::/32", "52.94.0.0/22"])
def test_a_range_of_the_settings_is_closed(closed: str) -> None:
    network = ipaddress.ip_network(closed)
    assert is_open(network[0])
    for address in (network[0], network[-1]):
        assert not is_open(address, closed)


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_what_is_not_globally_reachable_is_closed(address: IPAddress) -> None:
    is_special = not address.is_global or address.is_multicast or address.is_reserved
    assert not (is_special and is_open(address))


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6, network=str(OPEN_V6)))
def test_everything_else_is_open(address: IPAddress) -> None:
    is_special = not address.is_global or address.is_multicast
    closed = any(address in network for network in CLOSED_THOUGH_GLOBAL)
    assert is_open(address) or is_special or closed


@pytest.mark.parametrize("beside", ["9.255.255.255", "11.0.0.0", "168.63.129.15", "2606:4700::1"])
def test_the_neighbour_of_a_closed_range_is_open(beside: str) -> None:
    assert is_open(ipaddress.ip_address(beside))


RANGES = st.lists(
    st.ip_addresses().flatmap(
        lambda address: st.integers(4, address.max_prefixlen).map(
            lambda bits: str(ipaddress.ip_network((address, bits), strict=False))
        )
    ),
    max_size=6,
)


@given(RANGES)
def test_every_exception_lies_in_its_range_and_none_in_another(closed_too: list[str]) -> None:
    v4, v6 = open_ranges(closed_too)
    for each, whole in ((v4, OPEN_V4), (v6, OPEN_V6)):
        networks = list(map(ipaddress.ip_network, each.closed))
        assert each.cidr == str(whole)
        assert all(one.prefixlen > whole.prefixlen and one[0] in whole for one in networks)
        assert not any(
            one[0] in other and one.prefixlen >= other.prefixlen
            for one in networks
            for other in networks
            if one is not other
        )
