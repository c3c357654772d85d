"""Storage quotas: a flood must not fill Kafka's disks or lock other callers out.

Unverified requests (postbacks that name no account, callbacks for accounts without credentials) have their own rate
limit and a limit on stored bytes per second. One address gets at most half of each, so a single stranger cannot lock
the others out. Verified requests are limited in bytes only.

Requests over quota get 503, never 4xx: every sender that retries after a 429 also retries after a 503, while some give
up, or switch a postback off, after a 4xx. Each refusal is counted and logged.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections.abc import Callable

from accounts.addresses import parse_address
from accounts.rates import RateLimits
from ingest.errors import Refused
from ingest.settings import IngestSettings
from ingest.telling import Seldom

log = logging.getLogger(__name__)

BURST_SECONDS, BURST_SECONDS_OF_BYTES = 10.0, 120.0
"""Seconds' worth of a limit that may pass at once after a quiet time. After an outage, providers send their backlog in
bodies of a megabyte."""


class Quotas:
    """What this process has stored recently. `clock` returns monotonic seconds."""

    def __init__(self, settings: IngestSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._rates, self._sizes = RateLimits(clock), RateLimits(clock)
        self._rates_of_callers, self._sizes_of_callers = RateLimits(clock), RateLimits(clock)
        self._seldom = Seldom(log, clock)

    def take_proven(self, account: str, size: int) -> None:
        """Count the bytes of a verified request. Raises Refused."""
        limit = self._settings.account_bytes
        wait = self._sizes.take(account, limit, limit * BURST_SECONDS_OF_BYTES, size)
        if wait > 0:
            raise self._refused("account_bytes_limited", f"account {account}", "TRACKLY_ACCOUNT_BYTES", wait)

    def take_unproven(self, account: str, provider: str, caller: str, size: int) -> None:
        """Count an unverified request and its bytes. Raises Refused.

        With `account` "", the request counts against the `provider`, which is then a network.
        """
        whose = (
            f"account {account}, which has no credentials at {provider}," if account else f"no account at {provider}"
        )
        key = f"{account} {provider}"
        one = f"{key} {_network_of(caller)}"
        rate, size_rate = self._settings.unproven_rate, self._settings.unproven_bytes
        wait = self._rates_of_callers.take(one, rate, rate * BURST_SECONDS)
        wait = wait or self._rates.take(key, 2 * rate, 2 * rate * BURST_SECONDS)
        if wait > 0:
            raise self._refused("unproven_rate_limited", whose, "TRACKLY_UNPROVEN_RATE", wait)
        wait = self._sizes_of_callers.take(one, size_rate, size_rate * BURST_SECONDS_OF_BYTES, size)
        wait = wait or self._sizes.take(key, 2 * size_rate, 2 * size_rate * BURST_SECONDS_OF_BYTES, size)
        if wait > 0:
            raise self._refused("unproven_bytes_limited", whose, "TRACKLY_UNPROVEN_BYTES", wait)

    def _refused(self, code: str, whose: str, setting: str, wait: float) -> Refused:
        told = "storage quota exceeded for %s (%s): answering 503, which may lose data"
        self._seldom.say(f"{code} {whose}", told, whose, setting)
        return Refused(
            503, code, "The storage quota is exceeded. Send it again.", {"Retry-After": str(math.ceil(wait))}
        )


def _network_of(caller: str) -> str:
    """Return the network that one sender controls: the address itself, or a /64 for IPv6."""
    address = parse_address(caller)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(address), 64), strict=False))
    return caller
