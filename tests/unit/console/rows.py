"""Rows of the read model for tests: complete, except for what a test specifies."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Connection, select

from bus.clock import now_ms
from database.tables import messages

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
        "tags": None,
        "updated_at": NOW + nth * 1_000,
        **changes,
    }


def tags_of(connection: Connection) -> list[dict[str, Any]]:
    """Return the rows of tags that go with the messages in a database."""
    found = connection.execute(select(messages).where(messages.c.tags.is_not(None))).mappings().all()
    return [
        {"message": row["id"], "account": row["account"], "name": name, "value": value, "updated_at": row["updated_at"]}
        for row in found
        for name, value in orjson.loads(row["tags"]).items()
    ]


def receipt(nth: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a report that the message `ib-1` was delivered."""
    return {
        "event_id": f"evt_receipt_{nth}",
        "account": "acme",
        "provider": "infobip",
        "provider_message_id": "ib-1",
        "number": "+15551230001",
        "status": "delivered",
        "status_detail": "DELIVERED_TO_HANDSET",
        "status_class": "delivered",
        "provider_status": "DELIVERED_TO_HANDSET",
        "provider_code": "3:5",
        "provider_text": "Message delivered to handset",
        "occurred_at": NOW + nth * 1_000,
        "received_at": NOW + nth * 1_000,
        "source": f"sms.raw/0/{nth - 1}",
        **changes,
    }


def event(event_id: str, **changes: Any) -> dict[str, Any]:
    """A delivery event of the message `m-1`."""
    return {
        "event_id": event_id,
        "account": "acme",
        "event": "delivery",
        "message_id": "m-1",
        "provider_message_id": "ib-1",
        "number": "+15551230001",
        "list_number": "+18005551234",
        "body": "{}",
        "place": "sms.events.delivery/2/7",
        "at": NOW + 1_500,
        **changes,
    }


def answered_attempt(event_id: str, **changes: Any) -> dict[str, Any]:
    """An attempt to deliver an event to the endpoint `crm`, which answered 200."""
    return {
        "account": "acme",
        "endpoint": "crm",
        "event_id": event_id,
        "event": "delivery",
        "attempt": 1,
        "url": "https://crm.example.com/trackly",
        "outcome": "2xx",
        "status": 200,
        "error_class": None,
        "latency_ms": 41,
        "response_head": "thanks",
        "request_size": 200,
        "next_attempt_at": None,
        "final": True,
        "at": NOW + 2_000,
        **changes,
    }


def reply(nth: int = 1, **changes: Any) -> dict[str, Any]:
    """A reply that asks to stop."""
    return {
        "event_id": f"evt_reply_{nth}",
        "account": "acme",
        "provider": "infobip",
        "number": "+15551230001",
        "to_number": "+18005551234",
        "list_number": "+18005551234",
        "text": "STOP",
        "kind": "opt_out",
        "keyword": "STOP",
        "received_at": NOW + nth * 1_000,
        "source": "sms.raw/0/0",
        **changes,
    }


def contact(nth: int = 1, **changes: Any) -> dict[str, Any]:
    """A contact that asked to stop."""
    number = changes.get("number", f"+1555123{nth:04}")
    return {
        "contact": f"acme:+18005551234:{number}",
        "account": "acme",
        "list_number": "+18005551234",
        "number": number,
        "active": False,
        "failures": 0,
        "reason": "message",
        "since": NOW + nth * 1_000,
        "last_event_id": "evt_1",
        "held": False,
        **changes,
    }


def seen_receiver(receiver: str, days_ago: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a receiver of `acme`'s replies on a day, by Twilio."""
    now = now_ms() - days_ago * 86_400_000
    return {
        "account": "acme",
        "day": now - now % 86_400_000,
        "provider": "twilio",
        "kind": "address",
        "channel": "",
        "receiver": receiver,
        "replies": 0,
        "reports": 0,
        "last_at": now,
        **changes,
    }


def change(**changes: Any) -> dict[str, Any]:
    """A removal because of a reply."""
    return {
        "account": "acme",
        "list_number": "+18005551234",
        "number": "+15551230001",
        "change": "removed",
        "reason": "message",
        "keyword": "STOP",
        "issued_by": None,
        "event_id": "evt_change_1",
        "at": NOW + 1_500,
        **changes,
    }


def attempt(nth: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a failed attempt to deliver to `crm` of `acme` that is followed by another."""
    return {
        "account": "acme",
        "endpoint": "crm",
        "event_id": f"evt_{nth}",
        "event": "delivery",
        "attempt": 1,
        "url": "https://crm.example.com/trackly",
        "outcome": "5xx",
        "status": 502,
        "error_class": "http_status",
        "latency_ms": 120,
        "response_head": "bad gateway",
        "request_size": 212,
        "next_attempt_at": NOW + nth * 1_000 + 60_000,
        "final": False,
        "asked": None,
        "at": NOW + nth * 1_000,
        **changes,
    }


def dead_letter(nth: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a webhook for `crm` of `acme` that was given up."""
    return {
        "account": "acme",
        "endpoint": "crm",
        "event_id": f"evt_{nth}",
        "event": "delivery",
        "body": b"{}",
        "attempts": 6,
        "last_status": 502,
        "error_class": "http_status",
        "first_attempt_at": NOW - 12_000_000,
        "died_at": NOW + nth * 1_000,
        "origin": f"sms.events.delivery/0/{nth}",
        "place": f"sms.webhooks.dead/0/{nth}",
        "delivered_at": None,
        **changes,
    }


def rejected_item(nth: int = 1, **changes: Any) -> dict[str, Any]:
    """Return an item of a callback of `acme` that could not be processed."""
    return {
        "event_id": f"evt_{nth}",
        "account": "acme",
        "provider": "infobip",
        "stage": "normalize",
        "reason": "unknown_status",
        "error": "status: groupId 99 is unknown",
        "source": f"sms.raw/0/{nth}",
        "item_index": 0,
        "item": '{"to":"15551230001"}',
        "place": f"sms.rejected/0/{nth}",
        "rejected_at": NOW + nth * 1_000,
        "may_opt_out": False,
        **changes,
    }


def told_alert(nth: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a sent alert of `acme`; those with a greater `nth` are newer."""
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
