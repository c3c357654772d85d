"""The effect of a delivery receipt on a contact."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from schemas.ids import derived_id
from schemas.records import ContactState, DeliveryEvent, RemovedEvent, UnsubscribeEvent
from streams.optout import default_words
from streams.row import ContactRow
from streams.rules import rank
from tests.unit.streams.contact_records import (
    ABSENT,
    ACCEPTED,
    ACCOUNT,
    AT_OPERATOR,
    DELIVERED,
    ENROUTE,
    EXPIRED,
    LIST,
    NUMBER,
    SENT,
    SPAM,
    START_OF_DAY,
    SYSTEM_ERROR,
    UNKNOWN_NUMBER,
    UNSUBSCRIBED,
    Report,
    command,
    inbound,
    message_sent,
    names,
    receipt,
)
from tests.unit.streams.contact_reports import Known, order
from tests.unit.streams.contact_reports import report as apply_receipt
from tests.unit.streams.contact_rules import apply_inbound

THRESHOLD = 3
NAME = "infobip:m1"


def after(*steps: tuple[str, Report, int | None], known: Known | None = None) -> Known:
    """Return the state after some receipts (message, report, time), with the events of the last one."""
    known = known or Known(ContactRow(since=START_OF_DAY))
    for message, report, at in steps:
        known = apply_receipt(known, receipt(message, report, at), None, LIST, THRESHOLD)
    return known


def contact_state(outcome: Known) -> ContactState | None:
    found = [event for event in outcome.events if isinstance(event, ContactState)]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("status", "detail", "final", "expected"),
    [
        ("pending", "PENDING_ACCEPTED", False, 0),
        ("pending", "SENT", False, 1),
        ("delivered", "DELIVERED_TO_OPERATOR", False, 2),
        ("undeliverable", "BUFFERED", False, 2),
        ("delivered", "DELIVERED_TO_OPERATOR", True, 3),
        ("delivered", "DELIVERED_TO_HANDSET", True, 3),
        ("rejected", "REJECTED_SPAM", True, 3),
        ("expired", "EXPIRED", True, 3),
    ],
)
def test_rank(status: str, detail: str, final: bool, expected: int) -> None:
    assert rank(status, detail, final) == expected


class TestMessageState:
    """Old and new report of one message: does the new one give an event, and which state stays?"""

    @pytest.mark.parametrize(
        ("old", "new", "published", "kept"),
        [
            # A higher rank replaces a lower one, whenever it happened.
            ((ACCEPTED, 1), (SENT, 2), True, SENT),
            ((ACCEPTED, 5), (SENT, 2), True, SENT),
            ((SENT, 1), (AT_OPERATOR, 2), True, AT_OPERATOR),
            ((AT_OPERATOR, 1), (DELIVERED, 2), True, DELIVERED),
            ((AT_OPERATOR, 5), (ABSENT, 2), True, ABSENT),
            ((AT_OPERATOR, 1), (AT_OPERATOR._replace(final=True), 2), True, AT_OPERATOR),
            ((ACCEPTED, None), (DELIVERED, None), True, DELIVERED),
            # A lower rank never comes back.
            ((SENT, 1), (ACCEPTED, 2), False, SENT),
            ((AT_OPERATOR, 1), (SENT, 2), False, AT_OPERATOR),
            ((DELIVERED, 1), (AT_OPERATOR, 2), False, DELIVERED),
            ((ABSENT, 1), (ACCEPTED, 2), False, ABSENT),
            # Below final: another status is news, the same one and an older one are not.
            ((ACCEPTED, 1), (ENROUTE, 2), True, ENROUTE),
            ((ACCEPTED, 1), (ENROUTE, 1), True, ENROUTE),
            ((ACCEPTED, 1), (ACCEPTED, 1), False, ACCEPTED),
            ((ACCEPTED, 1), (ACCEPTED, 2), False, ACCEPTED),
            ((ENROUTE, 2), (ACCEPTED, 1), False, ENROUTE),
            # Final: corrected only by a later final report, by the provider's own time, else by its receipt.
            ((DELIVERED, 1), (DELIVERED, 1), False, DELIVERED),
            ((DELIVERED, 1), (DELIVERED, 2), False, DELIVERED),
            ((DELIVERED, 1), (ABSENT, 2), True, ABSENT),
            ((ABSENT, 1), (DELIVERED, 2), True, DELIVERED),
            ((ABSENT, 1), (EXPIRED, 2), True, EXPIRED),
            ((DELIVERED, 2), (ABSENT, 1), False, DELIVERED),
            ((DELIVERED, 2), (ABSENT, 2), True, ABSENT),
            ((DELIVERED, None), (ABSENT, 2), False, DELIVERED),
            ((DELIVERED, 1), (ABSENT, None), True, ABSENT),
            ((DELIVERED, None), (ABSENT, None), True, ABSENT),
        ],
    )
    def test_a_second_report(
        self, old: tuple[Report, int | None], new: tuple[Report, int | None], published: bool, kept: Report
    ) -> None:
        known = after(("m1", *old))
        second = receipt("m1", new[0], new[1], received_at=9_000)
        outcome = apply_receipt(known, second, None, LIST, THRESHOLD)
        assert ("DeliveryEvent" in names(outcome.events)) == published
        state = outcome.messages[NAME].state
        assert state is not None
        assert (state.status, state.detail, state.status_class) == (
            kept.status,
            kept.detail,
            kept.status_class,
        )

    def test_the_newest_time_of_a_repeated_final_report_counts_for_corrections(self) -> None:
        """Reports of 1, 2, and 3 o'clock lead to the same result in every order."""
        late_repeat = after(("m1", ABSENT, 1), ("m1", ABSENT, 3), ("m1", DELIVERED, 2))
        in_order = after(("m1", ABSENT, 1), ("m1", DELIVERED, 2), ("m1", ABSENT, 3))
        assert late_repeat.messages == in_order.messages
        assert late_repeat.row.counted == in_order.row.counted == ((NAME, START_OF_DAY + 3, True),)

    def test_messages_of_two_providers_with_one_id_are_two_messages(self) -> None:
        other = replace(receipt("m1", ABSENT, 2), provider="cm")
        outcome = apply_receipt(after(("m1", DELIVERED, 1)), other, None, LIST, THRESHOLD)
        assert [message.key for message in outcome.row.counted] == [NAME, "cm:m1"]

    def test_a_report_without_effect_gives_the_rows_themselves(self) -> None:
        known = after(("m1", DELIVERED, 1))
        outcome = apply_receipt(known, receipt("m1", SENT, 5), None, LIST, THRESHOLD)
        assert outcome.row is known.row
        assert outcome.messages[NAME] is known.messages[NAME]
        assert outcome.events == ()


