"""A week of an active account: counts as in the read model, the same for the same hour."""

from __future__ import annotations

import random

from bus.clock import now_ms
from database.latencies import latency_class
from database.tables import (
    freshness,
    hourly_attempts,
    hourly_events,
    hourly_latencies,
    hourly_messages,
    minutely_events,
)
from tests.unit.console.console_parts import LIST, Api

HOUR, MINUTE = 3_600_000, 60_000
HOURS = 24 * 7
REASONS = (
    "REJECTED_ABSENT_SUBSCRIBER",
    "REJECTED_OPERATOR",
    "EXPIRED",
    "SPAM",
    "UNKNOWN_SUBSCRIBER",
    "BLACKLISTED",
    "NO_ROUTE",
)
ENDPOINTS = {"crm": 40, "warehouse": 120, "analytics": 900}
"""Endpoints, and their median latency in ms."""


def write_history(api: Api) -> None:
    """Write it into the database of these parts."""
    now = now_ms()
    dice = random.Random(7)
    events, attempts, latencies = [], [], []
    for hour in range(now - now % HOUR - (HOURS - 1) * HOUR, now + 1, HOUR):
        busy = 1 + dice.random() * 3
        common = {"account": "acme", "hour": hour, "list_number": LIST}

        def count(event: str, number: float, status: str = "", detail: str = "", provider: str = "infobip") -> None:
            row = {"event": event, "status": status, "detail": detail, "provider": provider, "count": int(number)}
            events.append(common | row)  # noqa: B023

        for provider in ("infobip", "twilio"):
            count("delivery", 900 * busy, "delivered", "DELIVERED_TO_HANDSET", provider)
            for nth, reason in enumerate(REASONS):
                count("delivery", dice.random() * 60 * busy / (nth + 1) + 1, "undeliverable", reason, provider)
        count("reply", 60 * busy * dice.random())
        count("unsubscribe", 12 * busy * dice.random(), detail="message")
        count("removed", 8 * busy * dice.random(), detail="failures")
        count("removed", 4 * busy * dice.random(), detail="complaint")
        for endpoint, median in ENDPOINTS.items():
            sent = int(400 * busy)
            failed = int(sent * dice.random() * (0.3 if endpoint == "analytics" else 0.02))
            for outcome, number in (("2xx", sent - failed), ("5xx", failed // 2), ("timeout", failed - failed // 2)):
                row = {"outcome": outcome, "count": number, "latency_ms_sum": number * median}
                attempts.append({"account": "acme", "hour": hour, "endpoint": endpoint} | row)
            classes: dict[int, int] = {}
            for _ in range(200):
                bound = latency_class(int(median * dice.lognormvariate(0, 0.5)))
                classes[bound] = classes.get(bound, 0) + 1
            latencies += [
                {"account": "acme", "hour": hour, "endpoint": endpoint, "at_most_ms": bound, "count": number}
                for bound, number in classes.items()
            ]
    minutes = range(now - now % MINUTE - 60 * MINUTE, now + 1, MINUTE)
    api.put(hourly_events, *events)
    outcomes = [row for row in events if row["event"] == "delivery"]
    api.put(hourly_messages, *({name: row[name] for name in row if name != "event"} for row in outcomes))
    api.put(hourly_attempts, *attempts)
    api.put(hourly_latencies, *latencies)
    api.put(minutely_events, *({"account": "acme", "minute": at, "count": dice.randint(60, 900)} for at in minutes))
    api.put(freshness, {"id": 1, "caught_up_at": now + 10 * MINUTE, "lag": 0, "told_at": now + 10 * MINUTE, "lost": 0})
