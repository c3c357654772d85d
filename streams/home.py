"""Forwards records keyed by another spelling of the recipient's number to the canonical spelling's partition.

Senders that write `sms.messages` themselves key it by the number as they have it, and topics may hold records from
before a spelling became known. And their client may put a key into another partition than Kafka's default partitioner.
"""

from __future__ import annotations

from bus.producer import partition_of
from bus.worker.batch import Batch
from bus.worker.context import Context
from bus.worker.inbox import Admitted
from schemas.cloudevents import header
from schemas.ids import recipient_key, sent_event_id
from schemas.numbering import canonical
from schemas.records import DROP, ContactCommand, InboundMessage, LinkClick, MessageSent, Receipt

ContactInput = Receipt | InboundMessage | LinkClick | MessageSent | ContactCommand
"""The records that the stage `contacts` takes."""


def sent_home(batch: Batch, source: Admitted, record: ContactInput, partitions: int) -> bool:
    """Forward a record if its key is another spelling of its recipient, and a registered message also if it is in
    another partition than its reports; otherwise do nothing. `partitions` are those of its topic.

    A command to drop a spelling's data is carried out where that data is.
    """
    if isinstance(record, ContactCommand) and record.command == DROP:
        return False
    topic, number = _place(record)
    if number is None or source.record.key != f"{record.account}:{number}".encode():
        return False
    if number == canonical(number) and not _is_astray(source, record, partitions):
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


def _is_astray(source: Admitted, record: ContactInput, partitions: int) -> bool:
    # Only registrations are written by others; all else is sent by our own producer.
    place = source.record
    return isinstance(record, MessageSent) and place.partition != partition_of(place.key, partitions)


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
