"""A list's brake holds removals by rules beyond a share of the list in an hour, until an admin decides."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from accounts.brakes import Brake
from schemas.records import (
    AccountConfig,
    ContactCommand,
    ContactState,
    ListConfig,
    Receipt,
    Record,
    RemovalsHeld,
    RemovedEvent,
    UnsubscribeEvent,
)
from streams.row import STEP_MS, Ruled
from streams.rules.brake import is_too_many
from tests.examples import examples
from tests.unit.streams.contact_records import (
    ABSENT,
    ACCOUNT,
    DELIVERED,
    LIST,
    SPAM,
    START_OF_DAY,
    UNKNOWN_NUMBER,
    UNSUBSCRIBED,
    Report,
    command,
    inbound,
    message_sent,
    names,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, Stage

HOUR = 3_600_000
OTHER = "+18005559999"
FEW = ListConfig(account=ACCOUNT, number=LIST, brake_share=0.0, brake_minimum=2)
"""A list of which two contacts may go in an hour."""


def number(n: int) -> str:
    return f"+1555000{n:04}"


def dead(*numbers: int, at: int = 0, report: Report = UNKNOWN_NUMBER, from_: str | None = LIST) -> list[Receipt]:
    """Return a report for each number that it does not exist, a millisecond apart."""
    return [receipt(f"m{n}", report, at + n, to=number(n), from_=from_) for n in numbers]


def stage_of(*lists: ListConfig, account: AccountConfig = NOT_REGISTERING) -> Stage:
    return Stage(account, *(lists or (FEW,)))


def decision(order: str, at: int = 1_000, list_number: str = LIST) -> ContactCommand:
    return command(order, at, phone_number="", list_number=list_number)


def settle(stage: Stage) -> list[Record]:
    """Carry out the decision; returns what was sent."""
    return [event for _ in range(4) for event in stage.tick(1.0)]


def told(events: Sequence[Record], kind: type) -> list[Record]:
    return [event for event in events if isinstance(event, kind)]


def standing(stage: Stage, *numbers: int, list_number: str = LIST) -> str:
    """Return each number's state: active (a), removed (r), or held (h)."""
    states = [stage.state(number(n), list_number) for n in numbers]
    return "".join("a" if state.active else "h" if state.held else "r" for state in states)


