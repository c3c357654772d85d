"""One recipient in a batch: its rows, and the events about it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import NamedTuple

import orjson
from msgspec.structs import replace

from accounts.brakes import Brake
from accounts.suppression import LIST_SCOPE, WHOLE_ACCOUNT
from bus.tables.table import Table
from bus.worker.batch import Batch
from bus.worker.context import Context
from schemas.codec import Codec
from schemas.ids import contact_key, derived_id, recipient_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import (
    AuditEntry,
    ClickEvent,
    ContactCommand,
    ContactState,
    DeliveryEvent,
    MessageCallback,
    RemovedEvent,
    ReplyEvent,
    RestoredEvent,
    SentEvent,
    TrackedLink,
    UnsubscribeEvent,
)
from streams import message_row, row
from streams.brakes import Brakes, Judging
from streams.erasure import erased
from streams.message_row import MessageRow, Removal, message_key
from streams.publisher import Publisher
from streams.row import ContactRow
from streams.rules import ContactChange, Event, count_message, remove_for_message, withdraw_message
from streams.rules.outcome import Cause
from streams.rules.receipts import MessageChange
from streams.rules.standing import NumberRows, Subject, change_events, says, standing

EVENT_TOPICS = {
    SentEvent: "sent",
    DeliveryEvent: "delivery",
    ReplyEvent: "reply",
    UnsubscribeEvent: "unsubscribe",
    RemovedEvent: "removed",
    RestoredEvent: "restored",
    ClickEvent: "click",
    MessageCallback: "callbacks",
}

Rule = Callable[[ContactRow | None], ContactChange]

JudgeOf = Callable[[str | None], Judging]
"""Returns the brake of a list, or of account-wide removals."""


class Origin(NamedTuple):
    """The source of events: partition and key, time in ms, trace, and when (ms) its callback was received; 0 if there
    is none or it waited by design."""

    partition: int
    key: bytes | None
    at: int
    traceparent: bytes | None = None
    received_at: int = 0


class Tables(NamedTuple):
    """The stage's tables, in the order they are written: a message's row must not say that a report was counted before
    the contact's row does."""

    contacts: Table
    messages: Table
    brakes: Table


class Shared(NamedTuple):
    """What all recipients of the stage have in common. `pseudonyms` are the names under which erased numbers stay
    removed."""

    tables: Tables
    codec: Codec
    publisher: Publisher
    pseudonyms: Pseudonyms | None


