"""Restricts webhooks to public addresses, HTTPS, and web server ports, or to what the operator allows.

Customers choose the URLs; without this, the sink would fetch anything that its network can reach. The address is
checked after the lookup, and the connection goes to exactly the address that was checked.
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
"""Ports of web servers. Services on other ports, such as mail or a database, were never meant to be posted to."""

LONGEST_URL = 2_048
LONGEST_NAME = 253  # RFC 1035 section 2.3.4

LOOKUP_THREADS = 64
"""Maximum concurrent lookups. A hanging one occupies a thread; each host has one lookup at a time."""

# Characters that one parser skips and another takes for the end of the host.
_TREACHEROUS = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
_AUTHORITY = re.compile(r"[A-Za-z]+://([^/?#]*)")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class RefusedAddress(OSError):
    """A host has an address that webhooks may not go to. An OSError, because aiohttp propagates those."""


class RefusedUrl(ValueError):
    """A URL that webhooks may not go to. `error_class` is `invalid_url` or `refused_address`."""

    def __init__(self, error_class: str, reason: str) -> None:
        super().__init__(reason)
        self.error_class = error_class


def check_url(
    text: str, *, allow_http: bool = False, allowed: Networks = (), ports: frozenset[int] | None = WEB_PORTS
) -> URL:
    """Return an endpoint's URL, ready for use. `ports` None: any. Raises RefusedUrl, whose text omits the URL.

    The resolver checks a host name's port together with its addresses: in `allowed` networks, any port may be used.
    """
    if len(text) > LONGEST_URL:
        raise RefusedUrl("invalid_url", f"it is longer than {LONGEST_URL} characters")
    if _TREACHEROUS.search(text):
        raise RefusedUrl("invalid_url", "it contains a space, a control character, or a backslash")
    try:
        url = URL(text)
        port, host = url.port, (url.raw_host or "").removesuffix(".")
    except ValueError:
        raise RefusedUrl("invalid_url", "it is not a valid URL") from None
    if url.scheme != "https" and not (allow_http and url.scheme == "http"):
        raise RefusedUrl("invalid_url", "its scheme is not https")
    authority = _AUTHORITY.match(text)
    if not host or not port or authority is None:
        raise RefusedUrl("invalid_url", "it has no host or no port")
    if "@" in authority[1]:
        raise RefusedUrl("invalid_url", "it contains a user name or password")
    literal = _literal(host, bracketed="[" in authority[1])
    if literal is not None:
        reason = _refuse(str(literal), port, allowed, ports)
        if reason is not None:
            raise RefusedUrl("refused_address", f"its address is {reason}")
    return url.with_host(host).with_fragment(None)


def _literal(host: str, *, bracketed: bool) -> Address | None:
    """Return a host's IP address, or None for a name. Raises RefusedUrl for anything else."""
    if "%" in host:
        raise RefusedUrl("invalid_url", "its host has a zone or an escaped character")
    try:
        return ip_address(host)
    except ValueError:
        pass
    if bracketed or len(host) > LONGEST_NAME or not _NAME.fullmatch(host):
        raise RefusedUrl("invalid_url", "its host is not a valid name")
    # With such a last label, the C library and browsers parse it as an address (127.1, 0x7f.1, 017700000001).
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
    """Returns only addresses that webhooks may go to. aiohttp connects to these, and looks up nothing else.

    A host with one refused address is refused altogether: mixing public and private addresses is a mistake or an
    attack. Only addresses that DNS64 adds for any host are skipped.
    """

    def __init__(self, allowed: Networks = (), ports: frozenset[int] | None = WEB_PORTS) -> None:
        self._allowed = tuple(allowed)
        self._ports = ports
        # Uses its own threads: the event loop's few are shared, and a lookup can hang for half a minute.
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return a host's addresses. Raises socket.gaierror, or RefusedAddress if one of them is not allowed."""
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
        """Shut the threads down."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _lookup(host: str, port: int, family: socket.AddressFamily) -> list[tuple[socket.AddressFamily, str]]:
    # As bytes: text would go through Python's IDNA codec, which raises UnicodeError; the URL has been encoded already.
    infos = socket.getaddrinfo(host.encode(), port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [(kind, str(address[0])) for kind, _, _, _, address in infos]
