"""Where webhooks may go: public addresses over HTTPS, or what the operator allows.

Customers choose the URLs, so without this the sink would fetch anything that its network can reach. The
address is checked after the lookup, and the connection goes to the very address that was checked.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

Networks = Sequence[IPv4Network | IPv6Network]

# Registries: https://www.iana.org/assignments/iana-ipv4-special-registry and .../iana-ipv6-special-registry
_NOT_PUBLIC: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(network), meaning)
    for network, meaning in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),
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
"""All public IPv6 addresses lie here; everything else is reserved."""

LOOKUP_THREADS = 64
"""Lookups at the same time. One that hangs holds a thread; each host is looked up once at a time."""


class RefusedAddress(OSError):
    """A host has no address that webhooks may go to. An OSError, because aiohttp passes those through."""


class RefusedUrl(ValueError):
    """A URL that webhooks may not go to. `error_class` is `invalid_url` or `refused_address`."""

    def __init__(self, error_class: str, reason: str) -> None:
        super().__init__(reason)
        self.error_class = error_class


def refuse(address: str, allowed: Networks = ()) -> str | None:
    """Why webhooks may not go to this IP address (a few words), or None when they may."""
    ip = ip_address(address)
    if any(ip in network for network in allowed):
        return None
    for network, meaning in _NOT_PUBLIC:
        if ip in network:
            return meaning
    if isinstance(ip, IPv6Address) and ip not in _UNICAST:
        return "reserved"
    return None if ip.is_global else "not global"


def check_url(text: str, *, allow_http: bool = False, allowed: Networks = ()) -> URL:
    """The URL of an endpoint, ready for use. Raises RefusedUrl, whose text does not contain the URL."""
    try:
        url = URL(text)
        port, host = url.explicit_port, url.host
    except ValueError:
        raise RefusedUrl("invalid_url", "it is no URL") from None
    if url.scheme != "https" and not (allow_http and url.scheme == "http"):
        raise RefusedUrl("invalid_url", "its scheme is not https")
    if not host or port == 0:
        raise RefusedUrl("invalid_url", "it names no host or no port")
    if url.user is not None or url.password is not None:
        raise RefusedUrl("invalid_url", "it contains a user name or password")
    literal = _literal(host)
    if literal is not None:
        reason = refuse(str(literal), allowed)
        if reason is not None:
            raise RefusedUrl("refused_address", f"its address is {reason}")
    return url.with_fragment(None)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        pass
    # Digits and dots only: what the C library takes for an address (127.1) and aiohttp for no name.
    if host.replace(".", "").isdigit():
        raise RefusedUrl("invalid_url", "its host is no canonical address")
    return None


class GuardedResolver(AbstractResolver):
    """Gives only addresses that webhooks may go to. aiohttp connects to what this returns."""

    def __init__(self, allowed: Networks = ()) -> None:
        self._allowed = tuple(allowed)
        # Threads of its own: the event loop's few are shared, and a lookup can hang for half a minute.
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of a host. Raises socket.gaierror, or RefusedAddress when none of them may be used."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _lookup, host, port, family)
        reasons = {address: refuse(address, self._allowed) for _, address in found}
        usable = [(kind, address) for kind, address in found if reasons[address] is None]
        if not usable:
            raise RefusedAddress("its addresses are: " + ", ".join(sorted({str(r) for r in reasons.values()})))
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in usable
        ]

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _lookup(host: str, port: int, family: socket.AddressFamily) -> list[tuple[socket.AddressFamily, str]]:
    # As bytes: text would go through Python's IDNA codec, which raises UnicodeError; the URL has done that already.
    infos = socket.getaddrinfo(host.encode(), port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [(kind, str(address[0])) for kind, _, _, _, address in infos]