class TestHold:
    @pytest.mark.parametrize(
        ("report", "reason"), [(UNKNOWN_NUMBER, "invalid_contact"), (SPAM, "complaint"), (ABSENT, "bad_response")]
    )
    def test_begins_with_the_removal_that_is_one_too_many(self, report: Report, reason: str) -> None:
        stage = stage_of(replace(FEW, retry_threshold=1))
        events = stage.apply(*dead(1, 2, 3, 4, report=report))
        assert standing(stage, 1, 2, 3, 4) == "rrhh"
        assert [event.phone_number for event in told(events, RemovedEvent)] == [number(1), number(2)]
        assert stage.state(number(3)).reason == reason

    def test_is_told_once_with_the_figures_of_the_partition(self) -> None:
        stage = stage_of()
        stage.apply(receipt("m9", DELIVERED, 0, to=number(9)))
        events = stage.apply(*dead(1, 2, 3, 4))
        [held] = told(events, RemovalsHeld)
        assert (held.account, held.list_number, held.reason) == (ACCOUNT, LIST, "invalid_contact")
        assert (held.removed, held.contacts, held.timestamp) == (2, 3, START_OF_DAY + 1_003)

    def test_lets_the_share_of_a_larger_list_go(self) -> None:
        stage = stage_of(replace(FEW, brake_share=0.5, brake_minimum=0))
        stage.apply(*(receipt(f"d{n}", DELIVERED, 0, to=number(n)) for n in range(1, 9)))
        stage.apply(*dead(*range(1, 9)))
        assert standing(stage, *range(1, 9)) == "rrrrhhhh"

    def test_holds_nothing_of_an_ordinary_list_by_default(self) -> None:
        stage = stage_of(ListConfig(account=ACCOUNT, number=LIST))
        stage.apply(*dead(*range(1, 101)))
        assert standing(stage, *range(1, 101)) == "r" * 100

    @pytest.mark.parametrize(
        ("account", "of_list"),
        [({}, {"brake_share": 1.0}), ({"brake_share": 1.0}, {"brake_share": None})],
    )
    def test_does_not_happen_where_the_brake_is_off(
        self, account: dict[str, float], of_list: dict[str, float | None]
    ) -> None:
        stage = stage_of(replace(FEW, **of_list), account=replace(NOT_REGISTERING, **account))  # type: ignore[arg-type]
        stage.apply(*dead(1, 2, 3, 4))
        assert standing(stage, 1, 2, 3, 4) == "rrrr"

    def test_does_not_happen_where_removals_are_an_hour_apart(self) -> None:
        stage = stage_of()
        stage.apply(*dead(1, 2), *dead(3, 4, at=HOUR + 2 * STEP_MS))
        assert standing(stage, 1, 2, 3, 4) == "rrrr"

    def test_counts_by_the_receipt_of_reports_whatever_the_provider_says_of_the_time(self) -> None:
        stage = stage_of()
        said = [receipt(f"m{n}", UNKNOWN_NUMBER, -n * HOUR, received_at=n, to=number(n)) for n in range(1, 5)]
        stage.apply(*said)
        assert standing(stage, 1, 2, 3, 4) == "rrhh"

    def test_goes_on_after_the_hour_until_somebody_decides(self) -> None:
        stage = stage_of()
        stage.apply(*dead(1, 2, 3), *dead(4, at=5 * HOUR))
        assert standing(stage, 1, 2, 3, 4) == "rrhh"

    def test_of_one_list_leaves_another_alone(self) -> None:
        stage = stage_of(FEW, ListConfig(account=ACCOUNT, number=OTHER))
        stage.apply(*dead(1, 2, 3), *dead(4, 5, 6, from_=OTHER))
        assert standing(stage, 1, 2, 3) == "rrh"
        assert standing(stage, 4, 5, 6, list_number=OTHER) == "rrr"

    def test_of_removals_from_every_list_counts_by_itself(self) -> None:
        stage = stage_of(
            FEW, replace(FEW, number=OTHER), account=replace(NOT_REGISTERING, brake_share=0.0, brake_minimum=1)
        )
        events = stage.apply(*dead(1, 2, 3, from_="acme_agent"), *dead(4, 5))
        assert standing(stage, 1, 2, 3, 4, 5) == standing(stage, 1, 2, 3, list_number=OTHER) + "rr" == "rhhrr"
        assert stage.state(number(2), OTHER).scope == "account"
        assert [held.list_number for held in told(events, RemovalsHeld)] == [""]

    def test_of_a_registered_message_counts_by_the_receipt_of_its_report(self) -> None:
        stage = stage_of(FEW, ListConfig(account=ACCOUNT, number=OTHER))
        reports = [receipt(f"m{n}", ABSENT, n, to=number(n), from_=None) for n in range(1, 5)]
        stage.configure(replace(FEW, retry_threshold=1))
        stage.apply(*reports, *(message_sent(f"m{n}", f"order-{n}", to=number(n)) for n in range(1, 5)))
        assert standing(stage, 1, 2, 3, 4) == "rrhh"

    def test_of_a_report_that_is_read_again_changes_nothing(self) -> None:
        stage = stage_of()
        reports = dead(1, 2, 3, 4)
        stage.apply(*reports)
        assert stage.apply(*reports) == []

    @pytest.mark.parametrize("refusing", ["contacts", "messages", "brakes"])
    @pytest.mark.parametrize("disk_is_lost", [False, True])
    def test_outlives_a_crash(self, refusing: str, disk_is_lost: bool) -> None:
        stage = stage_of()
        reports = dead(1, 2, 3, 4)
        events = stage.apply(*reports[:2])
        for report in reports[2:]:
            events += stage.crash_on(report, refusing)
            events += stage.apply(report)
        if disk_is_lost:
            stage.lose_disk()
        events += stage.apply(*reports)
        assert standing(stage, 1, 2, 3, 4) == "rrhh"
        assert len({event.event_id for event in told(events, RemovalsHeld)}) == 1
        assert len({event.event_id for event in told(events, RemovedEvent)}) == 2


