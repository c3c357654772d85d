"""Providers' clocks that are ahead, and reports with equal times: nothing depends on the order of arrival."""

from __future__ import annotations

from itertools import permutations

import pytest

from schemas.records import DeliveryEvent, Receipt, RemovedEvent, UnsubscribeEvent
from tests.unit.streams.contact_records import (
    ABSENT,
    DELIVERED,
    NUMBER,
    SPAM,
    START_OF_DAY,
    SYSTEM_ERROR,
    UNKNOWN_NUMBER,
    UNSUBSCRIBED,
    Report,
    command,
    inbound,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, Stage

HOUR = 3_600_000
YEAR_2099 = 4_070_908_800_000 - START_OF_DAY


def stage() -> Stage:
    return Stage(NOT_REGISTERING, ONE_LIST)


def test_a_delivery_dated_ahead_does_not_hide_the_failures_that_follow_it() -> None:
    worker = stage()
    worker.apply(receipt("m0", DELIVERED, YEAR_2099, received_at=1_000))
    worker.apply(*[receipt(f"m{n}", ABSENT, n * 60_000) for n in range(1, 4)])
    contact = worker.contact(NUMBER)
    assert (contact.active, contact.reason, contact.failures) == (False, "bad_response", 3)


def test_failures_count_after_a_start_that_is_dated_ahead() -> None:
    worker = stage()
    worker.apply(inbound("STOP", 1_000, id="SM1"), inbound("START", YEAR_2099, id="SM2", received_at=2_000))
    assert worker.contact(NUMBER).active
    worker.apply(*[receipt(f"m{n}", ABSENT, n * 60_000) for n in range(1, 4)])
    assert not worker.contact(NUMBER).active


def test_a_stop_that_follows_a_start_dated_ahead_removes_and_a_start_dated_back_does_not_undo_it() -> None:
    worker = stage()
    worker.apply(inbound("START", YEAR_2099, id="SM1", received_at=1_000), inbound("STOP", 2_000, id="SM2"))
    worker.apply(inbound("START", 1_500, id="SM3"))
    assert not worker.contact(NUMBER).active


@pytest.mark.parametrize("ahead", [6 * HOUR, YEAR_2099])
def test_failures_dated_ahead_do_not_count_after_a_restore(ahead: int) -> None:
    worker = stage()
    worker.apply(*[receipt(f"m{n}", ABSENT, ahead + n, received_at=n * 60_000) for n in range(3)])
    assert not worker.contact(NUMBER).active
    worker.apply(command("restore", 10 * 60_000))
    contact = worker.contact(NUMBER)
    assert (contact.active, contact.failures) == (True, 0)
    worker.apply(receipt("m8", DELIVERED, 11 * 60_000), receipt("m9", ABSENT, 12 * 60_000))
    contact = worker.contact(NUMBER)
    assert (contact.active, contact.failures) == (True, 1)


def test_what_is_told_of_a_report_dated_ahead_bears_the_time_of_its_receipt() -> None:
    [event] = stage().apply(receipt("m1", DELIVERED, YEAR_2099, received_at=7_000))
    assert isinstance(event, DeliveryEvent)
    assert event.timestamp == START_OF_DAY + 7_000


class TestTimesWithoutAZone:
    """Twilio's RawDlrDoneDate is the carrier's local time, in minutes: here eight hours behind."""

    def test_order_no_messages_against_what_else_happens(self) -> None:
        worker = stage()
        worker.apply(inbound("STOP", HOUR, id="SM1"), inbound("START", 2 * HOUR, id="SM2"))
        failed = [
            receipt(f"m{n}", ABSENT, n * 60_000 - 8 * HOUR, received_at=3 * HOUR + n * 60_000, provider="twilio")
            for n in range(3)
        ]
        worker.apply(*failed)
        assert worker.contact(NUMBER).reason == "bad_response"

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_order_the_reports_of_one_message(self, order: tuple[int, int]) -> None:
        """The later one by the carrier's clock was received first."""
        failed = receipt("m1", ABSENT, -8 * HOUR, received_at=9_000, provider="twilio")
        delivered = receipt("m1", DELIVERED, -8 * HOUR + 60_000, received_at=8_000, provider="twilio")
        worker = stage()
        worker.apply(*[(failed, delivered)[index] for index in order])
        assert worker.contact(NUMBER).failures == 0


@pytest.mark.parametrize(
    ("failed_at", "delivered_at"),
    [(None, None), (60_000, 60_000)],
    ids=["without a time of the carrier", "in the same minute"],
)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_twilios_undelivered_is_corrected_by_a_delivered_that_is_received_later(
    failed_at: int | None, delivered_at: int | None, order: tuple[int, int]
) -> None:
    failed = receipt("m1", ABSENT, failed_at, received_at=65_000, provider="twilio")
    delivered = receipt("m1", DELIVERED, delivered_at, received_at=96_000, provider="twilio")
    worker = stage()
    told = worker.apply(*[(failed, delivered)[index] for index in order])
    assert worker.contact(NUMBER).failures == 0
    assert [event.status for event in told if isinstance(event, DeliveryEvent)][-1] == "delivered"


def test_of_finals_with_one_time_the_same_one_counts_in_every_order() -> None:
    reports = [
        receipt("m1", ABSENT, 5_000, received_at=6_000),
        receipt("m1", DELIVERED, 5_000, received_at=6_500),
        receipt("m1", SYSTEM_ERROR, 5_000, received_at=6_500),
    ]
    ends = set()
    for arrival in permutations(reports):
        worker = stage()
        told = worker.apply(*arrival)
        last = [event for event in told if isinstance(event, DeliveryEvent)][-1]
        ends.add((last.status_detail, worker.contact(NUMBER).failures))
    assert ends == {("REJECTED_SYSTEM_ERROR", 0)}


NOT_THE_LAST_WORD = [
    (ABSENT, 5_000, UNSUBSCRIBED, 5_000),
    (ABSENT, None, SPAM, None),
    (DELIVERED, 5_000, SPAM, None),
    (DELIVERED, 5_000, UNSUBSCRIBED, 0),
    (SYSTEM_ERROR, 5_000, UNKNOWN_NUMBER, 5_000),
    (DELIVERED, 5_000, UNKNOWN_NUMBER, 4_000),
]
"""The report of a message that is its last word and when it happened, and the one that removes."""


class TestRemovalByAReportThatIsNotTheLastWord:
    """A contact that complained, opted out, or has no valid number is removed, whatever else is reported of the
    message.
    """

    @staticmethod
    def pair(case: tuple[Report, int | None, Report, int | None]) -> tuple[Receipt, Receipt]:
        return (
            receipt("m1", case[0], case[1], received_at=6_000),
            receipt("m1", case[2], case[3], received_at=7_000),
        )

    @pytest.mark.parametrize("case", NOT_THE_LAST_WORD)
    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_happens_in_every_order_and_once(
        self, case: tuple[Report, int | None, Report, int | None], order: tuple[int, int]
    ) -> None:
        pair = self.pair(case)
        worker = stage()
        told = worker.apply(*[pair[index] for index in order], *pair)
        assert not worker.contact(NUMBER).active
        removals = [event for event in told if isinstance(event, UnsubscribeEvent | RemovedEvent)]
        assert [type(event) for event in removals] == [UnsubscribeEvent if case[2] is UNSUBSCRIBED else RemovedEvent]

    @pytest.mark.parametrize("case", NOT_THE_LAST_WORD)
    def test_does_not_happen_again_after_a_restore(self, case: tuple[Report, int | None, Report, int | None]) -> None:
        pair = self.pair(case)
        worker = stage()
        worker.apply(*pair, command("restore", 60_000))
        assert worker.apply(*pair) == []
        assert worker.contact(NUMBER).active
