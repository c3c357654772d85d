"""Rate limits of lists within an endpoint: events of a list per second, whatever its other lists do."""

from __future__ import annotations

from collections.abc import Callable

from accounts.rates import TokenBucket
from schemas.records import EndpointConfig
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.pace import HIGHEST_RATE, LEAST_RATE, LEAST_SHARE

SAVED_SECONDS = 10.0
"""Seconds' worth that a list may send at once after a quiet time, because a deferred delivery waits a minute at
least."""


class ListLimits:
    """The list limits in one endpoint's settings. `share` is this process's share of every limit."""

    def __init__(self, config: EndpointConfig, share: Callable[[], float]) -> None:
        self._share = share
        self._buckets: dict[str, TokenBucket] = {}
        self.configure(config)

    def configure(self, config: EndpointConfig) -> None:
        """Apply new settings."""
        self._limits = {
            name: min(max(LEAST_RATE, each), HIGHEST_RATE) for name, each in config.list_rate_limits.items()
        }
        self._buckets = {name: self._buckets.get(name) or TokenBucket() for name in self._limits}

    def __bool__(self) -> bool:
        return bool(self._limits)

    def refuses(self, delivery: Delivery, now: float) -> bool:
        """Whether a delivery exceeds its list's limit; otherwise it is counted. `now` is in seconds."""
        name = delivery.list_number
        limit = None if name is None else self._limits.get(name)
        if name is None or limit is None:
            return False
        rate = limit * max(self._share(), LEAST_SHARE)
        return self._buckets[name].take(now, rate, rate * SAVED_SECONDS) > 0