class Recipient:
    """Reads and writes the rows of an account's number through a batch. `number` may be None.

    `lists` are the account's list numbers; each is combined with the account-wide row.
    """

    is_erased = False
    """Whether `number` is the pseudonym of an erased one."""

    __slots__ = (
        "_batch",
        "_codec",
        "_contacts",
        "_messages",
        "_pseudonyms",
        "_publisher",
        "account",
        "lists",
        "number",
        "origin",
    )  # fmt: skip

    def __init__(
        self,
        batch: Batch,
        shared: Shared,
        origin: Origin,
        account: str,
        number: str | None,
        lists: Collection[str],
    ) -> None:
        self._batch = batch
        self._publisher = shared.publisher
        self.lists = lists
        self._contacts = batch.rows(shared.tables.contacts)
        self._messages = batch.rows(shared.tables.messages)
        self._codec = shared.codec
        self.origin = origin
        self._pseudonyms = shared.pseudonyms
        self.account = account
        self.number = number

    @property
    def erased_at(self) -> int:
        """When the number was erased (ms); 0 if it was not."""
        pseudonym = self._pseudonym()
        if pseudonym is None:
            return 0
        mark = contact_key(self.account, "", pseudonym).encode()
        value = self._contacts.get(self.origin.partition, mark)
        return 0 if value is None else row.from_bytes(value).erased_at

    def contact(self, list_number: str | None) -> ContactRow | None:
        """Return the row on a list or, without one, the account-wide row, which also has replies and clicks without a
        list.

        For an erased number, what the erasure left.
        """
        value = self._contacts.get(self.origin.partition, self._contact_key(list_number))
        if value is None and (pseudonym := self._pseudonym()) is not None:
            suppressed = contact_key(self.account, list_number or "", pseudonym).encode()
            value = self._contacts.get(self.origin.partition, suppressed)
        return None if value is None else row.from_bytes(value)

    def is_recorded(self, list_number: str | None) -> bool:
        """Whether there is a row under the number itself, on a list or account-wide: for an erased one, a new one."""
        return self._contacts.get(self.origin.partition, self._contact_key(list_number)) is not None

    def _pseudonym(self) -> str | None:
        """Return the pseudonym under which the number may be recorded; None if none is in its partition."""
        if self._pseudonyms is None or self.number is None:
            return None
        if not self._contacts.count(self.origin.partition, row.ERASED):
            return None
        return self._pseudonyms.of(self.account, self.number)

    def consented_since(self, at: int) -> list[str]:
        """Return the lists on which the contact consented to be texted after `at` (ms)."""
        rows = {each: self.contact(each) for each in self.lists}
        return [each for each, row in rows.items() if row is not None and row.consented_at > at]

    def update(self, list_number: str | None, rule: Rule) -> ContactRow:
        """Apply a rule to the row on a list, or account-wide, and send its events. Returns the row."""
        known = self.contact(list_number)
        outcome = rule(known)
        after = outcome.row
        if not self._keeps(known, after):
            return after
        if after is not known and not (known is None and after == ContactRow(since=after.since)):
            self._contacts.put(self.origin.partition, self._contact_key(list_number), row.to_bytes(after))
        if after.held is not None and (known is None or known.held is None):
            self._batch.held[after.held.reason] += 1
        self.send(outcome.events)
        if outcome.cause is not None and says(known) != says(after):
            last = outcome.events[-1].event_id if outcome.events else outcome.cause.told
            self.send(self._events_of(list_number, known, after, outcome.cause, last))
        return after

    def remove(self, list_number: str | None, rule: Rule) -> None:
        """Apply a rule by which the contact asks not to be texted, to all whom it reaches."""
        for each in self.reached:
            if each._counts_on(list_number):
                each.update(list_number, rule)

    @property
    def reached(self) -> tuple[Recipient, ...]:
        """Those for whom messages and wishes count; this one is first."""
        return (self,)

    def _counts_on(self, list_number: str | None) -> bool:
        """Whether messages and wishes count on a list, or account-wide."""
        return True

    def _keeps(self, known: ContactRow | None, after: ContactRow) -> bool:
        """Whether the row that a rule returned is recorded and reported."""
        return True

    @property
    def goes_by(self) -> str | None:
        """Return the number of the person known here by a channel's id; None if it is unknown."""
        whole = None if self.number is None or self.number.startswith("+") else self.contact(None)
        return None if whole is None else whole.known_as

    def order(self, order: ContactCommand) -> None:
        """Send a command about another name of the same person, which may be in another partition."""
        key = recipient_key(order.account, order.phone_number)
        context = Context(order.event_id, self.origin.at or order.issued_at, self.origin.traceparent)
        self._batch.send("commands", order, context, key=key)

    def publish(self, list_number: str | None, event_id: str) -> None:
        """Publish the state on a list, or account-wide, according to the rows; `event_id` is that of the cause."""
        if self.number is None:
            return
        whole = self.contact(None)
        own = self.contact(list_number) if list_number is not None else whole
        place = Subject(self.account, list_number, self.number)
        self.send([standing(NumberRows(own, whole if list_number is not None else None), place, event_id)])

    def erase(self, order: ContactCommand, pseudonym: str) -> None:
        """Carry out a command to erase the number from a list: row and state are deleted; a removal remains."""
        if order.list_number:
            value = self._contacts.get(self.origin.partition, self._contact_key(order.list_number))
            known = None if value is None else row.from_bytes(value)
        else:
            known = self.contact(None)
        erasure = erased(known, order, pseudonym, self.origin.at or order.issued_at)
        for contact, after in erasure.rows.items():
            self._contacts.put(self.origin.partition, contact.encode(), None if after is None else row.to_bytes(after))
        for contact, state in erasure.states.items():
            if state is None:
                self._publisher.withdraw(self._batch, self.origin.partition, contact.encode())
            else:
                self._publish(contact, state, derived_id(order.event_id, contact), order.issued_at)

    def drop(self, order: ContactCommand) -> None:
        """Delete what is recorded under an old spelling of the number, as written in the command."""
        contact = f"{order.account}:{order.list_number}:{order.phone_number}".encode()
        self._contacts.put(self.origin.partition, contact, None)
        self._publisher.withdraw(self._batch, self.origin.partition, contact)

    def forget(self, order: ContactCommand) -> None:
        """Carry out a command to erase the number's data outside of lists: its place, messages, and their links.

        Rows of links are in their click ids' partitions, so the command is forwarded to each of them.
        """
        partition, owner = self.origin.partition, recipient_key(order.account, order.phone_number)
        for key in self._messages.keys_of(partition, owner):
            self._messages.put(partition, key, None)
        self._batch.delete("places", owner, partition=partition)
        self._batch.send_to_all("links", order, Context(order.event_id, order.issued_at, self.origin.traceparent))

    def count(
        self,
        change: MessageChange,
        list_number: str | None,
        threshold: int,
        is_everywhere: Callable[[Removal], bool],
        judge_of: JudgeOf,
    ) -> MessageRow:
        """Count a changed message for the contact on a list, and uncount it on the previous one if that differs.

        `is_everywhere` says which removals are account-wide; `judge_of` returns the brakes. Returns the message's row
        with the list. Without a list nothing is counted, and without a recipient no contact is touched.
        """
        before, after = change.before, change.after
        if self.number is None:
            return after
        moves = list_number is not None and before.list_number != list_number
        removals = after.removals if moves else after.removals[len(before.removals) :]
        everywhere = [removal for removal in removals if is_everywhere(removal)]
        if everywhere and self._counts_on(None):
            self._braked(None, judge_of, partial(remove_for_message, change=change, removals=everywhere))
        if list_number is None or not self._counts_on(list_number):
            return after
        removals = tuple(removal for removal in removals if removal not in everywhere)
        count = partial(count_message, change=change, removals=removals, threshold=threshold)
        # In this order: after a crash in between, the message is still where it was and is moved again.
        self._braked(list_number, judge_of, count)
        if moves and before.list_number is not None and self._counts_on(before.list_number):
            self.update(before.list_number, partial(withdraw_message, change=change))
        return replace(after, list_number=list_number) if moves else after

    def judge(self, brakes: Brakes, list_number: str | None, setting: Brake) -> Judging:
        """Return the brake of a list, or of account-wide removals, as this batch sees it."""
        return brakes.judge(self._batch, self.origin.partition, self.account, list_number, setting, self.lists)

    def _braked(self, list_number: str | None, judge_of: JudgeOf, rule: Callable[..., ContactChange]) -> None:
        """Apply a rule whose removals a brake may hold, and report when it does."""
        judge = judge_of(list_number)
        self.update(list_number, partial(rule, judge=judge))
        if judge.engaged is not None:
            context = Context(judge.engaged.event_id, judge.engaged.timestamp, self.origin.traceparent)
            self._batch.send("alerts", judge.engaged, context, key=self.account.encode())

    def message(self, provider: str, provider_message_id: str) -> MessageRow | None:
        """Return a message's row."""
        key = message_key(self.account, provider, provider_message_id)
        value = self._messages.get(self.origin.partition, key)
        return None if value is None else message_row.from_bytes(value, self._codec)

    def put_message(self, provider: str, provider_message_id: str, after: MessageRow) -> None:
        """Write a message's row."""
        key = message_key(self.account, provider, provider_message_id)
        self._messages.put(self.origin.partition, key, message_row.to_bytes(after, self._codec))

    def send(self, events: Iterable[Event | ContactState]) -> None:
        """Send events, in order."""
        origin = self.origin
        for event in events:
            match event:
                case ContactState():
                    # An account-wide change affects several states at once.
                    of_many = () if event.scope == LIST_SCOPE else (event.list_number,)
                    event_id = derived_id(event.last_event_id, "contact", *of_many)
                    self._publish(event.contact, event, event_id, origin.at)
                case TrackedLink():
                    context = Context(event.event_id, event.registered_at, origin.traceparent)
                    self._batch.send("links", event, context, key=event.click_id.encode())
                case _:
                    # Events share their source's key and partition count, and so its partition.
                    context = Context(
                        event.event_id, event.timestamp, origin.traceparent, received_at=origin.received_at
                    )
                    topic = EVENT_TOPICS[type(event)]
                    self._batch.send(topic, event, context, key=origin.key, partition=origin.partition)

    def tell_void(self, order: ContactCommand, row: ContactRow, at: int) -> None:
        """Record in the audit log that a command had no effect: the contact was removed after it was issued."""
        details = {
            "list": order.list_number,
            "note": "the contact was removed after this order, and stays removed",
            "order": order.event_id,
            "reason": row.reason,
            "removed_at": row.removed_at,
        }
        entry = AuditEntry(
            event_id=derived_id(order.event_id, "void"),
            account=order.account,
            actor=order.issued_by or "",
            action=f"contact.{order.command}",
            object=order.phone_number,
            details=orjson.dumps(details).decode(),
            remote_ip="",
            request_id="",
            outcome="refused",
            at=at,
        )
        self._batch.send("audit", entry, Context(entry.event_id, at), key=order.account.encode())

    def _publish(self, contact: str, state: ContactState, event_id: str, at: int) -> None:
        context = Context(event_id, at, self.origin.traceparent)
        self._publisher.publish(self._batch, self.origin.partition, contact.encode(), state, context)

    def _events_of(
        self, list_number: str | None, known: ContactRow | None, after: ContactRow, cause: Cause, last: str
    ) -> list[Event | ContactState]:
        """Return the events for a row that says something new."""
        if self.number is None:
            return []
        was_active = known is None or known.active
        at = after.since if was_active != after.active else cause.at
        if list_number is not None:
            whole = self.contact(None)
            place = Subject(self.account, list_number, self.number)
            return change_events(NumberRows(known, whole), NumberRows(after, whole), place, cause, at, last)
        events: list[Event | ContactState] = []
        for each in sorted(self.lists) or (None,):
            own = None if each is None else self.contact(each)
            place = Subject(self.account, each, self.number, is_whole=True)
            events += change_events(NumberRows(own, known), NumberRows(own, after), place, cause, at, last)
        return [*events, after.state(self.account, WHOLE_ACCOUNT, self.number, last)]

    def _contact_key(self, list_number: str | None) -> bytes:
        return contact_key(self.account, list_number or "", self.number or "").encode()