class TestDeliveryEvent:
    def test_it_tells_the_state_of_the_message(self) -> None:
        report = receipt("m1", ABSENT, 5)
        outcome = apply_receipt(None, report, message_sent("m1", "order-77"), LIST, THRESHOLD)
        assert outcome.events[0] == DeliveryEvent(
            event_id=derived_id(report.event_id, "delivery"),
            account=ACCOUNT,
            message_id="order-77",
            provider_message_id="m1",
            provider="infobip",
            to=NUMBER,
            list_number=LIST,
            status="undeliverable",
            status_detail="REJECTED_ABSENT_SUBSCRIBER",
            status_class="transient",
            provider_code="(2,7)",
            final=True,
            timestamp=START_OF_DAY + 5,
        )

    def test_without_a_registration_the_providers_id_is_the_message_id(self) -> None:
        [event] = apply_receipt(None, receipt("m1", DELIVERED, 5), None, LIST, THRESHOLD).events
        assert isinstance(event, DeliveryEvent)
        assert event.message_id == "m1"

    def test_without_the_providers_time_it_bears_the_time_of_receipt(self) -> None:
        report = receipt("m1", DELIVERED, None, received_at=70)
        [event] = apply_receipt(None, report, None, LIST, THRESHOLD).events
        assert isinstance(event, DeliveryEvent)
        assert event.timestamp == START_OF_DAY + 70


