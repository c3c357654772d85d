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
        self._limits: dict[str, float] = {}
        self._buckets: dict[str, TokenBucket] = {}
        self.configure(config)

    def configure(self, config: EndpointConfig) -> None:
        """Apply new settings."""
        before, kept = self._limits, self._buckets
        self._limits = {
            name: min(max(LEAST_RATE, each), HIGHEST_RATE) for name, each in config.list_rate_limits.items()
        }
        self._buckets = {
            name: kept[name] if before.get(name) == limit else TokenBucket() for name, limit in self._limits.items()
        }

    def __bool__(self) -> bool:
        return bool(self._limits)

    def refuses(self, delivery: Delivery, now: float) -> bool:
        """Whether a delivery exceeds its list's limit; otherwise it is counted. `now` is in seconds."""
        name, rate = delivery.list_number, self._rate(delivery)
        if name is None or rate is None:
            return False
        return self._buckets[name].take(now, rate, rate * SAVED_SECONDS) > 0

    def seconds_each(self, delivery: Delivery) -> float:
        """Return how many seconds lie between two deliveries of its list; 0 without a limit."""
        rate = self._rate(delivery)
        return 0.0 if rate is None else 1 / rate

    def _rate(self, delivery: Delivery) -> float | None:
        limit = None if delivery.list_number is None else self._limits.get(delivery.list_number)
        return None if limit is None else limit * max(self._share(), LEAST_SHARE)
