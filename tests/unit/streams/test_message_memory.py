"""A message's progress is known for as long as its row is kept, however many messages its contact gets."""

from __future__ import annotations

import pytest

from schemas.records import ContactState, DeliveryEvent, ListConfig, Record, RemovedEvent
from tests.unit.streams.contact_records import (
    ABSENT,
    ACCEPTED,
    ACCOUNT,
    AT_OPERATOR,
    DELIVERED,
    EXPIRED,
    LIST,
    NUMBER,
    SENT,
    SPAM,
    UNSUBSCRIBED,
    Report,
    command,
    message_sent,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, Stage

OTHER_LIST = "+18005559999"
MANY = 100


@pytest.fixture
def stage() -> Stage:
    return Stage(NOT_REGISTERING, ONE_LIST, ListConfig(account=ACCOUNT, number=OTHER_LIST))


def many(report: Report, first_at: int) -> list[Record]:
    """Reports of many messages, a second apart."""
    return [receipt(f"of-many-{n}", report, first_at + n * 1_000) for n in range(MANY)]


@pytest.mark.parametrize("between", [ACCEPTED, SENT, DELIVERED])
@pytest.mark.parametrize("end", [DELIVERED, ABSENT, SPAM])
def test_a_repeated_report_of_an_old_message_tells_nothing(stage: Stage, between: Report, end: Report) -> None:
    stage.apply(receipt("old", end, 1_000), *many(between, 2_000))
    assert stage.apply(receipt("old", end, 1_000, received_at=900_000)) == []


@pytest.mark.parametrize("earlier", [ACCEPTED, SENT, AT_OPERATOR])
def test_an_old_message_that_was_delivered_does_not_become_pending_again(stage: Stage, earlier: Report) -> None:
    stage.apply(receipt("old", DELIVERED, 1_000), *many(DELIVERED, 2_000))
    assert stage.apply(receipt("old", earlier, 500, received_at=900_000)) == []


@pytest.mark.parametrize("end", [SPAM, UNSUBSCRIBED])
def test_a_repeated_report_removes_no_contact_again_that_was_restored(stage: Stage, end: Report) -> None:
    stage.apply(receipt("old", end, 1_000), *[receipt(f"then-{n}", UNSUBSCRIBED, 2_000 + n) for n in range(MANY)])
    stage.apply(command("restore", 600_000), *many(DELIVERED, 700_000))
    told = stage.apply(receipt("old", end, 1_000, received_at=900_000), receipt("then-0", UNSUBSCRIBED, 2_000))
    assert told == []
    assert stage.contact(NUMBER).active


def test_failures_are_counted_across_any_number_of_open_messages(stage: Stage) -> None:
    stage.apply(receipt("m1", ABSENT, 1_000), receipt("m2", EXPIRED, 2_000), *many(ACCEPTED, 3_000))
    assert stage.contact(NUMBER).failures == 2
    told = stage.apply(receipt("m3", ABSENT, 500_000))
    assert [event.reason for event in told if isinstance(event, RemovedEvent)] == ["bad_response"]


def test_a_delivery_is_remembered_across_any_number_of_open_messages(stage: Stage) -> None:
    stage.apply(receipt("m1", ABSENT, 1_000), receipt("m2", DELIVERED, 2_000), *many(SENT, 3_000))
    assert stage.contact(NUMBER).failures == 0
    stage.apply(receipt("m3", ABSENT, 500_000))
    assert stage.contact(NUMBER).failures == 1


def test_a_row_of_a_contact_stays_small_while_messages_are_open(stage: Stage) -> None:
    stage.apply(*many(ACCEPTED, 1_000))
    assert stage.contact(NUMBER).counted == ()


def test_a_registration_that_comes_late_finds_what_its_message_has_reached(stage: Stage) -> None:
    stage.apply(receipt("old", ABSENT, 1_000), *many(ACCEPTED, 2_000))
    told = stage.apply(message_sent("old", "order-77", OTHER_LIST))
    assert {e.list_number: e.failures for e in told if isinstance(e, ContactState)} == {LIST: 0, OTHER_LIST: 1}


def test_a_complaint_removes_on_the_list_that_a_registration_names_later_also_if_it_was_not_the_last_word(
    stage: Stage,
) -> None:
    stage.apply(receipt("old", SPAM, 1_000), receipt("old", DELIVERED, 2_000))
    told = stage.apply(message_sent("old", "order-77", OTHER_LIST))
    assert [(e.list_number, e.reason) for e in told if isinstance(e, RemovedEvent)] == [(OTHER_LIST, "complaint")]
    assert not stage.contact(NUMBER, LIST).active


class TestRepeatsWithoutAProvidersTime:
    """What is reported again is as old as its first receipt: a provider that tries again corrects nothing."""

    FAILED = receipt("m1", ABSENT, None, received_at=6_000)
    DELIVERED = receipt("m1", DELIVERED, None, received_at=96_000)
    FAILED_AGAIN = receipt("m1", ABSENT, None, received_at=120_000)

    @pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
    def test_end_alike_in_every_order(self, stage: Stage, order: tuple[int, int, int]) -> None:
        reports = (self.FAILED, self.DELIVERED, self.FAILED_AGAIN)
        told = stage.apply(*[reports[index] for index in order])
        last = [event for event in told if isinstance(event, DeliveryEvent)][-1]
        assert (last.status, last.final, stage.contact(NUMBER).failures) == ("delivered", True, 0)


def test_a_worker_that_dies_between_the_rows_of_contact_and_message_removes_once(stage: Stage) -> None:
    complaint = receipt("m1", SPAM, 1_000)
    stage.crash_on(complaint, refusing="messages")
    stage.apply(command("restore", 60_000))
    stage.apply(complaint)
    assert stage.contact(NUMBER).active
