"""The callbacks to the URL that a message was registered with."""

from __future__ import annotations

import pytest

from schemas.records import MessageCallback, Record
from tests.unit.streams.contact_records import (
    ABSENT,
    ACCEPTED,
    ACCOUNT,
    AT_OPERATOR,
    DELIVERED,
    EXPIRED,
    NUMBER,
    SENT,
    SPAM,
    START_OF_DAY,
    SYSTEM_ERROR,
    UNKNOWN_NUMBER,
    UNSUBSCRIBED,
    Report,
    message_sent,
    receipt,
)
from tests.unit.streams.contact_stage import NOT_REGISTERING, ONE_LIST, REGISTERING, WAIT, Stage

URL = "https://crm.example/sms/9c99"
MESSAGE = message_sent("m1", "order-77", callback_url=URL, part_count=2, unique_args={"campaign": "7"})


def callbacks(events: list[Record]) -> list[tuple[str, int | None]]:
    """Events and reason codes."""
    return [(event.event, event.reason_code) for event in events if isinstance(event, MessageCallback)]


def test_a_registration_is_told_as_sent() -> None:
    stage = Stage(REGISTERING, ONE_LIST)
    (callback,) = [event for event in stage.apply(MESSAGE) if isinstance(event, MessageCallback)]
    assert callback == MessageCallback(
        event_id=callback.event_id,
        account=ACCOUNT,
        url=URL,
        message_id="order-77",
        unique_args={"campaign": "7"},
        event="sent",
        part_count=2,
        to=NUMBER,
        timestamp=START_OF_DAY,
    )


def test_a_failure_is_told_with_its_reason() -> None:
    stage = Stage(REGISTERING, ONE_LIST)
    stage.apply(MESSAGE)
    (callback,) = [e for e in stage.apply(receipt("m1", ABSENT, 5)) if isinstance(e, MessageCallback)]
    assert (callback.event, callback.reason_code, callback.reason_message) == ("undelivered", 1404, "Soft Bounce")
    assert (callback.part_count, callback.timestamp) == (None, START_OF_DAY + 5)


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([ACCEPTED, SENT], []),
        ([DELIVERED], [("delivered", None)]),
        ([AT_OPERATOR], [("delivered", None)]),
        ([ABSENT], [("undelivered", 1404)]),
        ([UNKNOWN_NUMBER], [("undelivered", 1400)]),
        ([SPAM], [("undelivered", 1408)]),
        ([UNSUBSCRIBED], [("undelivered", 1408)]),
        ([SYSTEM_ERROR], [("undelivered", 1409)]),
        ([Report("undeliverable", "BUFFERED", "transient", False)], []),
        # Once, whatever repeats or refines it.
        ([DELIVERED, DELIVERED], [("delivered", None)]),
        ([AT_OPERATOR, DELIVERED], [("delivered", None)]),
        ([ABSENT, EXPIRED], [("undelivered", 1404)]),
        # Again, when it is corrected.
        ([ABSENT, DELIVERED], [("undelivered", 1404), ("delivered", None)]),
        ([DELIVERED, ABSENT], [("delivered", None), ("undelivered", 1404)]),
        ([ABSENT, UNKNOWN_NUMBER], [("undelivered", 1404), ("undelivered", 1400)]),
        ([AT_OPERATOR, EXPIRED], [("delivered", None), ("undelivered", 1404)]),
    ],
)
def test_each_outcome_is_told_once_unless_it_is_corrected(
    reports: list[Report], expected: list[tuple[str, int | None]]
) -> None:
    receipts = [receipt("m1", report, at) for at, report in enumerate(reports, 1)]
    registered_first, report_first = Stage(REGISTERING, ONE_LIST), Stage(REGISTERING, ONE_LIST)
    assert callbacks(registered_first.apply(MESSAGE, *receipts)) == [("sent", None), *expected]
    assert callbacks(report_first.apply(*receipts, MESSAGE)) == [("sent", None), *expected]


def test_two_corrections_have_ids_of_their_own() -> None:
    stage = Stage(REGISTERING, ONE_LIST)
    reports = [receipt("m1", report, at) for at, report in enumerate([DELIVERED, ABSENT, DELIVERED], 1)]
    ids = [event.event_id for event in stage.apply(MESSAGE, *reports) if isinstance(event, MessageCallback)]
    assert len(ids) == len(set(ids)) == 4


def test_without_a_url_nothing_is_told() -> None:
    stage = Stage(REGISTERING, ONE_LIST)
    assert callbacks(stage.apply(message_sent("m1"), receipt("m1", DELIVERED, 5))) == []


@pytest.mark.parametrize(("report", "expected"), [(DELIVERED, ("delivered", None)), (ABSENT, ("undelivered", 1404))])
def test_a_report_that_went_out_before_the_registration_is_told_by_it(
    report: Report, expected: tuple[str, int | None]
) -> None:
    at_once, released = Stage(NOT_REGISTERING, ONE_LIST), Stage(REGISTERING, ONE_LIST)
    for stage in (at_once, released):
        stage.apply(receipt("m1", report, 5))
        stage.tick(WAIT)
        assert callbacks(stage.apply(MESSAGE)) == [("sent", None), expected]
        assert callbacks(stage.apply(MESSAGE, receipt("m1", report, 5))) == []


def test_a_correction_that_brings_the_url_is_told_what_is_known() -> None:
    stage = Stage(REGISTERING, ONE_LIST)
    stage.apply(message_sent("m1", "order-77"), receipt("m1", DELIVERED, 5))
    assert callbacks(stage.apply(MESSAGE)) == [("sent", None), ("delivered", None)]


def test_a_correction_of_the_url_repeats_nothing() -> None:
    stage = Stage(REGISTERING, ONE_LIST)
    stage.apply(MESSAGE)
    other = message_sent("m1", "order-77", callback_url="https://crm.example/other")
    assert callbacks(stage.apply(other)) == []
    (callback,) = [e for e in stage.apply(receipt("m1", DELIVERED, 5)) if isinstance(e, MessageCallback)]
    assert callback.url == "https://crm.example/other"
