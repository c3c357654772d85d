"""contacts: the one stateful stage. Everything about one recipient meets here, in one partition and one row."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from accounts.store import Accounts
from bus.batches import Batch, Rows
from bus.inbox import Admitted
from bus.tables import Stale, Table
from schemas.codec import Codec, CodecError
from schemas.ids import contact_key, derived_id
from schemas.pseudonyms import Pseudonyms
from schemas.records import (
    ContactCommand,
    ContactState,
    DeliveryEvent,
    InboundMessage,
    ListConfig,
    MessageSent,
    Receipt,
    ReplyEvent,
    UnsubscribeEvent,
)
from streams import row
from streams.erasure import erased
from streams.optout import OptOutWords
from streams.rules import Outcome, apply_command, apply_inbound, apply_receipt, list_of

DEFAULT_THRESHOLD = 3
"""Failed messages in a row that remove a contact from a list that has no setting of its own."""

EVENT_TOPICS = {
    DeliveryEvent: "delivery",
    ReplyEvent: "reply",
    UnsubscribeEvent: "unsubscribe",
    ContactState: "contacts",
}


_Rule = Callable[[row.ContactRow | None], Outcome]


class Contacts:
    """Applies records to the rows of contacts and messages. The rules are in `streams.rules`."""

    def __init__(
        self,
        codec: Codec,
        accounts: Accounts,
        words: OptOutWords,
        contacts: Table,
        messages: Table,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        self._codec = codec
        self._accounts = accounts
        self._words = words
        self._contacts = contacts
        self._messages = messages
        self._pseudonyms = pseudonyms

    def apply(self, batch: Batch, source: Admitted) -> None:
        """Apply one record of any of the four inputs. Raises CodecError when it is none of ours."""
        record = self._codec.decode(source.record.value)
        match record:
            case Receipt():
                self._receipt(batch, source, record)
            case InboundMessage():
                self._inbound(batch, source, record)
            case MessageSent():
                key = message_key(record.account, record.provider, record.provider_message_id)
                batch.rows(self._messages).put(source.record.partition, key, source.record.value)
            case ContactCommand(command="erase"):
                self._erase(batch, source, record)
            case ContactCommand():
                name = contact_key(record.account, record.list_number, record.phone_number)
                self._update(batch, source, name, lambda known: apply_command(known, record))
            case _:
                raise CodecError(f"a {type(record).__name__} does not belong here")

    def republish(self, batch: Batch, stale: Stale) -> None:
        """Publish a contact again whose row was written over: what was published last may be wrong too."""
        if stale.table != self._contacts.name:
            return
        account, list_number, number = stale.key.decode().split(":", 2)
        if list_number:
            known = row.from_bytes(stale.value)
            state = ContactState(
                contact=stale.key.decode(),
                account=account,
                list_number=list_number,
                phone_number=number,
                active=known.active,
                failures=known.failures,
                reason=known.reason,
                since=known.since,
                last_event_id=derived_id("republish", stale.key.decode(), known.since, known.failures),
            )
            batch.send("contacts", state, key=stale.key, event_id=state.last_event_id, at=known.since)

    def _receipt(self, batch: Batch, source: Admitted, receipt: Receipt) -> None:
        message = self._message(batch, source, receipt.account, receipt.provider, receipt.provider_message_id)
        lists = self._accounts.lists_of(receipt.account)
        list_number = list_of(receipt, message, lists)
        threshold = _threshold(lists, list_number)
        if receipt.to is None:
            outcome = apply_receipt(None, receipt, message, None, threshold)
            self._send(batch, source, outcome)
            return
        name = contact_key(receipt.account, list_number or "", receipt.to)
        self._update(batch, source, name, lambda known: apply_receipt(known, receipt, message, list_number, threshold))

    def _inbound(self, batch: Batch, source: Admitted, inbound: InboundMessage) -> None:
        message = None
        if inbound.in_reply_to is not None:
            message = self._message(batch, source, inbound.account, inbound.provider, inbound.in_reply_to)
        lists = self._accounts.lists_of(inbound.account)
        of_all = inbound.opt_out_scope == "all" and lists
        for list_number in sorted(lists) if of_all else [list_of(inbound, message, lists)]:
            name = contact_key(inbound.account, list_number or "", inbound.from_)
            rule = partial(apply_inbound, inbound=inbound, list_number=list_number, words=self._words)
            self._update(batch, source, name, rule)

    def _message(
        self, batch: Batch, source: Admitted, account: str, provider: str, provider_message_id: str
    ) -> MessageSent | None:
        key = message_key(account, provider, provider_message_id)
        value = batch.rows(self._messages).get(source.record.partition, key)
        return None if value is None else self._codec.decode_as(MessageSent, value)

    def _update(self, batch: Batch, source: Admitted, name: str, rule: _Rule) -> None:
        rows: Rows = batch.rows(self._contacts)
        key, partition = name.encode(), source.record.partition
        value = rows.get(partition, key) or self._suppression(rows, partition, name)
        known = None if value is None else row.from_bytes(value)
        outcome = rule(known)
        self._send(batch, source, outcome)
        if outcome.row is not known:
            rows.put(partition, key, row.to_bytes(outcome.row))

    def _erase(self, batch: Batch, source: Admitted, order: ContactCommand) -> None:
        if self._pseudonyms is None:
            batch.reject(source, "no_pseudonym_key", "TRACKLY_PSEUDONYM_KEY is not set", account=order.account)
            return
        rows, partition = batch.rows(self._contacts), source.record.partition
        value = rows.get(partition, contact_key(order.account, order.list_number, order.phone_number).encode())
        pseudonym = self._pseudonyms.of(order.account, order.phone_number)
        erasure = erased(None if value is None else row.from_bytes(value), order, pseudonym)
        for contact, after in erasure.rows.items():
            rows.put(partition, contact.encode(), None if after is None else row.to_bytes(after))
        for contact, state in erasure.states.items():
            batch.send("contacts", state, key=contact.encode(), event_id=derived_id(order.event_id, contact),
                       at=order.issued_at, traceparent=source.traceparent)  # fmt: skip

    def _suppression(self, rows: Rows, partition: int, name: str) -> bytes | None:
        """What an erasure left of a contact that has no row: it was removed, and stays so."""
        if self._pseudonyms is None:
            return None
        account, list_number, number = name.split(":", 2)
        return rows.get(partition, contact_key(account, list_number, self._pseudonyms.of(account, number)).encode())

    def _send(self, batch: Batch, source: Admitted, outcome: Outcome) -> None:
        for event in outcome.events:
            if isinstance(event, ContactState):
                batch.send("contacts", event, key=event.contact.encode(),
                           event_id=derived_id(event.last_event_id, "contact"), at=source.record.timestamp,
                           traceparent=source.traceparent)  # fmt: skip
            else:
                # Events share the partition count and the key of their source: its partition is theirs.
                batch.send(EVENT_TOPICS[type(event)], event, key=source.record.key, event_id=event.event_id,
                           at=event.timestamp, partition=source.record.partition,
                           traceparent=source.traceparent)  # fmt: skip


def message_key(account: str, provider: str, provider_message_id: str) -> bytes:
    """Key of a registered message: `account:provider:provider_message_id`."""
    return f"{account}:{provider}:{provider_message_id}".encode()


def _threshold(lists: dict[str, ListConfig], list_number: str | None) -> int:
    config = lists.get(list_number or "")
    return config.retry_threshold if config is not None else DEFAULT_THRESHOLD
