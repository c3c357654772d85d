"""What the webhook sink counts. Plain numbers, read by whoever exports them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class WebhookCounts:
    """Totals since the process started."""

    attempts: Counter[str] = field(default_factory=Counter)
    """Attempts by outcome: `2xx`, `4xx`, `5xx` and so on, or the error class."""

    retried: Counter[str] = field(default_factory=Counter)
    """Failed attempts that were followed by a wait, by delay: `1m`."""

    deferred: Counter[str] = field(default_factory=Counter)
    """Webhooks that were written to a delay topic without an attempt, by reason (`lanes.Deferral`)."""

    dead: int = 0
    """Webhooks given up after the last retry."""

    dropped: int = 0
    """Webhooks whose endpoint no longer exists."""

    rejected: Counter[str] = field(default_factory=Counter)
    """Records put into the rejected topic, by reason."""

    events: int = 0
    """Events and due webhooks taken."""
