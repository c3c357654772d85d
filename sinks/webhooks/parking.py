"""How long webhooks of paused endpoints have waited. Pure; times are in ms since 1970 UTC."""

from __future__ import annotations

from typing import Literal

DAY_MS = 86_400_000

SEEN_FOR_MS = 2 * 3_600_000
"""A parked webhook is seen again each time its delay ends. An endpoint without one seen for this long has none."""


class Parking:
    """Since when each paused endpoint's oldest webhook waits, and which have waited too long."""

    def __init__(self, days: float) -> None:
        self._limit = days * DAY_MS
        self._oldest: dict[str, tuple[int, int]] = {}

    def park(self, endpoint: str, parked_at: int, now: int) -> Literal["wait", "expiring", "expired"]:
        """Decide about a webhook that has waited since `parked_at`. `expiring`: it waits, but not much longer."""
        age = now - parked_at
        if age >= self._limit:
            return "expired"
        oldest, seen = self._oldest.get(endpoint, (parked_at, now))
        if parked_at <= oldest or now - seen > SEEN_FOR_MS:
            self._oldest[endpoint] = (parked_at, now)
        return "expiring" if self._limit - age < min(DAY_MS, self._limit / 2) else "wait"

    def oldest_seconds(self, now: int) -> float:
        """Return the age of the oldest webhook waiting for a paused endpoint, 0 if there is none."""
        self._oldest = {name: (at, seen) for name, (at, seen) in self._oldest.items() if now - seen <= SEEN_FOR_MS}
        return max((now - at for at, _ in self._oldest.values()), default=0) / 1000
