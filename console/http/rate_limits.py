"""Rate limits of the API and the pages."""

from __future__ import annotations

import math

from accounts.rates import RateLimits
from console.errors import rate_limited
from console.settings import ConsoleSettings


class Rates:
    """The configured rate limit of each key and user."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._limits = RateLimits()

    def take(self, name: str) -> None:
        """Count a request of a key or user. Raises ApiError (429)."""
        wait = self._limits.take(name, self._settings.api_rate, self._settings.api_burst)
        if wait > 0:
            raise rate_limited(math.ceil(wait))
