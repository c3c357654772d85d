"""contacts: the one stateful stage. Everything about one recipient arrives here, in one partition.

A contact's row decides whether it may be texted; a message's row keeps the sender's registration.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from msgspec.structs import replace

from accounts.lists import Belonging, list_of, receivers_of
from accounts.model import Accounts
from bus.clock import now_seconds
from bus.tables.table import Stale
from bus.worker.batch import Batch
from bus.worker.inbox import Admitted
from providers.bounds import MAX_ID
from providers.numbers import NotANumber, to_number
from schemas.codec import Codec, CodecError
from schemas.ids import contact_key, recipient_key
from schemas.numbering import canonical
from schemas.pseudonyms import Pseudonyms
from schemas.records import (
    CONFIRM,
    PASS_ON,
    RELEASE,
    ContactCommand,
    InboundMessage,
    LinkClick,
    MessageSent,
    Receipt,
)
from streams import message_row, people
from streams.brakes import Brakes
from streams.copied import written_at
from streams.hidden import ComeBack, Hidden
from streams.home import ContactInput, sent_home
from streams.message_row import MessageRow
from streams.optout import names_of, words_of
from streams.publisher import Publisher
from streams.recipient import Origin, Recipient, Rule, Shared, Tables
from streams.registrations import Registrations
from streams.row import HELD, RULED, STEP_MS, step_of
from streams.rules import (
    REMOVALS,
    WISHES,
    apply_click,
    apply_command,
    apply_opt_out,
    apply_reassigned,
    apply_receipt,
    apply_reply,
    blocks,
    cause_of,
    come_back,
    happened_at,
    is_dated,
    is_reassigned,
    is_repeated,
    is_restoring,
    is_void,
    message_events,
    message_name,
    ordered_by,
    reach_of,
    read_reply,
    receiver_of,
    reported_by,
    start_again,
)
from streams.rules.inbound import Reading
from streams.rules.outcome import time_of
from streams.rules.receipts import MessageChange
from streams.rules.states import report_of

MAX_MESSAGE_BYTES = 768 << 10
"""Maximum bytes of a registered message on its topic."""

REMOVALS_MS = 8 * 86_400_000
"""How long removals by rules stay counted: callbacks stay on their topic for 7 days."""

RELEASED_AT_ONCE = 5_000
"""Messages whose reports are released per tick: more than a worker can receive between ticks."""


class Contacts:
    """Applies records to the rows of contacts and messages. The rules are in `streams.rules`.

    `wait`: seconds that a report waits for its message, in accounts that register messages. `on_orphaned` gets the
    number of reports sent without their message. `partitions` are those of the topics keyed by recipient.
    """

    def __init__(
        self,
        codec: Codec,
        accounts: Accounts,
        tables: Tables,
        *,
        partitions: int = 1,
        wait: float = 60.0,
        clock: Callable[[], float] = now_seconds,
        on_orphaned: Callable[[int], None] = lambda count: None,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        self._codec = codec
        self._accounts = accounts
        self.tables = tables
        self._partitions = partitions
        self._brakes = Brakes(tables.brakes, tables.contacts, partitions)
        self._clock = clock
        self._pseudonyms = pseudonyms
        self._publisher = Publisher(tables.contacts, self._now)
        self._shared = Shared(tables, codec, self._publisher, pseudonyms)
        self._registrations = Registrations(accounts, self._brakes, wait=wait, now=self._now, on_orphaned=on_orphaned)

    def apply(self, batch: Batch, source: Admitted) -> None:
        """Apply one record of any input. Raises CodecError for an unexpected one."""
        record = self._codec.decode(source.record.value)
        if isinstance(record, ContactCommand) and record.command == PASS_ON:
            record = people.passed_on(record, self._codec)
        if not isinstance(record, ContactInput):
            raise CodecError(f"unexpected record: {type(record).__name__}")
        record = _bounded(record, source.record.timestamp)
        if sent_home(batch, source, record, self._partitions):
            return
        origin = _origin(source, record)
        if not isinstance(record, ContactCommand) and self._take_as_erased(batch, origin, record):
            return
        if isinstance(record, MessageSent):
            self._register(batch, source, origin, record)
        elif isinstance(record, ContactCommand) and record.command in (CONFIRM, RELEASE):
            self._brakes.decide(batch, source, record)
        else:
            recipient = self._recipient(batch, origin, record.account, people.name_of(record))
            self._apply_to(recipient, batch, source, record)

    def _apply_to(
        self, recipient: Recipient, batch: Batch, source: Admitted, record: people.Named | ContactCommand
    ) -> None:
        if people.pass_on(recipient, record, self._codec):
            return
        match record:
            case Receipt():
                people.learn(recipient, record)
                self._receipt(recipient, record)
            case InboundMessage():
                people.learn(recipient, record)
                self._inbound(recipient, record)
            case LinkClick():
                self._click(recipient, record)
            case ContactCommand():
                self._take_order(batch, source, recipient, record)

    def _register(self, batch: Batch, source: Admitted, origin: Origin, message: MessageSent) -> None:
        problem = _misplaced(message, source.record.key) or _too_large(message, len(source.record.value))
        if problem is not None:
            batch.reject(source, *problem, account=message.account, provider=message.provider)
            return
        recipient = self._recipient(batch, origin, message.account, message.to)
        for opt_out in self._registrations.register(recipient, message):
            self._opt_out_again(recipient, replace(opt_out, from_=message.to))

    def _take_order(self, batch: Batch, source: Admitted, recipient: Recipient, order: ContactCommand) -> None:
        match order.command:
            case "erase":
                if self._pseudonyms is None:
                    batch.reject(source, "no_pseudonym_key", "TRACKLY_PSEUDONYM_KEY is not set", account=order.account)
                    return
                people.erase_others(recipient, order)
                recipient.erase(order, self._pseudonyms.of(order.account, order.phone_number))
                if not order.list_number:
                    recipient.forget(order)
            case "drop" if canonical(order.phone_number) == order.phone_number:
                batch.reject(source, "invalid_number", "phone_number is not an old spelling", account=order.account)
            case "drop":
                recipient.drop(order)
            case "join":
                people.join(recipient, order)
            case "follow":
                people.follow(recipient, order)
            case "settle":
                people.settle(recipient, order)
            case _:
                if is_dated(order) and self._pseudonyms is not None and recipient.erased_at:
                    pseudonym = self._pseudonyms.of(order.account, order.phone_number)
                    hidden = self._hidden(recipient, batch, pseudonym)
                    self._order(hidden, order)
                    # Rows under the number itself outrank those of the pseudonym.
                    if not recipient.is_recorded(order.list_number or None):
                        return
                self._order(recipient, order)

    def tick(self, batch: Batch) -> None:
        """Release reports that have waited long enough for their message; republish what may have been overtaken; carry
        out decisions about held removals."""
        self._publisher.tick(batch)
        now = self._now()
        for partition, key in self.tables.messages.due(now, RELEASED_AT_ONCE):
            value = batch.rows(self.tables.messages).get(partition, key)
            known = message_row.from_bytes(value, self._codec) if value is not None else None
            if known is not None and known.waiting:
                receipt = known.waiting[0].receipt
                origin = Origin(partition, recipient_key(receipt.account, receipt.to or ""), now)
                recipient = self._recipient(batch, origin, receipt.account, receipt.to)
                self._registrations.release(recipient, known)
        self._brakes.carry_out(batch, now, self._decided)

    def _decided(self, batch: Batch, partition: int, contact: bytes, at: int, rule: Rule) -> None:
        account, list_number, number = contact.decode().split(":", 2)
        origin = Origin(partition, recipient_key(account, number), at)
        self._recipient(batch, origin, account, number).update(list_number or None, rule)

    def forget_removals(self) -> None:
        """Forget the counts of removals by rules for hours in which no more reports can arrive."""
        oldest = (self._now() - REMOVALS_MS) // STEP_MS
        self.tables.contacts.forget_counts(RULED, lambda label: step_of(label) < oldest)

    def held(self) -> int:
        """Number of held contacts in this worker's partitions."""
        return self.tables.contacts.counts(HELD)

    def republish(self, batch: Batch, stale: Stale) -> None:
        """Republish a contact whose row was overwritten: the last published state may be wrong too."""
        if stale.table == self.tables.contacts.name:
            account, list_number, number = stale.key.decode().split(":", 2)
            self._publisher.again(batch, stale.partition, stale.key)
            for each in () if list_number else self._accounts.lists_of(account):
                self._publisher.again(batch, stale.partition, contact_key(account, each, number).encode())

    def _take_as_erased(self, batch: Batch, origin: Origin, record: people.Named | MessageSent) -> bool:
        """Handle a record from before its number was erased, so that it brings nothing back; False for any other.

        A late opt-out or complaint still removes, under the number's pseudonym, and sends no events. If the number has
        come back since, it removes it too: it may be new, and the provider's clock behind. That a number was dead then
        says nothing about one that has come back.
        """
        number = record.from_ if isinstance(record, InboundMessage) else record.to
        if self._pseudonyms is None or number is None:
            return False
        if isinstance(record, MessageSent):
            at = record.sent_at
        else:
            at = report_of(record).at if isinstance(record, Receipt) else time_of(record)
        recipient = self._recipient(batch, origin, record.account, number)
        erased_at = recipient.erased_at
        if not erased_at or (at > erased_at and not (isinstance(record, InboundMessage) and is_reassigned(record))):
            return False
        pseudonym = self._pseudonyms.of(record.account, number)
        if isinstance(record, Receipt) and record.status_class in REMOVALS:
            is_wish = REMOVALS[record.status_class] in WISHES
            hidden = self._hidden(recipient, batch, pseudonym, has_come_back=is_wish)
            self._receipt(hidden, replace(record, to=pseudonym))
        elif isinstance(record, InboundMessage):
            self._inbound(self._hidden(recipient, batch, pseudonym), replace(record, from_=pseudonym))
        return True

    def _order(self, recipient: Recipient, order: ContactCommand) -> None:
        at = recipient.origin.at or order.issued_at
        list_number = order.list_number or None
        before = recipient.contact(list_number)
        if list_number is not None and is_restoring(before, order, at):
            # In this order: the record that the command was carried out comes last.
            cause = ordered_by(order, at)
            recipient.update(None, partial(come_back, list_number=list_number, cause=cause, is_ordered=True))
        consented: Collection[str] = ()
        if is_dated(order) and not list_number:
            consented = recipient.consented_since(happened_at(order, at))
        after = recipient.update(list_number, partial(apply_command, command=order, at=at, consented=consented))
        whole = recipient.contact(None)
        if whole is not None and list_number is not None and after.may_be_texted and blocks(whole, list_number):
            after = whole
        if is_void(before, after, order):
            recipient.tell_void(order, after, at)

    def _receipt(self, recipient: Recipient, receipt: Receipt) -> None:
        # A report without a recipient is not in its message's partition, so it is passed on as it is.
        known = None
        if receipt.to is not None:
            known = recipient.message(receipt.provider, receipt.provider_message_id)
        before = known or MessageRow(since=self._now())
        belongs = list_of(receipt, before.message, self._accounts.known_lists(receipt.account))
        if belongs.list_number is None and before.list_number is not None:
            belongs = Belonging(belongs.name or before.list_number, before.list_number, not receivers_of(receipt))
        must_wait = before.message is None and receipt.to is not None and not recipient.is_erased
        if must_wait and self._registrations.must_wait(receipt.account, known):
            self._registrations.let_wait(recipient, receipt, belongs, before)
            return
        after = apply_receipt(before, receipt)
        if after is before and before.list_number == belongs.list_number:
            return
        told = message_events(before, after, receipt, belongs.name)
        recipient.send(told)
        name = message_name(receipt.provider, receipt.provider_message_id)
        change = MessageChange(name, before, after, reported_by(receipt, before.message, told))
        after = self._registrations.count(recipient, change, belongs)
        if receipt.to is not None and after is not before:
            row = replace(after, since=self._now())
            recipient.put_message(receipt.provider, receipt.provider_message_id, row)

    def _inbound(self, recipient: Recipient, inbound: InboundMessage, *, spared: Collection[str] = ()) -> None:
        """Apply a reply or an opt-out; an opt-out spares these lists."""
        if is_reassigned(inbound):
            consented = recipient.consented_since(time_of(inbound))
            recipient.remove(None, partial(apply_reassigned, inbound=inbound, consented=consented))
            return
        message = self._registered(recipient, inbound.provider, inbound.in_reply_to)
        account = self._accounts.accounts.get(inbound.account)
        belongs = list_of(inbound, message, self._accounts.known_lists(inbound.account))
        reading = read_reply(inbound, words_of(account), names_of(account))
        if reading.reason is not None:
            reach = reach_of(inbound, reading.reason, belongs, account)
            if reach.list_number in spared:
                return
            rule = partial(apply_opt_out, inbound=inbound, reading=reading, receiver=reach.receiver, consented=spared)
            recipient.remove(reach.list_number, rule)
            if message is None:
                self._registrations.keep(recipient, inbound, reading.keyword)
        elif not is_repeated(recipient.contact(belongs.list_number), inbound):
            self._reply(recipient, inbound, reading, belongs)

    def _reply(self, recipient: Recipient, inbound: InboundMessage, reading: Reading, belongs: Belonging) -> None:
        cause = cause_of(inbound)
        # In this order: the record that a reply was applied comes last.
        if reading.opts_in and belongs.is_certain and belongs.list_number is not None:
            recipient.update(None, partial(come_back, list_number=belongs.list_number, cause=cause, is_ordered=False))
        elif reading.opts_in:
            recipient.update(None, partial(start_again, receiver=receiver_of(inbound), cause=cause))
        replies = partial(
            apply_reply, inbound=inbound, reading=reading, list_name=belongs.name, is_certain=belongs.is_certain
        )
        recipient.update(belongs.list_number, replies)

    def _opt_out_again(self, recipient: Recipient, inbound: InboundMessage) -> None:
        """Apply an opt-out to the list of the message that it answers, which is registered only now. It spares what the
        contact has consented to since: a list or, if it was sent to none, every list."""
        at = time_of(inbound)
        place = list_of(inbound, None, self._accounts.known_lists(inbound.account)).list_number
        whole = recipient.contact(None) if place is None else None
        if whole is None or whole.consented_at <= at:
            self._inbound(recipient, inbound, spared=recipient.consented_since(at))

    def _click(self, recipient: Recipient, click: LinkClick) -> None:
        message = self._registered(recipient, click.provider, click.provider_message_id)
        belongs = list_of(click, message, self._accounts.known_lists(click.account))
        recipient.update(
            belongs.list_number, partial(apply_click, click=click, message=message, list_number=belongs.name)
        )

    def _registered(self, recipient: Recipient, provider: str, provider_message_id: str | None) -> MessageSent | None:
        known = None if provider_message_id is None else recipient.message(provider, provider_message_id)
        return None if known is None else known.message

    def _recipient(self, batch: Batch, origin: Origin, account: str, number: str | None) -> Recipient:
        lists = self._accounts.lists_of(account)
        return Recipient(batch, self._shared, origin, account, number, lists)

    def _hidden(self, erased: Recipient, batch: Batch, pseudonym: str, *, has_come_back: bool = True) -> Hidden:
        """Return an erased number's pseudonym. Wishes reach the number itself as well, where it `has_come_back`."""
        about = batch, self._shared, erased.origin, erased.account
        come_back = ComeBack(*about, erased.number, erased.lists) if has_come_back else None
        return Hidden(*about, pseudonym, erased.lists, come_back)

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _too_large(message: MessageSent, size: int) -> tuple[str, str] | None:
    """Return why a registration is too large (reason and sentence), or None.

    It is sent again with each of its reports, in other forms, none of which may get lost for its size.
    """
    if size > MAX_MESSAGE_BYTES:
        return "too_large", f"the record has {size} bytes; a registered message may have at most {MAX_MESSAGE_BYTES}"
    if len(message.provider_message_id) > MAX_ID:
        return "too_large", f"provider_message_id has more than {MAX_ID} characters, so no report can match it"
    return None


def _bounded(record: ContactInput, stored_at: int) -> ContactInput:
    """Return the record with its receipt time no later than its time (ms) on the topic, because ingest's clock may run
    ahead."""
    if isinstance(record, people.Named) and 0 < stored_at < record.received_at:
        return replace(record, received_at=stored_at)
    return record


def _origin(source: Admitted, record: ContactInput) -> Origin:
    """Return the source of what follows from a record."""
    received_at = record.received_at if isinstance(record, people.Named) else 0
    raw = source.record
    at = written_at(raw) if isinstance(record, ContactCommand) else raw.timestamp
    return Origin(raw.partition, raw.key, at, source.traceparent, received_at)


def _misplaced(message: MessageSent, key: bytes | None) -> tuple[str, str] | None:
    """Return why a registered message cannot be matched to its reports (reason and sentence), or None."""
    try:
        number = to_number(message.to)
    except NotANumber:
        number = ""
    if number != message.to:
        return "invalid_number", "to is not in E.164: write a plus and the country code, without spaces"
    if key != recipient_key(message.account, message.to):
        return "wrong_key", "the record's key is not account:to, so reports cannot find the message"
    return None
