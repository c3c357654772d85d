"""Forwards records keyed by another spelling of the recipient's number to the canonical spelling's partition.

Senders that write `sms.messages` themselves key it by the number as they have it, and topics may hold records from
before a spelling became known.
"""

from __future__ import annotations

from bus.worker.batch import Batch
from bus.worker.context import Context
from bus.worker.inbox import Admitted
from schemas.cloudevents import header
from schemas.ids import recipient_key, sent_event_id
from schemas.numbering import canonical
from schemas.records import DROP, ContactCommand, InboundMessage, LinkClick, MessageSent, Receipt

ContactInput = Receipt | InboundMessage | LinkClick | MessageSent | ContactCommand
"""The records that the stage `contacts` takes."""


def sent_home(batch: Batch, source: Admitted, record: ContactInput) -> bool:
    """Forward a record if its key is another spelling of its recipient; otherwise do nothing.

    A command to drop a spelling's data is carried out where that data is.
    """
    if isinstance(record, ContactCommand) and record.command == DROP:
        return False
    topic, number = _place(record)
    if number is None or number == canonical(number) or source.record.key != f"{record.account}:{number}".encode():
        return False
    event_id = (
        sent_event_id(record.account, record.provider, record.provider_message_id)
        if isinstance(record, MessageSent)
        else record.event_id
    )
    raw = header(source.record.headers, "source")
    context = Context(event_id, source.record.timestamp, source.traceparent, source=raw)
    batch.send(topic, record, context, key=recipient_key(record.account, number))
    return True


def _place(record: ContactInput) -> tuple[str, str | None]:
    """Return a record's topic, by short name, and its recipient."""
    match record:
        case Receipt():
            return "receipts", record.to
        case InboundMessage():
            return "inbound", record.from_
        case LinkClick():
            return "clicks", record.to
        case MessageSent():
            return "messages", record.to
        case ContactCommand():
            return "commands", record.phone_number
