"""Rows of the read model for tests: whole ones, of which a test says what matters to it."""

from __future__ import annotations

from typing import Any

NOW = 1_795_000_000_000


def message(nth: int = 1, **changes: Any) -> dict[str, Any]:
    """A delivered message of `acme`; messages with a greater `nth` are newer."""
    return {
        "account": "acme",
        "provider": "infobip",
        "provider_message_id": f"ib-{nth}",
        "message_id": f"m-{nth}",
        "number": "+15551230001",
        "list_number": "+18005551234",
        "status": "delivered",
        "status_detail": "DELIVERED_TO_HANDSET",
        "status_class": "delivered",
        "provider_code": "3:5",
        "final": True,
        "part_count": 1,
        "registered_at": NOW - 60_000,
        "updated_at": NOW + nth * 1_000,
        **changes,
    }


def told_alert(nth: int = 1, **changes: Any) -> dict[str, Any]:
    """An alert of `acme` that was told; those with a greater `nth` are newer."""
    return {
        "event_id": f"evt_{nth}",
        "account": "acme",
        "type": "delivery_failures",
        "severity": "medium",
        "title": f"{nth} delivery failures in the last minute",
        "text": "Reasons: 1 EXPIRED",
        "count": nth,
        "outcome": "told",
        "at": NOW + nth * 1_000,
        **changes,
    }
