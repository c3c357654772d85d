"""contacts: the one stateful stage. Everything about one recipient meets here, in one partition.

A contact's row decides whether it may be texted; a message's row says what its sender registered.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from accounts.lists import list_of, threshold_of
from accounts.store import Accounts
from bus.batches import Batch
from bus.inbox import Admitted
from bus.tables import Stale, Table
from providers.numbers import NotANumber, to_number
from schemas.codec import Codec, CodecError
from schemas.ids import derived_id, recipient_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import (
    ContactCommand,
    InboundMessage,
    LinkClick,
    MessageSent,
    Receipt,
)
from streams import message_row, row
from streams.message_row import MessageRow
from streams.optout import words_of
from streams.recipient import Origin, Recipient, Tables
from streams.registrations import Registrations
from streams.rules import apply_click, apply_command, apply_inbound

RELEASED_AT_ONCE = 5_000
"""Messages whose reports are released in one tick: more than a worker can take in until the next."""


class Contacts:
    """Applies records to the rows of contacts and messages. The rules are in `streams.rules`.

    `wait`: seconds that a report waits for its message, in accounts that register them. `on_orphaned` is told how
    many reports went out without.
    """

    def __init__(
        self,
        codec: Codec,
        accounts: Accounts,
        contacts: Table,
        messages: Table,
        *,
        wait: float = 60.0,
        clock: Callable[[], float] = time.time,
        on_orphaned: Callable[[int], None] = lambda count: None,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        self._codec = codec
        self._accounts = accounts
        self.tables = Tables(contacts, messages)
        self._clock = clock
        self._pseudonyms = pseudonyms
        self._registrations = Registrations(accounts, wait=wait, now=self._now, on_orphaned=on_orphaned)

    def apply(self, batch: Batch, source: Admitted) -> None:
        """Apply one record of any of the inputs. Raises CodecError when it is none of ours."""
        record = self._codec.decode(source.record.value)
        origin = Origin(source.record.partition, source.record.key, source.record.timestamp, source.traceparent)
        match record:
            case Receipt(to=number):
                self._receipt(self._recipient(batch, origin, record.account, number), record)
            case InboundMessage(from_=number):
                self._inbound(self._recipient(batch, origin, record.account, number), record)
            case MessageSent(to=number):
                problem = _misplaced(record, source.record.key)
                if problem is None:
                    self._registrations.register(self._recipient(batch, origin, record.account, number), record)
                else:
                    batch.reject(source, *problem, account=record.account, provider=record.provider)
            case LinkClick(to=number):
                self._click(self._recipient(batch, origin, record.account, number), record)
            case ContactCommand(command="erase", phone_number=number):
                if self._pseudonyms is None:
                    batch.reject(source, "no_pseudonym_key", "TRACKLY_PSEUDONYM_KEY is not set", account=record.account)
                else:
                    recipient = self._recipient(batch, origin, record.account, number)
                    recipient.erase(record, self._pseudonyms.of(record.account, number))
                    if not record.list_number:
                        recipient.forget(record)
            case ContactCommand(phone_number=number):
                recipient = self._recipient(batch, origin, record.account, number)
                recipient.send(recipient.update(record.list_number, partial(apply_command, command=record)).events)
            case _:
                raise CodecError(f"a {type(record).__name__} does not belong here")

    def tick(self, batch: Batch) -> None:
        """Let the reports go out that have waited long enough for their message."""
        now = self._now()
        for partition, key in self.tables.messages.due(now, RELEASED_AT_ONCE):
            value = batch.rows(self.tables.messages).get(partition, key)
            known = message_row.from_bytes(value, self._codec) if value is not None else None
            if known is not None and known.waiting:
                receipt = known.waiting[0].receipt
                origin = Origin(partition, recipient_key(receipt.account, receipt.to or ""), now)
                recipient = self._recipient(batch, origin, receipt.account, receipt.to)
                self._registrations.release(recipient, known)

    def republish(self, batch: Batch, stale: Stale) -> None:
        """Publish a contact again whose row was written over: what was published last may be wrong too."""
        if stale.table != self.tables.contacts.name:
            return
        contact = stale.key.decode()
        account, list_number, number = contact.split(":", 2)
        if list_number:
            known = row.from_bytes(stale.value)
            event_id = derived_id("republish", contact, known.since, known.failures)
            state = known.state(account, list_number, number, event_id)
            batch.send("contacts", state, key=stale.key, event_id=event_id, at=known.since)

    def _receipt(self, recipient: Recipient, receipt: Receipt) -> None:
        # A report without a recipient does not lie in the partition of its message: it is told as it stands.
        known = None
        if receipt.to is not None:
            known = recipient.message(receipt.provider, receipt.provider_message_id)
        message = known.message if known is not None else None
        lists = self._accounts.lists_of(receipt.account)
        list_number = list_of(receipt, message, lists)
        if message is None and receipt.to is not None and self._registrations.must_wait(receipt.account, known):
            self._registrations.let_wait(recipient, receipt, list_number, known)
            return
        outcome = recipient.count(receipt, message, list_number, threshold_of(lists, list_number))
        recipient.send(outcome.events)
        if known is not None and not known.sent and outcome.tells_sent:
            after = MessageRow(since=known.since, sent=True)
            recipient.put_message(receipt.provider, receipt.provider_message_id, after)

    def _inbound(self, recipient: Recipient, inbound: InboundMessage) -> None:
        message = self._registered(recipient, inbound.provider, inbound.in_reply_to)
        lists = self._accounts.lists_of(inbound.account)
        words = words_of(self._accounts.accounts.get(inbound.account))
        of_all = inbound.opt_out_scope == "all" and lists
        for list_number in sorted(lists) if of_all else [list_of(inbound, message, lists)]:
            rule = partial(apply_inbound, inbound=inbound, list_number=list_number, words=words)
            recipient.send(recipient.update(list_number, rule).events)

    def _click(self, recipient: Recipient, click: LinkClick) -> None:
        message = self._registered(recipient, click.provider, click.provider_message_id)
        list_number = list_of(click, message, self._accounts.lists_of(click.account))
        rule = partial(apply_click, click=click, message=message, list_number=list_number)
        recipient.send(recipient.update(list_number, rule).events)

    def _registered(self, recipient: Recipient, provider: str, provider_message_id: str | None) -> MessageSent | None:
        known = None if provider_message_id is None else recipient.message(provider, provider_message_id)
        return None if known is None else known.message

    def _recipient(self, batch: Batch, origin: Origin, account: str, number: str | None) -> Recipient:
        return Recipient(batch, self.tables, self._codec, origin, account, number, self._pseudonyms)

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _misplaced(message: MessageSent, key: bytes | None) -> tuple[str, str] | None:
    """Why a registered message cannot meet its reports: reason and sentence, or None."""
    try:
        number = to_number(message.to)
    except NotANumber:
        number = ""
    if number != message.to:
        return "invalid_number", "to is not in E.164: write it with a plus and the country code, without spaces"
    if key != recipient_key(message.account, message.to):
        return "wrong_key", "the record's key is not account:to, so the message cannot meet its reports"
    return None