class TestHeldContact:
    def held(self) -> Stage:
        stage = stage_of()
        stage.apply(*dead(1, 2, 3))
        return stage

    @pytest.mark.parametrize(
        "wish",
        [
            inbound("STOP", 9_000, from_=number(3)),
            receipt("m8", UNSUBSCRIBED, 9_000, to=number(3)),
            inbound(None, 9_000, kind="opt_out", from_=number(3)),
        ],
    )
    def test_that_opts_out_is_removed_at_once(self, wish: Record) -> None:
        stage = self.held()
        [event] = told(stage.apply(wish), UnsubscribeEvent)
        assert (standing(stage, 3), event.phone_number) == ("r", number(3))

    def test_that_never_was_one_opts_out_past_every_brake(self) -> None:
        stage = self.held()
        stage.apply(inbound("STOP", 9_000, from_=number(7)), receipt("m8", UNSUBSCRIBED, 9_000, to=number(8)))
        assert standing(stage, 7, 8) == "rr"

    def test_that_an_operator_removes_is_removed(self) -> None:
        stage = self.held()
        [event] = told(stage.apply(command("remove", 9_000, phone_number=number(3))), RemovedEvent)
        assert (standing(stage, 3), event.reason) == ("r", "invalid_contact")

    def test_that_an_operator_restores_is_active_and_nobody_is_told_who_was_not_told_of_a_removal(self) -> None:
        stage = self.held()
        events = stage.apply(command("restore", 9_000, phone_number=number(3)))
        assert standing(stage, 3) == "a"
        assert names(events) == ["ContactState"]

    def test_is_not_brought_back_by_start(self) -> None:
        stage = self.held()
        stage.apply(inbound("START", 9_000, from_=number(3)))
        assert standing(stage, 3) == "h"

    def test_is_not_brought_back_by_a_delivery(self) -> None:
        stage = self.held()
        stage.apply(receipt("m7", DELIVERED, 9_000, to=number(3)))
        assert standing(stage, 3) == "h"

    def test_that_complains_meanwhile_is_held_for_that(self) -> None:
        stage = self.held()
        events = stage.apply(receipt("m7", SPAM, 9_000, to=number(3)))
        assert (standing(stage, 3), stage.state(number(3)).reason) == ("h", "complaint")
        assert not told(events, RemovedEvent)

    def test_that_is_out_for_the_whole_account_is_shown_as_removed(self) -> None:
        stage = self.held()
        stage.apply(inbound("STOP", 9_000, from_=number(3), to="acme_agent"))
        assert standing(stage, 3) == "r"
        assert stage.state(number(3)).scope == "account"

    def test_that_is_erased_stays_suppressed_as_a_removed_one(self) -> None:
        stage = self.held()
        erased = stage.apply(command("erase", 9_000, phone_number=number(3)))
        states = [s for s in told(erased, ContactState) if s.phone_number != number(3)]
        assert [(s.active, s.held, s.reason) for s in states] == [(False, False, "invalid_contact")]
        settle(stage)
        stage.decide(decision("release", 9_500))
        assert stage.contact(states[0].phone_number).active is False