class TestFailureCount:
    @pytest.mark.parametrize(
        ("steps", "failures"),
        [
            ([("m1", ABSENT, 1)], 1),
            ([("m1", ABSENT, 1), ("m2", EXPIRED, 2)], 2),
            ([("m1", ABSENT, 1), ("m1", ABSENT, 1)], 1),
            ([("m1", ABSENT, 1), ("m1", EXPIRED, 2)], 1),
            ([("m1", ABSENT, 1), ("m2", DELIVERED, 2)], 0),
            ([("m2", DELIVERED, 2), ("m1", ABSENT, 1)], 0),
            ([("m1", ABSENT, 1), ("m2", AT_OPERATOR, 2)], 0),
            ([("m1", ABSENT, 1), ("m2", AT_OPERATOR, 2), ("m2", EXPIRED, 3)], 2),
            ([("m1", ABSENT, 1), ("m2", SENT, 2)], 1),
            ([("m1", ABSENT, 1), ("m2", SYSTEM_ERROR, 2), ("m3", ABSENT, 3)], 2),
            ([("m1", ABSENT, 1), ("m2", ABSENT, 2), ("m2", DELIVERED, 3)], 0),
            ([("m1", DELIVERED, 1), ("m2", ABSENT, 2), ("m1", ABSENT, 3)], 2),
            ([("m1", ABSENT, 1), ("m3", ABSENT, 3), ("m2", DELIVERED, 2)], 1),
        ],
    )
    def test_is_of_messages_in_a_row_by_the_providers_time(
        self, steps: list[tuple[str, Report, int]], failures: int
    ) -> None:
        row = after(*steps).row
        assert row.failures == failures
        assert row.active

    def test_each_change_of_it_is_published(self) -> None:
        outcome = after(("m1", ABSENT, 1), ("m2", ABSENT, 2))
        assert outcome.events[1] == ContactState(
            contact=f"{ACCOUNT}:{LIST}:{NUMBER}",
            account=ACCOUNT,
            list_number=LIST,
            phone_number=NUMBER,
            active=True,
            failures=2,
            reason=None,
            since=START_OF_DAY,
            last_event_id=derived_id(receipt("m2", ABSENT, 2).event_id, "delivery"),
        )
        assert names(outcome.events) == ["DeliveryEvent", "ContactState"]

    def test_a_delivered_message_of_a_contact_without_failures_changes_no_state(self) -> None:
        assert names(after(("m1", DELIVERED, 1), ("m2", DELIVERED, 2)).events) == ["DeliveryEvent"]


