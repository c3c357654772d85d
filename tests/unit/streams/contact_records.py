"""Records about one contact, for the tests of the contacts stage. Times count in ms from `START_OF_DAY`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from schemas.records import ContactCommand, InboundMessage, LinkClick, MessageSent, Receipt

ACCOUNT = "acme"
LIST = "+18005551234"
NUMBER = "+15550001111"
START_OF_DAY = 1_705_276_800_000


class Report(NamedTuple):
    """A receipt's content, without the message and the time."""

    status: str
    detail: str
    status_class: str
    final: bool


ACCEPTED = Report("pending", "PENDING_ACCEPTED", "neutral", False)
ENROUTE = Report("pending", "PENDING_ENROUTE", "neutral", False)
SENT = Report("pending", "SENT", "neutral", False)
AT_OPERATOR = Report("delivered", "DELIVERED_TO_OPERATOR", "delivered", False)
DELIVERED = Report("delivered", "DELIVERED_TO_HANDSET", "delivered", True)
ABSENT = Report("undeliverable", "REJECTED_ABSENT_SUBSCRIBER", "transient", True)
EXPIRED = Report("expired", "EXPIRED", "transient", True)
SYSTEM_ERROR = Report("rejected", "REJECTED_SYSTEM_ERROR", "neutral", True)
SPAM = Report("rejected", "REJECTED_SPAM", "complaint", True)
UNKNOWN_NUMBER = Report("rejected", "REJECTED_DESTINATION", "invalid", True)
UNSUBSCRIBED = Report("rejected", "UNSUBSCRIBED", "opt_out", True)

REPORTS = [
    ACCEPTED, ENROUTE, SENT, AT_OPERATOR, DELIVERED, ABSENT, EXPIRED, SYSTEM_ERROR, SPAM, UNKNOWN_NUMBER,
    UNSUBSCRIBED,
]  # fmt: skip


def receipt(
    message: str,
    report: Report,
    occurred_at: int | None = None,
    *,
    received_at: int | None = None,
    to: str | None = NUMBER,
    from_: str | None = LIST,
    **fields: Any,
) -> Receipt:
    """Return a receipt received a second after what it reports, unless `received_at` is given; `fields` are any
    others.
    """
    if received_at is None:
        received_at = (occurred_at or 0) + 1_000
    said: dict[str, Any] = {
        "event_id": f"evt_{message}_{report.detail}_{occurred_at}_{received_at}",
        "account": ACCOUNT,
        "provider": "infobip",
        "provider_message_id": message,
        "to": to,
        "from_": from_,
        "status": report.status,
        "status_detail": report.detail,
        "status_class": report.status_class,
        "provider_status": report.detail,
        "provider_code": "(2,7)",
        "final": report.final,
        "occurred_at": None if occurred_at is None else START_OF_DAY + occurred_at,
        "received_at": START_OF_DAY + received_at,
        "raw": "{}",
    }
    return Receipt(**{**said, **fields})


def inbound(
    text: str | None,
    occurred_at: int = 0,
    *,
    id: str | None = "SM1",
    kind: str = "reply",
    keyword: str | None = None,
    scope: str | None = None,
    to: str | None = LIST,
    list_number: str | None = None,
    provider: str = "twilio",
    from_: str = NUMBER,
    received_at: int | None = None,
) -> InboundMessage:
    """Return a contact's message to the list, received a second after it was written, unless `received_at` is given."""
    return InboundMessage(
        event_id=f"evt_{id}_{occurred_at}",
        account=ACCOUNT,
        provider=provider,
        provider_message_id=id,
        from_=from_,
        to=to,
        list_number=list_number,
        text=text,
        kind=kind,
        keyword=keyword,
        opt_out_scope=scope,
        occurred_at=START_OF_DAY + occurred_at,
        received_at=START_OF_DAY + (occurred_at + 1_000 if received_at is None else received_at),
        raw="{}",
    )


def command(
    order: str,
    issued_at: int = 0,
    reason: str | None = None,
    phone_number: str = NUMBER,
    list_number: str = LIST,
    happened_at: int | None = None,
) -> ContactCommand:
    """An operator's order about the contact."""
    return ContactCommand(
        event_id=f"evt_{order}_{issued_at}",
        command=order,
        account=ACCOUNT,
        list_number=list_number,
        phone_number=phone_number,
        issued_by="ops@example.com",
        issued_at=START_OF_DAY + issued_at,
        reason=reason,
        happened_at=None if happened_at is None else START_OF_DAY + happened_at,
    )


def message_sent(message: str, message_id: str = "order-77", list_number: str = LIST, **fields: Any) -> MessageSent:
    """A message as its sender registered it; `fields` are any others."""
    defaults: dict[str, Any] = {"account": ACCOUNT, "provider": "infobip", "to": NUMBER, "sent_at": START_OF_DAY}
    return MessageSent(
        message_id=message_id, provider_message_id=message, list_number=list_number, **{**defaults, **fields}
    )


def click(
    message: str | None = "m1", url: str | None = "https://acme.example/sale", at: int | None = 1, **fields: Any
) -> LinkClick:
    """A click of the contact on a link of a message."""
    defaults: dict[str, Any] = {"account": ACCOUNT, "provider": "infobip", "to": NUMBER, "raw": "{}"}
    return LinkClick(
        event_id=f"evt_click_{message}_{at}",
        provider_message_id=message,
        url=url,
        occurred_at=None if at is None else START_OF_DAY + at,
        received_at=START_OF_DAY + 5_000,
        **{**defaults, **fields},
    )


def names(events: Iterable[object]) -> list[str]:
    """Types of the events, in order."""
    return [type(event).__name__ for event in events]
