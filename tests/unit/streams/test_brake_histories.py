"""Brakes over random histories: reports, wishes, orders, and decisions in any order and more than once, with restarts,
lost disks, crashes in the middle of a write, and decisions that are carried out in batches.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

import streams.brakes
from schemas.records import (
    ContactCommand,
    ContactState,
    ListConfig,
    Record,
    RemovalsHeld,
    RemovedEvent,
    RestoredEvent,
    UnsubscribeEvent,
)
from tests.examples import examples
from tests.unit.streams.contact_records import (
    ABSENT,
    ACCOUNT,
    DELIVERED,
    LIST,
    SPAM,
    UNKNOWN_NUMBER,
    UNSUBSCRIBED,
    Report,
    command,
    inbound,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, Stage

NUMBERS = [f"+1555000{n:04}" for n in range(6)]
MOST = 2
BRAKED = ListConfig(account=ACCOUNT, number=LIST, retry_threshold=2, brake_share=0.0, brake_minimum=MOST)
HOUR = 3_600_000
MINUTES = st.sampled_from([0, 0, 0, 1, 7, 30, 90])
CRASHES = st.sampled_from([None, None, None, "contacts", "messages", "brakes"])


class Histories(RuleBasedStateMachine):
    """One list from which two contacts may be removed in an hour."""

    seen = Bundle("seen")

    @initialize()
    def start(self) -> None:
        self.stage = Stage(NOT_REGISTERING, BRAKED)
        self.time = 0
        self.told: dict[str, Record] = {}
        self.state_of: dict[str, ContactState] = {}
        self.standing = dict.fromkeys(NUMBERS, "active")
        self.wished: set[str] = set()

    @rule(target=seen, number=st.sampled_from(NUMBERS), crash=CRASHES, minutes=MINUTES,
          report=st.sampled_from([UNKNOWN_NUMBER, UNKNOWN_NUMBER, SPAM, ABSENT, DELIVERED]))  # fmt: skip
    def report(self, number: str, report: Report, minutes: int, crash: str | None) -> Record:
        self.time += minutes * 60_000 + 1
        return self.take(receipt(f"m{self.time}", report, self.time, to=number), crash)

    @rule(numbers=st.sets(st.sampled_from(NUMBERS), min_size=3), minutes=MINUTES)
    def campaign(self, numbers: set[str], minutes: int) -> None:
        """Many fail at once."""
        for number in sorted(numbers):
            self.report(number=number, report=UNKNOWN_NUMBER, minutes=minutes, crash=None)
            minutes = 0

    @rule(target=seen, number=st.sampled_from(NUMBERS), by=st.sampled_from(["STOP", "report"]), crash=CRASHES)
    def opt_out(self, number: str, by: str, crash: str | None) -> Record:
        self.time += 1
        self.wished.add(number)
        if by == "report":
            return self.take(receipt(f"m{self.time}", UNSUBSCRIBED, self.time, to=number), crash)
        return self.take(inbound("STOP", self.time, id=f"SM{self.time}", from_=number), crash)

    @rule(target=seen, number=st.sampled_from(NUMBERS), order=st.sampled_from(["remove", "restore"]), crash=CRASHES)
    def order(self, number: str, order: str, crash: str | None) -> Record:
        self.time += 2_000
        if order == "restore":
            self.wished.discard(number)
        return self.take(command(order, self.time, phone_number=number), crash)

    @rule(order=st.sampled_from(["confirm", "release"]), again=st.booleans(), crash=CRASHES, ticks=st.integers(0, 3))
    def decide(self, order: str, again: bool, crash: str | None, ticks: int) -> None:
        self.time += 2_000
        decision = command(order, self.time, phone_number="")
        if crash:
            self.note(self.stage.crash_on_tick(decision, crash))
        for _ in range(2 if again else 1):
            self.note(self.stage.decide(decision))
        # What a tick had sent when it crashed is true once the next one has done it again.
        for _ in range(ticks + bool(crash)):
            self.note(self.stage.tick(1.0))

    @rule()
    def tick(self) -> None:
        self.note(self.stage.tick(1.0))

    @rule(record=seen)
    def duplicate(self, record: Record) -> None:
        assert self.stage.apply(record) == []

    @rule(disk_is_lost=st.booleans())
    def restart(self, disk_is_lost: bool) -> None:
        if disk_is_lost:
            self.stage.lose_disk()
        else:
            self.stage.restart()

    @invariant()
    def in_no_hour_more_than_its_share_goes_by_rules(self) -> None:
        rows = [self.stage.contact(number).ruled for number in NUMBERS] if hasattr(self, "stage") else []
        for era in {ruled.era for ruled in rows if ruled is not None}:
            times = sorted(ruled.at for ruled in rows if ruled is not None and ruled.era == era)
            assert all(sum(first <= at < first + HOUR for at in times) <= MOST for first in times)

    @invariant()
    def everybody_reads_what_the_row_says(self) -> None:
        for number in NUMBERS if hasattr(self, "stage") else []:
            row, state = self.stage.contact(number), self.stage.state(number)
            assert (state.active, state.held) == (row.may_be_texted, row.held is not None)
            assert not (row.held is not None and not row.active)

    @invariant()
    def customers_were_told_of_removals_and_of_nothing_that_is_held(self) -> None:
        for number in NUMBERS if hasattr(self, "stage") else []:
            assert (self.standing[number] == "removed") == (not self.stage.contact(number).active)

    @invariant()
    def who_opted_out_is_removed(self) -> None:
        for number in self.wished if hasattr(self, "stage") else ():
            assert not self.stage.contact(number).active

    def teardown(self) -> None:
        """In the end decisions are carried out, and only contacts held since then are held."""
        if not hasattr(self, "stage"):
            return
        self.time += 2_000
        self.note(self.stage.decide(command("release", self.time, phone_number="")))
        for _ in range(40):
            self.note(self.stage.tick(1.0))
        assert not any(self.stage.contact(number).held for number in NUMBERS)
        assert self.stage.tick(1.0) == []

    def take(self, record: Record, crash: str | None) -> Record:
        if crash:
            self.note(self.stage.crash_on(record, refusing=crash))
        self.note(self.stage.apply(record))
        return record

    def note(self, events: list[Record]) -> None:
        """Receive events like a customer: a repeated id is the same event."""
        for event in events:
            if isinstance(event, ContactState | ContactCommand | RemovalsHeld):
                continue
            event_id: str = event.event_id  # type: ignore[union-attr]
            if event_id in self.told:
                assert self.told[event_id] == event
                continue
            self.told[event_id] = event
            match event:
                case RemovedEvent(phone_number=number):
                    assert self.standing[number] == "active"
                    self.standing[number] = "removed"
                case UnsubscribeEvent(phone_number=number):
                    self.standing[number] = "removed"
                case RestoredEvent(phone_number=number):
                    assert self.standing[number] == "removed"
                    self.standing[number] = "active"


TestHistories: Any = pytest.mark.usefixtures("few_at_once")(Histories.TestCase)
TestHistories.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick carries out a decision about one contact."""
    monkeypatch.setattr(streams.brakes, "CARRIED_OUT_AT_ONCE", 1)
