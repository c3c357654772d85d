"""Determines a request's caller behind trusted proxies.

Every proxy appends the address it saw to X-Forwarded-For, so the header is read from its end: the first address that is
not a trusted proxy is the caller. Anything before it was written by the caller and proves nothing.
https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For#selecting_an_ip_address
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from accounts.addresses import Address, parse_address, parse_network

ANY_PEER = "*"
"""Instead of networks: every peer is a proxy, but only the one address that it appended is trusted."""

MOST_PROXIES = 16
"""Maximum trusted proxies in a row; beyond that, the caller is unknown, because a header may claim thousands."""

UNKNOWN = ""
"""The caller if a proxy does not name it (`unknown`, a name, garbage). It is in no network."""

# [2001:db8::1]:443, [2001:db8::1], 203.0.113.7:443. An IPv6 address without brackets has no port.
_with_port = re.compile(r"\[([^\]]*)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}").fullmatch


class Proxies:
    """The trusted proxies of the setting: addresses and networks, separated by commas, or ANY_PEER."""

    def __init__(self, setting: str) -> None:
        self._any_peer = setting.strip() == ANY_PEER
        self._networks = () if self._any_peer else tuple(map(parse_network, _parts((setting,))))

    def caller(self, peer: str | None, forwarded: Iterable[str]) -> str:
        """Return the caller's address in normal form, or UNKNOWN.

        `peer` is the connected address, `forwarded` the values of X-Forwarded-For in order.
        """
        address = parse_address(peer or "")
        appended = [*_parts(forwarded)]
        if len(appended) > MOST_PROXIES:
            appended = [UNKNOWN, *appended[-MOST_PROXIES:]]
        if self._any_peer:
            return _form(_forwarded_address(appended[-1]) if appended else address)
        while appended and address is not None and self._trusts(address):
            address = _forwarded_address(appended.pop())
        return _form(address)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _parts(values: Iterable[str]) -> Iterator[str]:
    return (part.strip() for value in values for part in value.split(",") if part.strip())


def _forwarded_address(part: str) -> Address | None:
    found = _with_port(part)
    return parse_address((found[1] or found[2] or "") if found else part)


def _form(address: Address | None) -> str:
    return UNKNOWN if address is None else str(address)
