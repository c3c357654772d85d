"""Bursts: what happens many times within a minute is told once, with a count and the commonest reasons. Pure.

What happens first in a quiet time is told after GATHER seconds, with whatever has come by then; what follows is told a
minute later, once, and so on each minute until one is quiet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from accounts.alerts import TYPES
from sinks.alerts.rules import Alert

GATHER, WINDOW = 3.0, 60.0
"""Seconds until the first of a quiet time is told, and between two that are told."""

MOST_REASONS = 50
"""Reasons of a burst that are counted by themselves; all others are one."""

TOP = 5
"""Reasons that are told by name."""

OTHERS = "other reasons"


@dataclass(slots=True)
class Burst:
    """Alerts of one account and type. `since` is when the first came, in ms since 1970 UTC, `mark` what its reader
    said of the place that it came from.
    """

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
        """What happened, in a few words."""
        if self.count == 1:
            return self.first.title
        span = "in the last minute" if self.in_a_minute else "just now"
        return f"{self.count} {TYPES[self.first.type].many} {span}"

    @property
    def facts(self) -> dict[str, str]:
        """What is told beside the title: of a single alert its facts, of several how often each reason came."""
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
    """Gathers alerts. Times are in seconds of a clock that never goes back; the memory grows with accounts and types
    that something happened to within the last minute, and with nothing else.
    """

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], _Window] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def add(self, alert: Alert, now: float, at: int, mark: int = 0) -> None:
        """Take an alert. `at` is the time in ms since 1970 UTC."""
        key = (alert.account, alert.type)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(now + GATHER, None)
            window.burst = Burst(alert, at, mark)
        elif window.burst is None:
            window.burst = Burst(alert, at, mark, in_a_minute=True)
        window.burst.add(alert)

    def due(self, now: float) -> Iterator[Burst]:
        """Bursts whose time has come. They are given once."""
        for key, window in list(self._windows.items()):
            if now < window.due:
                continue
            if window.burst is None:
                del self._windows[key]
                continue
            yield window.burst
            window.burst, window.due = None, now + WINDOW

    def all(self) -> list[Burst]:
        """Whatever is gathered, at once. Nothing is held afterwards."""
        found = [window.burst for window in self._windows.values() if window.burst is not None]
        self._windows.clear()
        return found

    def oldest_mark(self) -> int | None:
        """The least mark of what was not given yet."""
        return min((window.burst.mark for window in self._windows.values() if window.burst is not None), default=None)
