"""Which IP addresses clients' URLs may lead to: those of the public internet, and networks that the operator allows.

Knows only addresses, neither names nor URLs.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# From IANA's registries of special-purpose addresses. Listed here because Python's `is_global` differs by version.
NOT_PUBLIC_V4 = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's platform services on each of its machines; public only by number
        "169.254.0.0/16",  # link-local, and the metadata services of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
]
# Everything else is loopback, unspecified, link-local, unique local, multicast or reserved, or embeds an IPv4 address:
# ::/96 (v4-compatible), ::ffff:0:0/96 (v4-mapped), 64:ff9b::/96 and 64:ff9b:1::/48 (NAT64).
UNICAST_V6 = IPv6Network("2000::/3")
NOT_PUBLIC_V6 = [
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, including Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
]


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet; one that embeds an IPv4 address does not."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_V4)
    return address in UNICAST_V6 and not any(address in network for network in NOT_PUBLIC_V6)


def is_permitted(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether an address is public or in one of the allowed networks."""
    return is_public(address) or any(address in network for network in allowed)


def parse_address(host: str) -> Address | None:
    """The address if the host is one in canonical notation, else None."""
    try:
        return ip_address(host)
    except ValueError:
        return None