class TestRemoval:
    @pytest.mark.parametrize(("report", "reason"), [(SPAM, "complaint"), (UNKNOWN_NUMBER, "invalid_contact")])
    def test_some_classes_remove_at_once(self, report: Report, reason: str) -> None:
        first = receipt("m1", report, 5)
        outcome = apply_receipt(None, first, message_sent("m1"), LIST, THRESHOLD)
        removed_id = derived_id(first.event_id, "removed")
        removed = RemovedEvent(
            event_id=removed_id,
            account=ACCOUNT,
            provider="infobip",
            phone_number=NUMBER,
            list_number=LIST,
            reason=reason,
            message_id="order-77",
            timestamp=START_OF_DAY + 5,
            received_at=first.received_at,
        )
        assert outcome.events[-2] == removed
        state = contact_state(outcome)
        assert state is not None
        assert (state.active, state.reason, state.since) == (False, reason, START_OF_DAY + 5)
        assert state.last_event_id == removed_id

    def test_an_opt_out_that_a_report_tells_is_one(self) -> None:
        first = receipt("m1", UNSUBSCRIBED, 5)
        outcome = apply_receipt(None, first, None, LIST, THRESHOLD)
        assert names(outcome.events) == ["DeliveryEvent", "UnsubscribeEvent", "ContactState"]
        assert outcome.events[1] == UnsubscribeEvent(
            event_id=derived_id(first.event_id, "unsubscribe"),
            account=ACCOUNT,
            provider="infobip",
            phone_number=NUMBER,
            list_number=LIST,
            keyword="UNSUBSCRIBED",
            reason="message",
            timestamp=START_OF_DAY + 5,
            layer="report",
            received_at=first.received_at,
        )

    @pytest.mark.parametrize("threshold", [1, 2, 3, 5, 10])
    def test_failures_in_a_row_remove_at_the_threshold(self, threshold: int) -> None:
        known = None
        for n in range(1, threshold):
            known = apply_receipt(known, receipt(f"m{n}", ABSENT, n), None, LIST, threshold)
            assert known.row.active
        outcome = apply_receipt(known, receipt("last", ABSENT, threshold), None, LIST, threshold)
        assert names(outcome.events) == ["DeliveryEvent", "RemovedEvent", "ContactState"]
        removed = outcome.events[1]
        assert isinstance(removed, RemovedEvent)
        assert (removed.reason, removed.message_id) == ("bad_response", "last")
        assert (outcome.row.active, outcome.row.reason) == (False, "bad_response")
        assert outcome.row.since == START_OF_DAY + threshold

    def test_a_late_failure_can_complete_the_run(self) -> None:
        row = after(("m1", ABSENT, 1), ("m3", ABSENT, 3), ("m2", ABSENT, 2)).row
        assert (row.active, row.reason, row.failures) == (False, "bad_response", 3)

    def test_a_correction_that_joins_two_runs_removes(self) -> None:
        known = after(("m1", ABSENT, 1), ("m2", AT_OPERATOR, 2), ("m3", ABSENT, 3), ("m4", ABSENT, 4))
        assert known.row.active
        row = after(("m2", SYSTEM_ERROR, 2), known=known).row
        assert (row.active, row.reason) == (False, "bad_response")

    def test_a_lower_threshold_waits_for_the_next_failure(self) -> None:
        known = after(("m1", ABSENT, 1), ("m2", ABSENT, 2))
        known = apply_receipt(known, receipt("m3", SENT, 3), None, LIST, threshold=1)
        assert known.row.active
        assert not apply_receipt(known, receipt("m3", ABSENT, 4), None, LIST, threshold=1).row.active

    def test_it_happens_once(self) -> None:
        run = [(f"m{n}", ABSENT, n) for n in range(1, 5)]
        outcome = after(*run)
        assert names(outcome.events) == ["DeliveryEvent", "ContactState"]
        assert outcome.row.failures == 4
        assert outcome.row.since == START_OF_DAY + 3

    @pytest.mark.parametrize("first", [SPAM, UNKNOWN_NUMBER, UNSUBSCRIBED])
    def test_a_delivered_message_does_not_undo_it(self, first: Report) -> None:
        outcome = after(("m1", first, 1), ("m2", DELIVERED, 2))
        assert names(outcome.events) == ["DeliveryEvent"]
        assert not outcome.row.active

    def test_a_delivered_message_after_bad_responses_clears_the_count_only(self) -> None:
        outcome = after(*[(f"m{n}", ABSENT, n) for n in range(1, 4)], ("m4", DELIVERED, 4))
        state = contact_state(outcome)
        assert state is not None
        assert (state.active, state.failures, state.reason) == (False, 0, "bad_response")

    def test_a_correction_recomputes_the_count_but_does_not_undo_it(self) -> None:
        row = after(("m1", ABSENT, 1), ("m2", ABSENT, 2), ("m3", ABSENT, 3), ("m3", DELIVERED, 4)).row
        assert (row.active, row.reason, row.failures) == (False, "bad_response", 0)

    @pytest.mark.parametrize(
        ("old", "new", "reason", "published"),
        [
            (UNSUBSCRIBED, SPAM, "complaint", True),
            (UNSUBSCRIBED, UNKNOWN_NUMBER, "invalid_contact", True),
            (SPAM, UNSUBSCRIBED, "complaint", False),
            (SPAM, UNKNOWN_NUMBER, "complaint", False),
            (UNKNOWN_NUMBER, SPAM, "complaint", True),
            (UNKNOWN_NUMBER, UNSUBSCRIBED, "invalid_contact", False),
        ],
    )
    def test_only_a_stronger_reason_replaces_a_reason(
        self, old: Report, new: Report, reason: str, published: bool
    ) -> None:
        outcome = after(("m1", old, 1), ("m2", new, 2))
        assert outcome.row.reason == reason
        assert outcome.row.since == START_OF_DAY + 1
        told = [name for name in names(outcome.events) if name != "UnsubscribeEvent"]
        assert told == ["DeliveryEvent", "ContactState"][: 1 + published]
        assert ("UnsubscribeEvent" in names(outcome.events)) == (new is UNSUBSCRIBED)

    def test_bad_responses_are_the_weakest_reason(self) -> None:
        failed = [(f"m{n}", ABSENT, n) for n in range(1, 4)]
        assert after(*failed, ("m9", UNSUBSCRIBED, 9)).row.reason == "message"
        assert after(("m0", UNSUBSCRIBED, 0), *failed).row.reason == "message"

    def test_a_report_that_repeats_after_a_restore_does_not_remove_again(self) -> None:
        known = after(("m1", SPAM, 1))
        row = order(known.row, command("restore", 10_000)).row
        for repeat in [receipt("m1", SPAM, 1), receipt("m1", SPAM, 20_000)]:
            outcome = apply_receipt(known._replace(row=row), repeat, None, LIST, THRESHOLD)
            assert outcome.row.active
            assert outcome.events == ()

    @pytest.mark.parametrize("way", ["start", "restore"])
    def test_failures_before_a_return_do_not_count_even_if_they_arrive_late(self, way: str) -> None:
        known = after(("m0", UNSUBSCRIBED, 0), ("m1", ABSENT, 1), ("m2", ABSENT, 2))
        if way == "start":
            row = apply_inbound(known.row, inbound("START", 10_000), LIST, default_words()).row
        else:
            row = order(known.row, command("restore", 10_000)).row
        known = after(("m3", ABSENT, 3), ("m4", ABSENT, 10_000), known=known._replace(row=row))
        assert (known.row.active, known.row.failures) == (True, 0)
        known = after(("m5", ABSENT, 10_001), known=known)
        assert (known.row.active, known.row.failures) == (True, 1)


