"""The contacts stage against a reference model of a few lines, over random histories.

Reports, registrations, replies and orders come in any order and more than once, with restarts, lost disks, crashes
in the middle of a write, replays, and time that passes. The stage is the real one, over tables in memory.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas.records import (
    REASON_STRENGTH,
    ContactCommand,
    ContactState,
    DeliveryEvent,
    InboundMessage,
    ListConfig,
    MessageCallback,
    MessageSent,
    Receipt,
    Record,
    SentEvent,
)
from streams.message_row import MAX_WAITING
from streams.rules import REMOVALS, rank
from streams.rules.callbacks import reason_of
from streams.rules.states import says_sent
from tests.examples import examples
from tests.unit.streams.contact_records import (
    ABSENT,
    ACCEPTED,
    AT_OPERATOR,
    DELIVERED,
    ENROUTE,
    SPAM,
    START_OF_DAY,
    SYSTEM_ERROR,
    UNKNOWN_NUMBER,
    Report,
    command,
    inbound,
    message_sent,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, REGISTERING, WAIT, Stage

LISTS = {"+18005550001": 1, "+18005550002": 3}
"""Threshold by list."""

NUMBERS = ["+15550000001", "+15550000002"]
MESSAGES = [f"m{n}" for n in range(4)]
REPORTS = [ACCEPTED, ENROUTE, AT_OPERATOR, DELIVERED, ABSENT, SYSTEM_ERROR, SPAM, UNKNOWN_NUMBER]
URL = "https://crm.example/sms"

AGES = st.integers(0, 40)
AHEAD = st.sampled_from([0, 0, 0, 1_000_000_000])
"""By how much the provider's clock is ahead of ours, in ms."""

CRASHES = st.sampled_from([None, None, None, "contacts", "messages"])


def list_of(message: str) -> str:
    return sorted(LISTS)[MESSAGES.index(message) % 2]


