"""Records that the read model reads, for tests: one message, and everything that follows from it."""

from __future__ import annotations

from typing import Any

from schemas.ids import derived_id
from schemas.records import (
    ContactCommand,
    ContactState,
    DeadWebhook,
    DeliveryEvent,
    InboundMessage,
    MessageSent,
    Receipt,
    RejectedRecord,
    UnsubscribeEvent,
    WebhookAttempt,
)

LIST = "+18005551234"


def number_of(index: int) -> str:
    return f"+1555123{index:04d}"


def message(index: int, at: int, **changes: Any) -> MessageSent:
    return MessageSent(
        **{
            "message_id": f"m-{index}", "account": "acme", "provider": "twilio", "provider_message_id": f"SM{index}",
            "list_number": LIST, "to": number_of(index), "part_count": 2, "sent_at": at,
        } | changes
    )  # fmt: skip


def delivery(index: int, at: int, status: str = "delivered", **changes: Any) -> DeliveryEvent:
    return DeliveryEvent(
        **{
            "event_id": derived_id(index, status), "account": "acme", "message_id": f"m-{index}",
            "provider_message_id": f"SM{index}", "provider": "twilio", "to": number_of(index), "list_number": LIST,
            "status": status, "status_detail": status.upper(), "status_class": "neutral", "provider_code": "30003",
            "final": status != "pending", "timestamp": at,
        } | changes
    )  # fmt: skip


def receipt(index: int, at: int, **changes: Any) -> Receipt:
    return Receipt(
        **{
            "event_id": derived_id(index, "receipt"), "account": "acme", "provider": "twilio",
            "provider_message_id": f"SM{index}", "to": number_of(index), "status": "delivered",
            "status_detail": "DELIVERED", "status_class": "delivered", "provider_status": "delivered", "final": True,
            "received_at": at, "raw": "{}",
        } | changes
    )  # fmt: skip


def inbound(index: int, at: int, text: str = "hello") -> InboundMessage:
    return InboundMessage(
        event_id=derived_id(index, "inbound"), account="acme", provider="twilio", from_=number_of(index), to=LIST,
        text=text, received_at=at, raw="{}",
    )  # fmt: skip


def unsubscribe(index: int, at: int) -> UnsubscribeEvent:
    return UnsubscribeEvent(
        event_id=derived_id(index, "unsubscribe"), account="acme", provider="twilio", phone_number=number_of(index),
        list_number=LIST, keyword="STOP", reason="message", timestamp=at,
    )  # fmt: skip


def contact(index: int, at: int, active: bool, version: int = 0) -> ContactState:
    return ContactState(
        contact=f"acme:{LIST}:{number_of(index)}", account="acme", list_number=LIST, phone_number=number_of(index),
        active=active, failures=0, reason=None if active else "message", since=at,
        last_event_id=derived_id(index, "contact", active, at), version=version,
    )  # fmt: skip


def command(index: int, at: int, what: str) -> ContactCommand:
    return ContactCommand(
        event_id=derived_id(index, what), command=what, account="acme", list_number=LIST,
        phone_number=number_of(index), issued_by="ann", issued_at=at,
    )  # fmt: skip


def attempt(event_id: str, at: int, status: int | None = 200, **changes: Any) -> WebhookAttempt:
    success = status is not None and status < 300
    return WebhookAttempt(
        **{
            "endpoint": "acme/crm", "event_id": event_id, "event": "delivery", "attempt": 1,
            "url": "https://crm.example.com/hook", "status": status, "latency_ms": 10, "response_head": "ok",
            "error_class": None if success else ("timeout" if status is None else "http_status"),
            "request_size": 200, "at": at, "final": success,
        } | changes
    )  # fmt: skip


def dead(event_id: str, at: int, contact: str | None = None) -> DeadWebhook:
    return DeadWebhook(
        endpoint="acme/crm", event_id=event_id, event="delivery", body=b"{}", attempts=6, last_status=500,
        error_class="http_status", first_attempt_at=at - 1, died_at=at, origin="", contact=contact,
    )  # fmt: skip


def rejected(index: int, at: int, item: str | None = None) -> RejectedRecord:
    return RejectedRecord(
        event_id=derived_id(index, "rejected"), stage="normalize", reason="invalid_number", error="no number",
        account="acme", provider="twilio", source_topic="sms.raw", source_partition=0, source_offset=index, item=item,
        rejected_at=at,
    )  # fmt: skip
