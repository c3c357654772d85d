"""Where webhooks may go: public addresses over HTTPS, on the ports of web servers, or what the operator allows.

Customers choose the URLs, so without this the sink would fetch anything that its network can reach. The
address is checked after the lookup, and the connection goes to the very address that was checked.
"""

from __future__ import annotations

import asyncio
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from outbound.addresses import Address, Networks, is_translated, refuse

WEB_PORTS = frozenset({80, 443, 8080, 8443})
"""Ports of web servers. On others listens what was never meant to be posted to, such as mail or a database."""

LONGEST_URL = 2_048
LONGEST_NAME = 253  # RFC 1035 section 2.3.4

LOOKUP_THREADS = 64
"""Lookups at the same time. One that hangs holds a thread; each host is looked up once at a time."""

# What one parser skips, another one takes for the end of the host.
_TREACHEROUS = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
_AUTHORITY = re.compile(r"[A-Za-z]+://([^/?#]*)")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class RefusedAddress(OSError):
    """A host has an address that webhooks may not go to. An OSError, because aiohttp passes those through."""


class RefusedUrl(ValueError):
    """A URL that webhooks may not go to. `error_class` is `invalid_url` or `refused_address`."""

    def __init__(self, error_class: str, reason: str) -> None:
        super().__init__(reason)
        self.error_class = error_class


def check_url(
    text: str, *, allow_http: bool = False, allowed: Networks = (), ports: frozenset[int] | None = WEB_PORTS
) -> URL:
    """The URL of an endpoint, ready for use. `ports` None: any. Raises RefusedUrl, whose text does not contain the URL.

    The port of a host name is checked with its addresses, by the resolver: in `allowed` networks every port is free.
    """
    if len(text) > LONGEST_URL:
        raise RefusedUrl("invalid_url", f"it is longer than {LONGEST_URL} characters")
    if _TREACHEROUS.search(text):
        raise RefusedUrl("invalid_url", "it contains a blank, a control character or a backslash")
    try:
        url = URL(text)
        port, host = url.port, (url.raw_host or "").removesuffix(".")
    except ValueError:
        raise RefusedUrl("invalid_url", "it is not a valid URL") from None
    if url.scheme != "https" and not (allow_http and url.scheme == "http"):
        raise RefusedUrl("invalid_url", "its scheme is not https")
    authority = _AUTHORITY.match(text)
    if not host or not port or authority is None:
        raise RefusedUrl("invalid_url", "it names no host or no port")
    if "@" in authority[1]:
        raise RefusedUrl("invalid_url", "it contains a user name or password")
    literal = _literal(host, bracketed="[" in authority[1])
    if literal is not None:
        reason = _refuse(str(literal), port, allowed, ports)
        if reason is not None:
            raise RefusedUrl("refused_address", f"its address is {reason}")
    return url.with_host(host).with_fragment(None)


def _literal(host: str, *, bracketed: bool) -> Address | None:
    """The address that a host is, or None for a name. Raises RefusedUrl for what is neither."""
    if "%" in host:
        raise RefusedUrl("invalid_url", "its host has a zone or an escaped character")
    try:
        return ip_address(host)
    except ValueError:
        pass
    if bracketed or len(host) > LONGEST_NAME or not _NAME.fullmatch(host):
        raise RefusedUrl("invalid_url", "its host is not a valid name")
    # A last label of this kind makes it an address for the C library (127.1, 0x7f.1, 017700000001) and for browsers.
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise RefusedUrl("invalid_url", "its host is not a canonical address")
    return None


def _refuse(address: str, port: int, allowed: Networks, ports: frozenset[int] | None) -> str | None:
    reason = refuse(address, allowed)
    if reason is None and ports is not None and port not in ports:
        is_allowed = any(ip_address(address) in network for network in allowed)
        return None if is_allowed else f"public, and port {port} is not one of TRACKLY_WEBHOOK_PORTS"
    return reason


class GuardedResolver(AbstractResolver):
    """Gives only addresses that webhooks may go to. aiohttp connects to what this returns, and looks up nothing else.

    A host with one address that is refused is refused whole: whoever mixes public and private addresses is mistaken or
    tries what the connection will take. Left out are only the addresses that DNS64 adds to those of any host.
    """

    def __init__(self, allowed: Networks = (), ports: frozenset[int] | None = WEB_PORTS) -> None:
        self._allowed = tuple(allowed)
        self._ports = ports
        # Threads of its own: the event loop's few are shared, and a lookup can hang for half a minute.
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of a host. Raises socket.gaierror, or RefusedAddress when one of them may not be used."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _lookup, host, port, family)
        reasons = {address: _refuse(address, port, self._allowed, self._ports) for _, address in found}
        usable = [(kind, address) for kind, address in found if reasons[address] is None]
        refused = {reason for address, reason in reasons.items() if reason and not (usable and is_translated(address))}
        if refused or not usable:
            raise RefusedAddress("its addresses are: " + ", ".join(sorted(refused) or ["none"]))
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
