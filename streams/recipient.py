"""One recipient in a batch: its rows, and the events about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from bus.batches import Batch
from bus.tables import Table
from schemas.codec import Codec
from schemas.ids import contact_key, derived_id, recipient_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import (
    ClickEvent,
    ContactCommand,
    ContactState,
    DeliveryEvent,
    MessageCallback,
    MessageSent,
    Receipt,
    ReplyEvent,
    SentEvent,
    TrackedLink,
    UnsubscribeEvent,
)
from streams import message_row, row
from streams.erasure import erased
from streams.message_row import MessageRow, message_key
from streams.row import ContactRow
from streams.rules import Event, Outcome, apply_receipt

EVENT_TOPICS = {
    SentEvent: "sent",
    DeliveryEvent: "delivery",
    ReplyEvent: "reply",
    UnsubscribeEvent: "unsubscribe",
    ClickEvent: "click",
    MessageCallback: "callbacks",
}

Rule = Callable[[ContactRow | None], Outcome]


class Origin(NamedTuple):
    """What events go back to: partition and key of the source, its time in ms and its trace."""

    partition: int
    key: bytes | None
    at: int
    traceparent: bytes | None = None


class Tables(NamedTuple):
    """The tables of the stage. In this order they are given to `batches`: a message's row must not say that a report
    was counted before the contact's row does."""

    contacts: Table
    messages: Table


class Recipient:
    """Reads and writes the rows of one number of an account through a batch. `number` is None where none is named.

    `pseudonyms` tell under which name an erased number is still known as removed.
    """

    __slots__ = ("_batch", "_codec", "_contacts", "_messages", "_origin", "_pseudonyms", "account", "number")

    def __init__(
        self,
        batch: Batch,
        tables: Tables,
        codec: Codec,
        origin: Origin,
        account: str,
        number: str | None,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        self._batch = batch
        self._contacts = batch.rows(tables.contacts)
        self._messages = batch.rows(tables.messages)
        self._codec = codec
        self._origin = origin
        self._pseudonyms = pseudonyms
        self.account = account
        self.number = number

    def contact(self, list_number: str | None) -> ContactRow | None:
        """The row on a list; without a list, the one where states of messages are kept that belong to none.

        Of a number that was erased, what the erasure left.
        """
        value = self._contacts.get(self._origin.partition, self._contact_key(list_number))
        if value is None and self._pseudonyms is not None and self.number is not None:
            pseudonym = self._pseudonyms.of(self.account, self.number)
            suppressed = contact_key(self.account, list_number or "", pseudonym).encode()
            value = self._contacts.get(self._origin.partition, suppressed)
        return None if value is None else row.from_bytes(value)

    def update(self, list_number: str | None, rule: Rule) -> Outcome:
        """Apply a rule to the row on a list. The events are the caller's to send."""
        known = self.contact(list_number)
        outcome = rule(known)
        if outcome.row is not known:
            self._contacts.put(self._origin.partition, self._contact_key(list_number), row.to_bytes(outcome.row))
        return outcome

    def erase(self, order: ContactCommand, pseudonym: str) -> None:
        """Carry out an order to erase the number from a list: its row and its state go, that it was removed stays."""
        value = self._contacts.get(self._origin.partition, self._contact_key(order.list_number))
        erasure = erased(None if value is None else row.from_bytes(value), order, pseudonym)
        for contact, after in erasure.rows.items():
            self._contacts.put(self._origin.partition, contact.encode(), None if after is None else row.to_bytes(after))
        for contact, state in erasure.states.items():
            self._batch.send("contacts", state, key=contact.encode(), event_id=derived_id(order.event_id, contact),
                             at=order.issued_at, traceparent=self._origin.traceparent)  # fmt: skip

    def forget(self, order: ContactCommand) -> None:
        """Carry out an order to erase what is known of the number on no list: its messages, and the links in them.

        Rows of links lie in the partitions of their click ids: the order goes on to each of these.
        """
        partition, owner = self._origin.partition, recipient_key(order.account, order.phone_number)
        for key in self._messages.keys_of(partition, owner):
            self._messages.put(partition, key, None)
        self._batch.send_to_all("links", order, event_id=order.event_id, at=order.issued_at,
                                traceparent=self._origin.traceparent)  # fmt: skip

    def count(self, receipt: Receipt, message: MessageSent | None, list_number: str | None, threshold: int) -> Outcome:
        """Apply a delivery receipt to the row on a list. One that names no recipient has no row."""
        if self.number is None:
            return apply_receipt(None, receipt, message, None, threshold)
        return self.update(list_number, lambda known: apply_receipt(known, receipt, message, list_number, threshold))

    def message(self, provider: str, provider_message_id: str) -> MessageRow | None:
        """The row of a message."""
        key = message_key(self.account, provider, provider_message_id)
        value = self._messages.get(self._origin.partition, key)
        return None if value is None else message_row.from_bytes(value, self._codec)

    def put_message(self, provider: str, provider_message_id: str, after: MessageRow) -> None:
        """Write the row of a message."""
        key = message_key(self.account, provider, provider_message_id)
        self._messages.put(self._origin.partition, key, message_row.to_bytes(after, self._codec))

    def send(self, events: Iterable[Event | ContactState]) -> None:
        """Send events, in order."""
        origin = self._origin
        for event in events:
            match event:
                case ContactState():
                    self._batch.send("contacts", event, key=event.contact.encode(),
                                     event_id=derived_id(event.last_event_id, "contact"), at=origin.at,
                                     traceparent=origin.traceparent)  # fmt: skip
                case TrackedLink():
                    self._batch.send("links", event, key=event.click_id.encode(), event_id=event.event_id,
                                     at=event.registered_at, traceparent=origin.traceparent)  # fmt: skip
                case _:
                    # Events share the partition count and the key of their source: its partition is theirs.
                    self._batch.send(EVENT_TOPICS[type(event)], event, key=origin.key, event_id=event.event_id,
                                     at=event.timestamp, partition=origin.partition,
                                     traceparent=origin.traceparent)  # fmt: skip

    def _contact_key(self, list_number: str | None) -> bytes:
        return contact_key(self.account, list_number or "", self.number or "").encode()
