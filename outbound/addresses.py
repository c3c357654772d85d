"""Which IP addresses webhooks may be sent to: public ones, and those the operator allows. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]

# Registries: https://www.iana.org/assignments/iana-ipv4-special-registry and .../iana-ipv6-special-registry
_NOT_PUBLIC: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(network), meaning)
    for network, meaning in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "protocol assignments"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
)
_UNICAST = ip_network("2000::/3")
"""All public IPv6 addresses are in here; everything else is reserved."""

_METADATA = frozenset(
    map(
        ip_address,
        (
            "168.63.129.16",  # Azure
            "169.254.169.254",  # most clouds
            "169.254.170.2",  # AWS ECS
            "169.254.170.23",  # AWS EKS
            "100.100.100.200",  # Alibaba
            "192.0.0.192",  # Oracle
            "fd00:ec2::254",  # AWS
            "fd00:ec2::23",  # AWS EKS
            "fd20:ce::254",  # Google
        ),
    )
)
"""Metadata services, which give credentials to anyone who asks. An allowed subnet does not include them; their own /32
or /128 does."""

_NAT64, _NAT64_LOCAL = ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48")  # RFC 6052, RFC 8215
_COMPATIBLE = ip_network("::/96")  # RFC 4291 section 2.5.5.1
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""Upper half of the interface identifier; the lower half is an IPv4 address (RFC 5214 section 6.1)."""


def refuse(address: str, allowed: Networks = ()) -> str | None:
    """Return why webhooks may not go to this IP address (a few words), or None if they may."""
    ip = ip_address(address)
    if ip in _METADATA and not any(ip in network and network.num_addresses == 1 for network in allowed):
        return "cloud metadata"
    if any(ip in network for network in allowed):
        # An allowed gateway does not make the addresses behind it allowed.
        return next((reason for inner in _embedded(ip) if (reason := refuse(str(inner), allowed))), None)
    for network, meaning in _NOT_PUBLIC:
        if ip in network:
            return meaning
    if isinstance(ip, IPv6Address):
        if ip not in _UNICAST:
            return "reserved"
        if _is_isatap(ip):
            return "ISATAP"
    return None if ip.is_global else "not global"


def is_translated(address: str) -> bool:
    """Whether this is a public IPv4 address as DNS64 (RFC 6147) adds it beside the address itself."""
    ip = ip_address(address)
    return ip in _NAT64 and all(refuse(str(inner)) is None for inner in _embedded(ip))


def _embedded(ip: Address) -> Iterator[IPv4Address]:
    """Return the IPv4 addresses where a packet for an IPv6 address may end up."""
    if not isinstance(ip, IPv6Address):
        return
    bits = int(ip)
    if ip in _NAT64 or ip in _NAT64_LOCAL or ip in _COMPATIBLE or ip.ipv4_mapped or _is_isatap(ip):
        yield IPv4Address(bits & 0xFFFF_FFFF)
    if ip in _NAT64_LOCAL and (inner := (bits >> 64 & 0xFFFF) << 16 | bits >> 40 & 0xFFFF):
        yield IPv4Address(inner)  # RFC 6052 section 2.2, 48-bit prefix
    if ip.sixtofour:
        yield ip.sixtofour
    if ip.teredo:
        yield from ip.teredo


def _is_isatap(ip: IPv6Address) -> bool:
    return int(ip) >> 32 & 0xFFFF_FFFF in _ISATAP
