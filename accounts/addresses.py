"""IP addresses, and the networks that an account trusts. Pure.

An IPv4-mapped IPv6 address (`::ffff:203.0.113.7`, as a dual-stack server sees it) counts as its IPv4 address, in
networks too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MOST_CHARACTERS = 64
"""Maximum characters, zone included, of an address worth caching."""

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def parse_address(text: str) -> Address | None:
    """Parse an IP address; None if it is invalid. A zone (`fe80::1%eth0`) is local to a host and dropped."""
    # Strangers send long texts instead, which should not fill the cache.
    return _known(text) if len(text) <= _MOST_CHARACTERS else _parsed_address(text)


def _parsed_address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


_known = lru_cache(maxsize=4_096)(_parsed_address)


def parse_network(text: str) -> Network:
    """Parse a CIDR or a single address; host bits are dropped. Raises ValueError."""
    network = ipaddress.ip_network(text.strip(), strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        start = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network((int(start or 0), network.prefixlen - 96))
    return network


def is_within(address: str | None, networks: Iterable[str]) -> bool:
    """Whether an address is known and in one of these networks (CIDRs)."""
    parsed = None if address is None else parse_address(address)
    return parsed is not None and any(parsed in network for network in _parsed(tuple(networks)))


@lru_cache(maxsize=4_096)
def _parsed(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(map(parse_network, networks))
