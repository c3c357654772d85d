"""How much is stored, by whom: a flood must neither fill Kafka's disks nor keep others' callbacks out.

What proves nothing (postbacks that name no account, callbacks of accounts that have no credentials) is taken up to a
rate of its own, and so many bytes of it are stored a second. One address has half of that at most: a single stranger
keeps nobody else out. What proves an account is bounded in bytes alone.

What is refused here is answered 503, never 4xx: no sender repeats after a 429 what it would not repeat after a 503, and
some give up, or switch a postback off, after 4xx. Each refusal is counted, and told in the log.
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
"""After a rest, what the limits give in this time passes at once. After an outage, providers send what they have
kept, in bodies of a megabyte."""


class Quotas:
    """What one process has stored lately. `clock` gives monotonic seconds."""

    def __init__(self, settings: IngestSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._rates, self._sizes = RateLimits(clock), RateLimits(clock)
        self._rates_of_callers, self._sizes_of_callers = RateLimits(clock), RateLimits(clock)
        self._seldom = Seldom(log, clock)

    def take_proven(self, account: str, size: int) -> None:
        """Count bytes that an account is proved to have sent. Raises Refused."""
        limit = self._settings.account_bytes
        wait = self._sizes.take(account, limit, limit * BURST_SECONDS_OF_BYTES, size)
        if wait > 0:
            raise self._refused("account_bytes_limited", f"account {account}", "TRACKLY_ACCOUNT_BYTES", wait)

    def take_unproven(self, account: str, door: str, caller: str, size: int) -> None:
        """Count a request that proves nothing, and its bytes. Raises Refused.

        `account`: "" where none is named; it counts for the `door`, the network, then.
        """
        whose = f"account {account}, which has no credentials at {door}," if account else f"no account at {door}"
        key = f"{account} {door}"
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
        told = "more comes for %s than is stored of it (%s): answered 503, which may be lost"
        self._seldom.say(f"{code} {whose}", told, whose, setting)
        return Refused(503, code, "More comes than is stored. Send it again.", {"Retry-After": str(math.ceil(wait))})


def _network_of(caller: str) -> str:
    """An address as one sender has it: of IPv6, a network of 64 bits."""
    address = parse_address(caller)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(address), 64), strict=False))
    return caller
