"""Records whose key is another spelling of their recipient's number: they go to the partition of the canonical one.

Senders that write `sms.messages` themselves key it by the number as they have it, and records may lie on topics from
before a spelling became known.
"""

from __future__ import annotations

from bus.worker.batches import Batch
from bus.worker.inbox import Admitted
from schemas.cloudevents import header
from schemas.ids import recipient_key, sent_event_id
from schemas.numbering import canonical
from schemas.records import DROP, ContactCommand, InboundMessage, LinkClick, MessageSent, Receipt

Homed = Receipt | InboundMessage | LinkClick | MessageSent | ContactCommand


def sent_home(batch: Batch, source: Admitted, record: Homed) -> bool:
    """Send a record on under its recipient's key if it lies under another spelling's. Otherwise nothing is done.

    An order to drop what stands under a spelling is carried out where that lies.
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
    batch.send(topic, record, key=recipient_key(record.account, number), event_id=event_id, at=source.record.timestamp,
               traceparent=source.traceparent, source=header(source.record.headers, "source"))  # fmt: skip
    return True


def _place(record: Homed) -> tuple[str, str | None]:
    """The topic of a record, by its short name, and whom it is about."""
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
