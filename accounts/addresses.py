"""IP addresses and the networks that an account trusts. Pure.

An IPv4 address that comes in IPv6's clothes (`::ffff:203.0.113.7`, as a server that listens on both sees it) is that
IPv4 address, in networks too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MOST_CHARACTERS = 64
"""Of an address with its zone that is remembered."""

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def parse_address(text: str) -> Address | None:
    """The address that a text is, or None. A zone (`fe80::1%eth0`) says nothing to others and is dropped."""
    # Strangers write long texts in its place, which are not worth to be remembered.
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
    """The network of a CIDR or of a single address; bits of the host are dropped. Raises ValueError."""
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