class TestYes:
    def test_removes_what_is_held_with_the_reason_and_event_that_it_would_have_had(self) -> None:
        free, braked = stage_of(replace(FEW, brake_share=1.0)), stage_of()
        reports = dead(1, 2, 3, 4)
        expected = told(free.apply(*reports), RemovedEvent)[2:]
        braked.apply(*reports)
        assert told(braked.decide(decision("confirm", 9_000)), RemovedEvent) == []
        assert told(settle(braked), RemovedEvent) == expected
        assert standing(braked, 1, 2, 3, 4) == "rrrr"

    def test_begins_the_count_anew(self) -> None:
        stage = stage_of()
        stage.apply(*dead(1, 2, 3, 4))
        stage.decide(decision("confirm", 9_000))
        settle(stage)
        events = stage.apply(*dead(5, 6, 7, 8, at=10_000))
        assert standing(stage, 5, 6, 7, 8) == "rrhh"
        assert len(told(events, RemovalsHeld)) == 1

    def test_holds_nothing_for_what_came_before_it_is_carried_out(self) -> None:
        stage = stage_of()
        stage.apply(*dead(1, 2, 3))
        stage.decide(decision("confirm", 9_000))
        stage.apply(*dead(5))
        assert standing(stage, 3, 5) == "hr"

    def test_is_followed_by_webhooks_only_once(self) -> None:
        stage = stage_of()
        stage.apply(*dead(1, 2, 3))
        order = decision("confirm", 9_000)
        stage.decide(order)
        settle(stage)
        stage.decide(order)
        assert settle(stage) == []


class TestNo:
    def test_releases_what_is_held_with_a_count_that_begins_anew(self) -> None:
        stage = stage_of(replace(FEW, retry_threshold=2))
        reports = [receipt(f"m{n}-{k}", ABSENT, n + k, to=number(n)) for n in range(1, 5) for k in range(2)]
        stage.apply(*reports)
        assert standing(stage, 1, 2, 3, 4) == "rrhh"
        stage.decide(decision("release", 9_000))
        events = settle(stage)
        assert standing(stage, 1, 2, 3, 4) == "rraa"
        assert stage.state(number(3)).failures == 0
        assert names(events) == ["ContactState", "ContactState"]

    def test_leaves_the_count_of_the_hour_as_it_is(self) -> None:
        stage = stage_of()
        stage.apply(*dead(1, 2, 3))
        stage.decide(decision("release", 9_000))
        settle(stage)
        events = stage.apply(*dead(4, 5, at=10_000))
        assert standing(stage, 3, 4, 5) == "ahh"
        assert len(told(events, RemovalsHeld)) == 1

    def test_opens_the_brake_once_the_hour_is_over(self) -> None:
        stage = stage_of()
        stage.apply(*dead(1, 2, 3))
        stage.decide(decision("release", 9_000))
        settle(stage)
        stage.apply(*dead(4, 5, at=2 * HOUR))
        assert standing(stage, 4, 5) == "rr"

    def test_is_not_undone_by_the_report_that_comes_again(self) -> None:
        stage = stage_of()
        reports = dead(1, 2, 3)
        stage.apply(*reports)
        stage.decide(decision("release", 9_000))
        settle(stage)
        assert stage.apply(*reports) == []

    def test_does_not_release_whom_somebody_removed_meanwhile(self) -> None:
        stage = stage_of()
        stage.apply(*dead(1, 2, 3, 4), inbound("STOP", 9_000, from_=number(3)))
        stage.decide(decision("release", 10_000))
        settle(stage)
        assert standing(stage, 3, 4) == "ra"