def number_of(message: str) -> str:
    return NUMBERS[MESSAGES.index(message) // 3]


def when(record: Receipt | InboundMessage) -> int:
    """What happened is no later than we heard of it. Every record has a time of its own."""
    return min(record.occurred_at or 0, record.received_at)


def weight(report: Receipt) -> tuple[int, int]:
    """The heavier of two reports of a message is the one that counts."""
    return rank(report.status, report.status_detail, report.final), when(report)


@dataclass
class Contact:
    """Whether one contact of one list may be texted."""

    threshold: int
    counts: dict[str, Receipt] = field(default_factory=dict)
    out_for: str | None = None
    removed_for: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    removed_at: int = 0
    counted_from: int = 0

    def failures(self) -> int:
        latest = sorted(self.counts.values(), key=when, reverse=True)
        run = takewhile(lambda r: r.status_class != "delivered" and when(r) > self.counted_from, latest)
        return sum(r.status_class == "transient" for r in run)

    def report(self, report: Receipt) -> None:
        reason = REMOVALS.get(report.status_class)
        self.adopt(report, {reason: when(report)} if reason else {})

    def adopt(self, report: Receipt, removals: dict[str, int]) -> None:
        """A report, and for what and when its message removes: once each, whether or not it is its last word."""
        name = report.provider_message_id
        before, old = self.failures(), self.counts.get(name)
        if old is None or weight(report) > weight(old):
            self.counts[name] = report
        new = removals.keys() - self.removed_for[name]
        self.removed_for[name] |= new
        for reason in new:
            self.remove(reason, removals[reason])
        if not new and self.failures() >= max(self.threshold, before + 1):
            self.remove("bad_response", when(report))

    def remove(self, reason: str, at: int) -> None:
        self.removed_at = max(self.removed_at, at)
        if self.out_for is None or REASON_STRENGTH[reason] > REASON_STRENGTH[self.out_for]:
            self.out_for = reason

    def restore(self, at: int) -> None:
        if at >= self.removed_at:
            self.out_for, self.counted_from = None, max(self.counted_from, at)

    def order(self, order: str, at: int) -> None:
        if order == "remove":
            self.remove("manual", at)
        else:
            self.restore(at)


@dataclass
class Everywhere:
    """A number's account-wide state, except for lists on which it was restored (`back`)."""

    out_for: str | None = None
    removed_at: int = 0
    removed_for: set[tuple[str, str]] = field(default_factory=set)
    back: set[str] = field(default_factory=set)

    def report(self, report: Receipt) -> None:
        reason = REMOVALS.get(report.status_class)
        if reason is None or (report.provider_message_id, reason) in self.removed_for:
            return
        self.removed_for.add((report.provider_message_id, reason))
        if when(report) > self.removed_at:
            self.removed_at = when(report)
            self.back.clear()
        if self.out_for is None or REASON_STRENGTH[reason] > REASON_STRENGTH[self.out_for]:
            self.out_for = reason

    def come_back(self, list_number: str, at: int) -> None:
        """By an operator's order: a report for `message` is none of these here, so START undoes nothing."""
        if self.out_for is not None and at >= self.removed_at:
            self.back.add(list_number)


@dataclass
class Message:
    """The events of one message. `reports` are all received ones, in order; `told` and `called_back` must have been
    sent.
    """

    reports: list[Receipt] = field(default_factory=list)
    registered: MessageSent | None = None
    released: bool = False
    waits_until: float = 0.0
    told: list[tuple[str, str]] = field(default_factory=list)
    called_back: list[tuple[str, int | None]] = field(default_factory=list)
    sent: bool = False
    last: Receipt | None = None

    def tell(self, report: Receipt) -> None:
        if self.registered is None and says_sent(report):
            self.sent = True
        if self.last is None or weight(report) > weight(self.last):
            if self.last is None or says(report) != says(self.last):
                name = self.registered.message_id if self.registered else report.provider_message_id
                self.told.append((name, report.status_detail))
                self.call_back(self.last, report)
            self.last = report

    def call_back(self, old: Receipt | None, new: Receipt) -> None:
        if self.registered is not None and self.registered.callback_url and outcome(new) not in (None, outcome(old)):
            self.called_back.append(outcome(new))  # type: ignore[arg-type]

    def register(self, message: MessageSent) -> None:
        self.registered, self.sent = message, True
        if message.callback_url:
            self.called_back.append(("sent", None))
        if self.last is not None:
            self.call_back(None, self.last)


def says(report: Receipt) -> tuple[str, str, int]:
    return report.status, report.status_detail, weight(report)[0]


def outcome(report: Receipt | None) -> tuple[str, int | None] | None:
    if report is None or report.status == "pending":
        return None
    if report.status == "delivered":
        return "delivered", None
    return "undelivered", reason_of(report.status_detail, report.status_class).code


class Histories(RuleBasedStateMachine):
    """One account with two lists of different thresholds, two numbers, four messages."""

    seen = Bundle("seen")
    campaigned = 0

    @initialize(registers=st.booleans())
    def start(self, registers: bool) -> None:
        account = REGISTERING if registers else NOT_REGISTERING
        configs = [ListConfig(account="acme", number=n, retry_threshold=t) for n, t in LISTS.items()]
        self.stage = Stage(account, *configs)
        self.registers = registers
        self.now = 0.0
        self.time = 0
        self.contacts = {(n, number): Contact(LISTS[n]) for n in LISTS for number in NUMBERS}
        self.everywhere = {number: Everywhere() for number in NUMBERS}
        self.messages: dict[str, Message] = defaultdict(Message)
        self.history: list[Record] = []
        self.events: dict[str, Record] = {}
        self.states: dict[str, ContactState] = {}

    # What comes in. Now and then the worker dies while a table takes nothing, and reads the record again.

    @rule(target=seen, message=st.sampled_from(MESSAGES), report=st.sampled_from(REPORTS), age=AGES, ahead=AHEAD,
          crash=CRASHES)  # fmt: skip
    def report(self, message: str, report: Report, age: int, ahead: int, crash: str | None) -> Record:
        """Send a report, recent or old. Those of every third message name no sender."""
        sender = list_of(message) if MESSAGES.index(message) % 3 else None
        at = self.a_time(age)
        record = receipt(message, report, at + ahead, received_at=at + 1, to=number_of(message), from_=sender)
        return self.take(record, crash)

    @rule(target=seen, message=st.sampled_from(MESSAGES), crash=CRASHES)
    def register(self, message: str, crash: str | None) -> Record:
        """Send the message's registration; two in three have a URL."""
        url = URL if MESSAGES.index(message) % 3 else None
        record = message_sent(message, f"order-{message}", list_of(message), to=number_of(message), callback_url=url)
        return self.take(record, crash)

    @rule(target=seen, number=st.sampled_from(NUMBERS), to=st.sampled_from(sorted(LISTS)),
          text=st.sampled_from(["STOP", "START", "hello"]), age=AGES, ahead=AHEAD, crash=CRASHES)  # fmt: skip
    def reply(self, number: str, to: str, text: str, age: int, ahead: int, crash: str | None) -> Record:
        """Send a reply, recent or old."""
        at = self.a_time(age)
        record = inbound(text, at + ahead, id=f"SM{at}", to=to, from_=number, received_at=at + 1)
        return self.take(record, crash)

    @rule(number=st.sampled_from(NUMBERS), of=st.sampled_from(sorted(LISTS)))
    @precondition(lambda self: self.campaigned < 2)  # each takes as long as all else that a history does
    def campaigns(self, number: str, of: str) -> None:
        """Register more messages than any row would hold; they have no reports yet."""
        self.campaigned += 1
        at = self.a_time(0)
        opened = [receipt(f"open-{at}-{n}", ACCEPTED, at, to=number, from_=of) for n in range(45)]
        self.note(self.stage.apply(*opened), again=[])

    @rule(target=seen, number=st.sampled_from(NUMBERS), of=st.sampled_from(sorted(LISTS)),
          order=st.sampled_from(["remove", "restore"]), age=AGES, ahead=AHEAD, crash=CRASHES)  # fmt: skip
    def order(self, number: str, of: str, order: str, age: int, ahead: int, crash: str | None) -> Record:
        """Send an operator's order, from a console whose clock may be behind or ahead. Kafka's time counts."""
        record = command(order, self.a_time(age) + ahead, phone_number=number, list_number=of)
        self.stage.got_at[record.event_id] = START_OF_DAY + self.time * 1_000
        return self.take(record, crash)

    # What happens on the way.

    @rule(record=seen)
    def duplicate(self, record: Record) -> None:
        """Repeat an earlier record, as its sender may."""
        assert self.stage.apply(record) == []

    @rule(count=st.integers(1, 5))
    def replay(self, count: int) -> None:
        """Read the last records again: their offsets were not committed."""
        assert self.stage.apply(*self.history[-count:]) == []

    @rule(disk_is_lost=st.booleans())
    def restart(self, disk_is_lost: bool) -> None:
        """Restart the worker, with or without its tables."""
        if disk_is_lost:
            self.stage.lose_disk()
        else:
            self.stage.restart()

    @rule(seconds=st.sampled_from([0.0, 1.0, WAIT / 2, WAIT]))
    def tick(self, seconds: float) -> None:
        self.now += seconds
        for message in self.messages.values():
            if message.registered is None and not message.released and self.now >= message.waits_until:
                self.release(message)
        self.note(self.stage.tick(seconds), again=[])

    # What must be.

    @invariant()
    def contacts_are_as_the_model_says(self) -> None:
        for (list_number, number), model in getattr(self, "contacts", {}).items():
            row = self.stage.contact(number, list_number)
            found = row.active, row.reason, row.failures
            assert found == (model.out_for is None, model.out_for, model.failures())
            state = self.states.get(f"acme:{list_number}:{number}")
            shown = (state.active, state.reason, state.failures) if state else (True, None, 0)
            whole = self.everywhere[number]
            if model.out_for is None and whole.out_for is not None and list_number not in whole.back:
                found = False, whole.out_for, model.failures()
            assert shown == found

    @invariant()
    def senders_are_told_what_the_model_says(self) -> None:
        for name, model in getattr(self, "messages", {}).items():
            events = [
                event for event in self.events.values() if getattr(event, "message_id", None) in (name, f"order-{name}")
            ]
            told = [(e.message_id, e.status_detail) for e in events if isinstance(e, DeliveryEvent)]
            assert told == model.told
            assert [e for e in events if isinstance(e, SentEvent)][1:] == []
            assert any(isinstance(e, SentEvent) for e in events) == model.sent
            assert [(e.event, e.reason_code) for e in events if isinstance(e, MessageCallback)] == model.called_back

    def a_time(self, age: int) -> int:
        """Return a unique time; the later of two records may be the older."""
        self.time += 100
        return self.time * 1_000 - age * 150_000 + self.time // 100

    def take(self, record: Record, crash: str | None) -> Record:
        """Apply a new record to the model and to the stage."""
        if record in self.history:
            self.duplicate(record)
            return record
        self.history.append(record)
        match record:
            case Receipt():
                self.model_report(record)
            case MessageSent():
                self.model_registration(record)
            case InboundMessage():
                contact = self.contacts[record.to or "", record.from_]
                at = when(record)
                if record.text == "STOP":
                    contact.remove("message", at)
                elif record.text == "START" and contact.out_for == "message":
                    contact.restore(at)
            case ContactCommand():
                at, contact = self.stage.got_at[record.event_id], self.contacts[record.list_number, record.phone_number]
                if record.command == "restore" and at >= contact.removed_at:
                    self.everywhere[record.phone_number].come_back(record.list_number, at)
                contact.order(record.command, at)
        before = self.stage.crash_on(record, refusing=crash) if crash else []
        self.note([*before, *self.stage.apply(record)], again=before)
        return record

    def model_report(self, record: Receipt) -> None:
        message = self.messages[record.provider_message_id]
        message.reports.append(record)
        if record.from_ or message.registered:
            self.contacts[list_of(record.provider_message_id), record.to or ""].report(record)
        else:
            self.everywhere[record.to or ""].report(record)
        if message.registered or message.released:
            message.tell(record)
        elif not self.registers:
            message.released = True
            message.tell(record)
        elif len(message.reports) == 1:
            message.waits_until = self.now + WAIT
        elif len(message.reports) > MAX_WAITING:
            self.release(message)

    def model_registration(self, record: MessageSent) -> None:
        message = self.messages[record.provider_message_id]
        contact = self.contacts[record.list_number, record.to]
        message.register(record)
        if message.released:
            if message.last:
                removing = [report for report in message.reports if report.status_class in REMOVALS]
                first = {REMOVALS[report.status_class]: when(report) for report in reversed(removing)}
                contact.adopt(message.last, first)
        else:
            for report in message.reports:
                message.tell(report)
                contact.report(report)

    def release(self, message: Message) -> None:
        message.released = True
        for report in message.reports:
            message.tell(report)

    def note(self, events: list[Record], again: list[Record]) -> None:
        """Keep events by their ids. None is repeated, except for those sent before a crash (`again`)."""
        told = [event for event in events if not isinstance(event, ContactState)]
        self.states.update({event.contact: event for event in events if isinstance(event, ContactState)})
        ids = {event.event_id for event in told}  # type: ignore[union-attr]
        assert len(ids) >= len(told) - len(again)
        assert not ids & self.events.keys()
        for event in told:
            self.events.setdefault(event.event_id, event)  # type: ignore[union-attr]


TestHistories: Any = Histories.TestCase
TestHistories.settings = settings(max_examples=examples(150, elsewhere=75), stateful_step_count=40)
