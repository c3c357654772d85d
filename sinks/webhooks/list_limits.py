"""Rate limits of lists inside an endpoint: how many of a list's events it takes a second, whatever its others do."""

from __future__ import annotations

from collections.abc import Callable

from accounts.rates import TokenBucket
from schemas.records import EndpointConfig
from sinks.webhooks.delivery import Delivery
from sinks.webhooks.pace import HIGHEST_RATE, LEAST_RATE, LEAST_SHARE

SAVED_SECONDS = 10.0
"""A list that was silent may send so many seconds' worth at once: what is put off waits a minute at least."""


class ListLimits:
    """The limits that one endpoint's settings have. `share` is this process's share of every limit."""

    def __init__(self, config: EndpointConfig, share: Callable[[], float]) -> None:
        self._share = share
        self._buckets: dict[str, TokenBucket] = {}
        self.configure(config)

    def configure(self, config: EndpointConfig) -> None:
        """Use new settings from now on."""
        self._limits = {
            name: min(max(LEAST_RATE, each), HIGHEST_RATE) for name, each in config.list_rate_limits.items()
        }
        self._buckets = {name: self._buckets.get(name) or TokenBucket() for name in self._limits}

    def __bool__(self) -> bool:
        return bool(self._limits)

    def refuses(self, delivery: Delivery, now: float) -> bool:
        """Whether a delivery is more than its list may send now; where it is not, it counts. `now` is in seconds."""
        name = delivery.list_number
        limit = None if name is None else self._limits.get(name)
        if name is None or limit is None:
            return False
        rate = limit * max(self._share(), LEAST_SHARE)
        return self._buckets[name].take(now, rate, rate * SAVED_SECONDS) > 0