class TestDecision:
    @pytest.mark.parametrize("order", ["confirm", "release"])
    @pytest.mark.parametrize("refusing", ["contacts", "messages", "brakes"])
    def test_outlives_a_crash_at_every_table(self, order: str, refusing: str) -> None:
        stage = stage_of()
        stage.apply(*dead(1, 2, 3, 4))
        stage.crash_on_tick(decision(order, 9_000), refusing)
        settle(stage)
        assert standing(stage, 3, 4) == {"confirm": "rr", "release": "aa"}[order]

    def test_is_about_what_was_held_before_it_and_not_what_is_held_since(self) -> None:
        stage = stage_of()
        stage.apply(*dead(1, 2, 3))
        stage.decide(decision("release", 9_000))
        stage.apply(*dead(4, at=10_000))
        settle(stage)
        assert standing(stage, 3, 4) == "ah"
        stage.decide(decision("confirm", 11_000))
        settle(stage)
        assert standing(stage, 3, 4) == "ar"

    def test_may_follow_another_that_is_not_through(self) -> None:
        stage = stage_of()
        stage.apply(*dead(1, 2, 3))
        stage.decide(decision("release", 9_000))
        stage.apply(*dead(4, at=10_000))
        stage.decide(decision("confirm", 11_000))
        settle(stage)
        settle(stage)
        assert standing(stage, 3, 4) == "ar"

    def test_about_a_list_that_holds_nothing_changes_nobody(self) -> None:
        stage = stage_of()
        stage.apply(*dead(1))
        stage.decide(decision("release", 9_000))
        assert settle(stage) == []
        assert standing(stage, 1) == "r"

    def test_about_every_list_is_not_about_one(self) -> None:
        stage = stage_of()
        stage.apply(*dead(1, 2, 3))
        stage.decide(decision("confirm", 9_000, list_number=""))
        settle(stage)
        assert standing(stage, 3) == "h"

    def test_of_many_contacts_is_carried_out_bit_by_bit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("streams.brakes.CARRIED_OUT_AT_ONCE", 3)
        stage = stage_of()
        stage.apply(*dead(*range(1, 11)))
        stage.decide(decision("confirm", 9_000))
        assert [len(told(stage.tick(1.0), RemovedEvent)) for _ in range(4)] == [3, 3, 2, 0]


REPORTS = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3 * HOUR)), max_size=40)


@settings(max_examples=examples(150), deadline=None)
@given(REPORTS, st.integers(0, 3), st.data())
def test_in_no_hour_more_than_its_share_goes_in_whatever_order_reports_come(
    reports: list[tuple[int, int]], most: int, data: st.DataObject
) -> None:
    stage = stage_of(replace(FEW, brake_minimum=most))
    records = [
        receipt(f"m{n}-{at}", UNKNOWN_NUMBER, at, received_at=at, to=number(n)) for n, at in dict.fromkeys(reports)
    ]
    for record in records:
        stage.apply(record)
        if data.draw(st.booleans()):
            stage.restart()
    ruled = [stage.contact(number(n)).ruled for n in range(1, 13)]
    times = sorted(each.at for each in ruled if isinstance(each, Ruled))
    assert all(sum(first <= at < first + HOUR for at in times) <= most for first in times)
    reported = {n for n, _ in reports}
    assert "a" not in standing(stage, *reported)
    assert standing(stage, *sorted({*range(1, 13)} - reported)).strip("a") == ""


@pytest.mark.parametrize(
    ("removed", "is_too_many_at_20"),
    [
        ({}, False),
        ({20: 2}, False),
        ({20: 3}, True),
        ({8: 3}, True),
        ({7: 3}, False),
        ({32: 3}, True),
        ({33: 3}, False),
        ({10: 1, 25: 2}, False),
        ({10: 1, 19: 2}, True),
        ({8: 2, 32: 2}, False),
    ],
)
def test_every_hour_around_a_removal_is_looked_at(removed: dict[int, int], is_too_many_at_20: bool) -> None:
    at = 20 * STEP_MS + 1
    assert is_too_many(lambda step: removed.get(step, 0), 0, at, Brake(0.0, 3), 1) == is_too_many_at_20


def test_the_share_is_of_the_contacts_that_there_were_before_the_hour() -> None:
    assert not is_too_many(lambda step: 4 * (step == 20), 6, 20 * STEP_MS, Brake(0.5, 0), 1)
    assert is_too_many(lambda step: 5 * (step == 20), 5, 20 * STEP_MS, Brake(0.5, 0), 1)
