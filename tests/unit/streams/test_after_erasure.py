"""After an erasure, nothing earlier brings the number back; whoever opted out stays removed."""

from __future__ import annotations

import pytest

from schemas.ids import contact_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import ContactState, DeliveryEvent, Record, UnsubscribeEvent
from tests.unit.streams.contact_records import (
    ABSENT,
    ACCOUNT,
    DELIVERED,
    LIST,
    NUMBER,
    SPAM,
    UNSUBSCRIBED,
    Report,
    click,
    command,
    inbound,
    message_sent,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, REGISTERING, Stage

MINUTE = 60_000
PSEUDONYM = Pseudonyms("a secret of the tests").of(ACCOUNT, NUMBER)
ERASURE = (command("erase", MINUTE), command("erase", MINUTE, list_number=""))
OLD: list[Record] = [
    receipt("m1", DELIVERED, 1_000),
    receipt("m1", ABSENT, 1_000),
    receipt("m2", SPAM, 1_000),
    inbound("hello", 1_000),
    inbound("STOP", 1_000),
    message_sent("m3"),
    click("m1", at=1_000),
]


@pytest.fixture(params=[REGISTERING, NOT_REGISTERING], ids=["registering", "not registering"])
def erased(request: pytest.FixtureRequest) -> Stage:
    """Return a stage from which the number was erased."""
    stage = Stage(request.param, ONE_LIST)
    stage.apply(receipt("m0", ABSENT, 500), *ERASURE)
    return stage


@pytest.mark.parametrize("old", OLD, ids=lambda record: type(record).__name__)
def test_a_record_of_a_time_before_it_leaves_no_trace_of_the_number(erased: Stage, old: Record) -> None:
    told = [*erased.apply(old, old), *erased.tick(600)]
    assert NUMBER not in repr(told)
    assert erased.holds(NUMBER) == []


@pytest.mark.parametrize(
    "old", [receipt("m2", SPAM, 1_000), receipt("m2", UNSUBSCRIBED, 1_000), inbound("STOP", 1_000)]
)
def test_an_opt_out_of_a_time_before_it_removes_under_the_pseudonym(erased: Stage, old: Record) -> None:
    [state] = erased.apply(old)
    assert isinstance(state, ContactState)
    assert (state.contact, state.active) == (contact_key(ACCOUNT, LIST, PSEUDONYM), False)
    assert not erased.contact(PSEUDONYM).active
    assert erased.apply(old) == []


@pytest.mark.parametrize("back", [inbound("START", 2 * MINUTE), command("restore", 2 * MINUTE)])
@pytest.mark.parametrize("old", [inbound("STOP", 1_000, id="SM2"), inbound("this is spam", 1_000, id="SM2")])
def test_an_opt_out_of_a_time_before_it_removes_a_number_that_has_come_back(old: Record, back: Record) -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(inbound("STOP", 500), *ERASURE, back)
    assert stage.contact(NUMBER).active
    told = stage.apply(old)
    assert not stage.contact(NUMBER).active
    assert [event.phone_number for event in told if isinstance(event, UnsubscribeEvent)] == [NUMBER]


def test_an_opt_out_that_was_known_before_it_does_not_undo_a_later_start() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stop = inbound("STOP", 500)
    stage.apply(stop, *ERASURE, inbound("START", 2 * MINUTE))
    assert stage.apply(stop) == []
    assert stage.contact(NUMBER).active


@pytest.mark.parametrize("report", [DELIVERED, ABSENT])
def test_an_old_report_that_removes_nobody_is_nothing(erased: Stage, report: Report) -> None:
    assert erased.apply(receipt("m9", report, 1_000)) == []


def test_what_happens_later_counts_and_a_removal_from_before_holds() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(inbound("STOP", 1_000), *ERASURE)
    told = stage.apply(receipt("m5", DELIVERED, 2 * MINUTE))
    assert [event.to for event in told if isinstance(event, DeliveryEvent)] == [NUMBER]
    assert not stage.contact(NUMBER).active


def test_a_row_that_a_cut_off_worker_writes_late_does_not_bring_the_number_back(erased: Stage) -> None:
    contact = contact_key(ACCOUNT, LIST, NUMBER).encode()
    erased.write_over(contact, version=1, value=b"any")
    erased.repair()
    erased.lose_disk()
    assert erased.holds(NUMBER) == []
