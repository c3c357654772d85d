"""Bursts: what happens many times within a minute is reported once, with a count and the most frequent reasons. Pure.

The first alert after a quiet time is sent after GATHER seconds, with whatever has arrived by then; later ones are sent
together, once a minute, until a minute is quiet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from accounts.alerts import TYPES
from sinks.alerts.rules import Alert

GATHER, WINDOW = 3.0, 60.0
"""Seconds until the first alert after a quiet time is sent, and between further ones."""

MOST_REASONS = 50
"""Reasons counted separately in a burst; all others are counted together."""

TOP = 5
"""Reasons reported by name."""

OTHERS = "other reasons"


@dataclass(slots=True)
class Burst:
    """Alerts of one account and type. `since` is when the first arrived, in ms since 1970 UTC; `mark` is its reader's
    position."""

    first: Alert
    since: int
    mark: int
    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    in_a_minute: bool = False

    def add(self, alert: Alert) -> None:
        """Count an alert."""
        known = alert.reason in self.reasons or len(self.reasons) < MOST_REASONS
        self.reasons[alert.reason if known else OTHERS] += 1
        self.count += 1

    @property
    def title(self) -> str:
        """Return what happened, in a few words."""
        if self.count == 1:
            return self.first.title
        span = "in the last minute" if self.in_a_minute else "just now"
        return f"{self.count} {TYPES[self.first.type].many} {span}"

    @property
    def facts(self) -> dict[str, str]:
        """Return the details below the title: the facts of a single alert, or the count of each reason."""
        if self.count == 1:
            return dict(self.first.facts)
        top = [(reason, count) for reason, count in self.reasons.most_common() if reason != OTHERS][:TOP]
        rest = self.count - sum(count for _, count in top)
        return {"Reasons": ", ".join(f"{count} {reason}" for reason, count in [*top, (OTHERS, rest)] if count)}


@dataclass(slots=True)
class _Window:
    due: float
    burst: Burst | None


class Bursts:
    """Gathers alerts. Times are in monotonic seconds; memory is bounded by the accounts and types with alerts in the
    last minute."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], _Window] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def add(self, alert: Alert, now: float, at: int, mark: int = 0) -> None:
        """Add an alert. `at` is the time in ms since 1970 UTC."""
        key = (alert.account, alert.type)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(now + GATHER, None)
            window.burst = Burst(alert, at, mark)
        elif window.burst is None:
            window.burst = Burst(alert, at, mark, in_a_minute=True)
        window.burst.add(alert)

    def due(self, now: float) -> Iterator[Burst]:
        """Return bursts that are due. Each is returned once."""
        for key, window in list(self._windows.items()):
            if now < window.due:
                continue
            if window.burst is None:
                del self._windows[key]
                continue
            yield window.burst
            window.burst, window.due = None, now + WINDOW

    def all(self) -> list[Burst]:
        """Return everything gathered, and forget it."""
        found = [window.burst for window in self._windows.values() if window.burst is not None]
        self._windows.clear()
        return found

    def oldest_mark(self) -> int | None:
        """Return the lowest mark that has not been returned yet."""
        return min((window.burst.mark for window in self._windows.values() if window.burst is not None), default=None)
