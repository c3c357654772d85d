"""Forwards records keyed by another spelling of the recipient's number to the canonical spelling's partition.

Senders that write `sms.messages` and `sms.clicks` themselves key them by the number as they have it, and topics may
hold records from before a spelling became known. And their client may put a key into another partition than Kafka's
default partitioner, or give a click another key. In a partition that is not its contact's, a click would begin a row of
its own, next to that of the contact.
"""

from __future__ import annotations

from bus.producer import partition_of
from bus.worker.batch import Batch
from bus.worker.context import Context
from bus.worker.inbox import Admitted
from schemas.cloudevents import header
from schemas.ids import recipient_key, sent_event_id
from schemas.records import DROP, ContactCommand, InboundMessage, LinkClick, MessageSent, Receipt

ContactInput = Receipt | InboundMessage | LinkClick | MessageSent | ContactCommand
"""The records that the stage `contacts` takes."""


def sent_home(batch: Batch, source: Admitted, record: ContactInput, partitions: int) -> bool:
    """Forward a record whose key is another spelling of its recipient. Forward also what senders write: a registered
    message or a click in another partition than its contact's, and a click under any other key. Otherwise do nothing.
    `partitions` are those of the record's topic.

    A command to drop a spelling's data is carried out where that data is.
    """
    if isinstance(record, ContactCommand) and record.command == DROP:
        return False
    topic, number = _place(record)
    if number is None:
        return False
    key, home = source.record.key, recipient_key(record.account, number)
    if key == home:
        if not _is_astray(source, record, partitions):
            return False
    elif key != f"{record.account}:{number}".encode() and not isinstance(record, LinkClick):
        return False
    event_id = (
        sent_event_id(record.account, record.provider, record.provider_message_id)
        if isinstance(record, MessageSent)
        else record.event_id
    )
    raw = header(source.record.headers, "source")
    context = Context(event_id, source.record.timestamp, source.traceparent, source=raw)
    batch.send(topic, record, context, key=home)
    return True


def _is_astray(source: Admitted, record: ContactInput, partitions: int) -> bool:
    # Only these are written by others; all else is sent by our own producer.
    place = source.record
    return isinstance(record, MessageSent | LinkClick) and place.partition != partition_of(place.key, partitions)


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
