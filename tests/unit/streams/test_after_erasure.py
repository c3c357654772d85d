"""After an erasure, nothing earlier brings the number back; whoever opted out stays removed."""

from __future__ import annotations

import pytest

from schemas.ids import contact_key
from schemas.pseudonyms import Pseudonyms
from schemas.records import ContactState, DeliveryEvent, ListConfig, Record, RemovedEvent, UnsubscribeEvent
from tests.unit.streams.contact_records import (
    ABSENT,
    ACCOUNT,
    DELIVERED,
    LIST,
    NUMBER,
    SPAM,
    UNKNOWN_NUMBER,
    UNSUBSCRIBED,
    Report,
    click,
    command,
    inbound,
    message_sent,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, PSEUDONYM_KEY, REGISTERING, Stage

MINUTE = 60_000
OTHER_LIST = "+18005550002"
PSEUDONYM = Pseudonyms(PSEUDONYM_KEY).of(ACCOUNT, NUMBER)
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


@pytest.mark.parametrize("back", [inbound("START", 2 * MINUTE), command("restore", 2 * MINUTE)])
@pytest.mark.parametrize(("report", "event"), [(UNSUBSCRIBED, UnsubscribeEvent), (SPAM, RemovedEvent)])
def test_a_report_of_an_opt_out_of_a_time_before_it_removes_a_number_that_has_come_back(
    report: Report, event: type[UnsubscribeEvent | RemovedEvent], back: Record
) -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(inbound("STOP", 500), *ERASURE, back)
    assert stage.state(NUMBER).active
    told = stage.apply(receipt("m2", report, 1_000))
    assert not stage.state(NUMBER).active
    assert [each.phone_number for each in told if isinstance(each, event)] == [NUMBER]
    assert not [each for each in told if isinstance(each, DeliveryEvent)]
    stage.apply(inbound("START", 3 * MINUTE, id="SM3"))
    assert stage.apply(receipt("m2", report, 1_000)) == []


def test_a_report_about_every_list_of_a_time_before_it_removes_a_number_that_has_come_back_to_all() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST, ListConfig(account=ACCOUNT, number=OTHER_LIST))
    back = command("restore", 2 * MINUTE, list_number="")
    stage.apply(command("remove", 500, list_number=""), *ERASURE, back)
    stage.apply(receipt("m2", UNSUBSCRIBED, 1_000, from_=None))
    assert not any(stage.state(NUMBER, each).active for each in (LIST, OTHER_LIST))


def test_a_report_of_a_dead_number_of_a_time_before_it_removes_no_number_that_has_come_back() -> None:
    """That it was dead then is no wish of a person."""
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(inbound("STOP", 500), *ERASURE, inbound("START", 2 * MINUTE))
    stage.apply(receipt("m2", UNKNOWN_NUMBER, 1_000))
    assert stage.state(NUMBER).active


def test_a_late_opt_out_of_a_time_before_it_is_not_undone_by_an_earlier_start() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(inbound("STOP", 500), *ERASURE)
    stage.apply(inbound("STOP", 2_000, id="SM2"), inbound("START", 1_000, id="SM3"))
    assert not stage.may_be_texted(NUMBER)


def test_a_late_opt_out_of_a_time_before_it_removes_from_a_list_that_was_exempt() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST, ListConfig(account=ACCOUNT, number=OTHER_LIST))
    stage.apply(inbound("STOP", 500, to=None), command("restore", 1_000), *ERASURE)
    assert stage.may_be_texted(NUMBER)
    stage.apply(inbound("STOP", 2_000, to=None, id="SM2"))
    assert not stage.may_be_texted(NUMBER)


def test_a_late_complaint_of_a_time_before_it_outweighs_an_opt_out_that_remained() -> None:
    stage = Stage(NOT_REGISTERING, ONE_LIST)
    stage.apply(inbound("STOP", 500), *ERASURE, inbound("this is spam", 1_000, id="SM2"))
    stage.apply(inbound("START", 2 * MINUTE, id="SM3"))
    assert not stage.may_be_texted(NUMBER)


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