class TestOrphans:
    """Receipts without a list or a recipient touch no contact."""

    @pytest.mark.parametrize("report", [SPAM, UNKNOWN_NUMBER, UNSUBSCRIBED, ABSENT])
    @pytest.mark.parametrize(("list_number", "to"), [(None, NUMBER), (LIST, None), (None, None)])
    def test_give_the_delivery_event_alone(self, report: Report, list_number: str | None, to: str | None) -> None:
        outcome = apply_receipt(None, receipt("m1", report, 1, to=to), None, list_number, threshold=1)
        [event] = outcome.events
        assert isinstance(event, DeliveryEvent)
        assert (event.list_number, event.to) == (list_number, to)
        assert outcome.row.active

    def test_are_ranked_all_the_same(self) -> None:
        known = apply_receipt(None, receipt("m1", DELIVERED, 1), None, None, THRESHOLD)
        assert apply_receipt(known, receipt("m1", SENT, 2), None, None, THRESHOLD).events == ()


class TestBounds:
    @pytest.mark.parametrize(("threshold", "bound"), [(1, 32), (3, 32), (8, 32), (9, 36), (20, 80)])
    def test_a_row_keeps_the_newest_messages_that_count(self, threshold: int, bound: int) -> None:
        known = None
        for n in range(bound + 5):
            known = apply_receipt(known, receipt(f"m{n}", DELIVERED, n), None, LIST, threshold)
        assert known is not None
        assert [message.key for message in known.row.counted] == [f"infobip:m{n}" for n in range(5, bound + 5)]

    def test_an_older_message_than_those_kept_is_published_but_not_counted(self) -> None:
        known = after(*[(f"m{n}", DELIVERED, n) for n in range(1, 33)])
        outcome = after(("old", ABSENT, 0), known=known)
        assert names(outcome.events) == ["DeliveryEvent"]
        assert outcome.row == known.row

    def test_replies_are_carried_along(self) -> None:
        row = ContactRow(since=1, inbound=("cm:1",))
        kept = after(("m1", SPAM, 1), known=Known(row)).row
        assert kept.inbound == ("cm:1",)


def test_a_new_row_dates_from_its_first_record() -> None:
    row = apply_receipt(None, receipt("m1", DELIVERED, 5), None, LIST, THRESHOLD).row
    assert (row.active, row.reason, row.since) == (True, None, START_OF_DAY + 5)
