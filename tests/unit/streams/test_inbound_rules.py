"""The effect of replies and operators' orders on a contact."""

from __future__ import annotations

from itertools import permutations

import pytest

from schemas.ids import derived_id
from schemas.records import ContactState, RemovedEvent, ReplyEvent, RestoredEvent, UnsubscribeEvent
from streams.optout import default_words
from streams.row import ContactRow
from streams.rules import MAX_INBOUND
from streams.rules.commands import MAX_ORDERS
from streams.rules.outcome import CONFIRMATION
from tests.unit.streams.contact_records import (
    ABSENT,
    ACCOUNT,
    LIST,
    NUMBER,
    SPAM,
    START_OF_DAY,
    UNKNOWN_NUMBER,
    UNSUBSCRIBED,
    Report,
    command,
    inbound,
    names,
    receipt,
)
from tests.unit.streams.contact_reports import Known, order
from tests.unit.streams.contact_reports import report as apply_receipt
from tests.unit.streams.contact_rules import Told, apply_inbound

WORDS = default_words()
REASONS = ["message", "manual", "complaint", "invalid_contact", "bad_response"]


def out_for(reason: str) -> ContactRow:
    """A contact that went out for a reason at the start of the day."""
    opted_out = reason == "message"
    return ContactRow(since=START_OF_DAY, active=False, reason=reason, removed_at=START_OF_DAY, opted_out=opted_out)


class TestReply:
    def test_is_passed_on(self) -> None:
        message = inbound("Is Saturday fine?", 5)
        assert apply_inbound(None, message, LIST, WORDS).events == (
            ReplyEvent(
                event_id=derived_id(message.event_id, "reply"),
                account=ACCOUNT,
                provider="twilio",
                phone_number=NUMBER,
                list_number=LIST,
                body="Is Saturday fine?",
                timestamp=START_OF_DAY + 5,
            ),
        )

    def test_of_media_alone_has_an_empty_body(self) -> None:
        [event] = apply_inbound(None, inbound(None), LIST, WORDS).events
        assert isinstance(event, ReplyEvent)
        assert event.body == ""

    @pytest.mark.parametrize("text", ["HELP", "INFO", "can't stop", 'Liked "Reply STOP to end"'])
    def test_leaves_the_contact_as_it_is(self, text: str) -> None:
        assert names(apply_inbound(None, inbound(text), LIST, WORDS).events) == ["ReplyEvent"]
        assert names(apply_inbound(out_for("message"), inbound(text, 9), LIST, WORDS).events) == ["ReplyEvent"]

    @pytest.mark.parametrize(("text", "keyword"), [
        ("PIZZA", "PIZZA"), ("PIZZA bus stop", "PIZZA"), ("nonSTOP", "non"), ("is it PIZZA STOP or QUIZ", "PIZZA"),
    ])  # fmt: skip
    def test_with_a_keyword_of_the_sender_is_no_opt_out_unless_it_says_so(self, text: str, keyword: str) -> None:
        assert names(apply_inbound(None, inbound(text, keyword=keyword), LIST, WORDS).events) == ["ReplyEvent"]

    def test_that_comes_twice_is_passed_on_once(self) -> None:
        row = apply_inbound(None, inbound("hello", id="SM1"), LIST, WORDS).row
        row = apply_inbound(row, inbound("hello", id="SM2"), LIST, WORDS).row
        repeated = apply_inbound(row, inbound("hello", id="SM1"), LIST, WORDS)
        assert repeated.events == ()
        assert repeated.row is row

    def test_without_an_id_is_known_by_its_event(self) -> None:
        row = apply_inbound(None, inbound("hello", 1, id=None), LIST, WORDS).row
        assert apply_inbound(row, inbound("hello", 1, id=None), LIST, WORDS).events == ()
        assert names(apply_inbound(row, inbound("hello", 2, id=None), LIST, WORDS).events) == ["ReplyEvent"]

    def test_ids_are_kept_for_the_last_replies(self) -> None:
        row = None
        for n in range(MAX_INBOUND + 3):
            row = apply_inbound(row, inbound("hello", n, id=f"SM{n}"), LIST, WORDS).row
        assert row is not None
        assert row.inbound == tuple(f"twilio:SM{n}" for n in range(3, MAX_INBOUND + 3))


class TestOptOut:
    def test_removes_the_contact(self) -> None:
        message = inbound(" stop! ", 5)
        outcome = apply_inbound(None, message, LIST, WORDS)
        event_id = derived_id(message.event_id, "unsubscribe")
        assert outcome.events == (
            UnsubscribeEvent(
                event_id=event_id,
                account=ACCOUNT,
                provider="twilio",
                phone_number=NUMBER,
                list_number=LIST,
                keyword="STOP",
                reason="message",
                timestamp=START_OF_DAY + 5,
                confirm_until=START_OF_DAY + 5 + CONFIRMATION,
                layer="keywords",
                received_at=message.received_at,
            ),
            ContactState(
                contact=f"{ACCOUNT}:{LIST}:{NUMBER}",
                account=ACCOUNT,
                list_number=LIST,
                phone_number=NUMBER,
                active=False,
                failures=0,
                reason="message",
                since=START_OF_DAY + 5,
                last_event_id=event_id,
            ),
        )

    @pytest.mark.parametrize(
        ("text", "kind", "keyword", "reported"),
        [
            ("stop", "opt_out", "STOP", "STOP"),
            ("that will do", "opt_out", "ENOUGH", "ENOUGH"),
            ("that will do", "opt_out", None, "UNSUBSCRIBED"),
            (None, "opt_out", "UNSUB", "UNSUB"),
            (None, "reply", "stop", "STOP"),
            ("PIZZA STOP", "reply", "pizza", "STOP"),
            ("\nPIZZA STOP", "reply", "pizza", "STOP"),
            ("STOP pizza", "reply", "STOP", "STOP"),
            ("Choose", "reply", "offers\nSTOP\nnews", "STOP"),
            ("", "reply", "stop", "STOP"),
            ("START", "opt_out", None, "UNSUBSCRIBED"),
            ("STOP", "opt_in", "JOIN", "STOP"),
        ],
    )
    def test_is_told_by_the_provider_or_by_the_text(
        self, text: str | None, kind: str, keyword: str | None, reported: str | None
    ) -> None:
        outcome = apply_inbound(None, inbound(text, kind=kind, keyword=keyword), LIST, WORDS)
        unsubscribe = outcome.events[0]
        assert isinstance(unsubscribe, UnsubscribeEvent)
        assert (unsubscribe.keyword, unsubscribe.reason) == (reported, "message")
        assert not outcome.row.active

    @pytest.mark.parametrize("reason", ["message", "manual", "complaint", "invalid_contact"])
    def test_of_a_contact_that_is_out_already_is_told_once(self, reason: str) -> None:
        outcome = apply_inbound(out_for(reason), inbound("STOP", 5), LIST, WORDS)
        assert names(outcome.events) == ([] if reason == "message" else ["UnsubscribeEvent"])
        assert (outcome.row.reason, outcome.row.since) == (reason, START_OF_DAY)
        assert apply_inbound(outcome.row, inbound("STOP", 6, id="SM2"), LIST, WORDS).events == ()

    def test_is_a_stronger_reason_than_bad_responses(self) -> None:
        message = inbound("STOP", 5)
        unsubscribe, state = apply_inbound(out_for("bad_response"), message, LIST, WORDS).events
        assert isinstance(state, ContactState)
        assert (state.reason, state.since) == ("message", START_OF_DAY)
        assert state.last_event_id == derived_id(message.event_id, "unsubscribe")
        assert isinstance(unsubscribe, UnsubscribeEvent)

    def test_that_comes_twice_does_not_undo_the_consent_in_between(self) -> None:
        row = apply_inbound(None, inbound("STOP", 1, id="SM1"), LIST, WORDS).row
        row = apply_inbound(row, inbound("START", 5, id="SM2"), LIST, WORDS).row
        assert apply_inbound(row, inbound("STOP", 1, id="SM1"), LIST, WORDS).row is row

    def test_with_the_id_of_an_earlier_one_counts_after_a_consent(self) -> None:
        row = apply_inbound(None, inbound("STOP", 1, id="SM1"), LIST, WORDS).row
        row = apply_inbound(row, inbound("START", 5, id="SM2"), LIST, WORDS).row
        assert not apply_inbound(row, inbound("STOP", 9, id="SM1"), LIST, WORDS).row.active

    def test_with_the_id_of_another_reply_counts(self) -> None:
        row = apply_inbound(None, inbound("nah, I'm good", 1, id="SM1"), LIST, WORDS).row
        assert not apply_inbound(row, inbound(None, 1, id="SM1", kind="opt_out"), LIST, WORDS).row.active


class TestOptIn:
    @pytest.mark.parametrize(
        ("text", "kind"), [("START", "reply"), ("yes", "reply"), ("back please", "opt_in"), (None, "opt_in")]
    )
    def test_brings_back_a_contact_that_had_opted_out(self, text: str | None, kind: str) -> None:
        outcome = apply_inbound(out_for("message"), inbound(text, 5, kind=kind), LIST, WORDS)
        assert names(outcome.events) == ["ReplyEvent", "RestoredEvent", "ContactState"]
        _, back, state = outcome.events
        assert isinstance(back, RestoredEvent)
        assert (back.list_number, back.reason, back.timestamp) == (LIST, "message", START_OF_DAY + 5)
        assert isinstance(state, ContactState)
        assert (state.active, state.reason, state.failures) == (True, None, 0)
        assert state.since == START_OF_DAY + 5
        assert state.last_event_id == back.event_id
        assert outcome.row.counted_from == START_OF_DAY + 5

    @pytest.mark.parametrize("reason", [reason for reason in REASONS if reason != "message"])
    def test_does_not_undo_another_reason(self, reason: str) -> None:
        outcome = apply_inbound(out_for(reason), inbound("START", 5), LIST, WORDS)
        assert names(outcome.events) == ["ReplyEvent"]
        assert (outcome.row.active, outcome.row.reason) == (False, reason)

    def test_undoes_an_opt_out_that_the_provider_reported(self) -> None:
        row = apply_receipt(None, receipt("m1", UNSUBSCRIBED, 1), None, LIST, 3).row
        assert apply_inbound(row, inbound("START", 5), LIST, WORDS).row.active

    def test_of_an_active_contact_is_a_reply(self) -> None:
        row = apply_receipt(None, receipt("m1", ABSENT, 1), None, LIST, 3).row
        outcome = apply_inbound(row, inbound("YES", 5), LIST, WORDS)
        assert names(outcome.events) == ["ReplyEvent"]
        assert outcome.row.failures == 1

    def test_that_is_older_than_the_opt_out_does_not_undo_it(self) -> None:
        row = apply_inbound(None, inbound("STOP", 5, id="SM2"), LIST, WORDS).row
        outcome = apply_inbound(row, inbound("START", 4, id="SM1"), LIST, WORDS)
        assert names(outcome.events) == ["ReplyEvent"]
        assert not outcome.row.active

    def test_at_the_time_of_the_opt_out_does_not_undo_it_in_either_order(self) -> None:
        replies = inbound("STOP", 5, id="SM1"), inbound("START", 5, id="SM2")
        for first, second in permutations(replies):
            row = apply_inbound(None, first, LIST, WORDS).row
            assert not apply_inbound(row, second, LIST, WORDS).row.active

    def test_that_is_older_than_a_repeated_opt_out_does_not_undo_it(self) -> None:
        row = apply_inbound(None, inbound("STOP", 1, id="SM1"), LIST, WORDS).row
        row = apply_inbound(row, inbound("STOP", 5, id="SM3"), LIST, WORDS).row
        assert not apply_inbound(row, inbound("START", 3, id="SM2"), LIST, WORDS).row.active

    def test_leaves_out_the_failures_before_a_later_restore(self) -> None:
        row = order(None, command("restore", 20)).row
        row = apply_inbound(row, inbound("STOP", 10, id="SM1"), LIST, WORDS).row
        row = apply_inbound(row, inbound("START", 15, id="SM2"), LIST, WORDS).row
        assert row.active
        assert apply_receipt(row, receipt("m1", ABSENT, 18), None, LIST, 3).row.failures == 0


class TestCommand:
    def test_remove_takes_the_contact_out(self) -> None:
        removal = command("remove", 5)
        outcome = order(None, removal)
        event_id = derived_id(removal.event_id, "removed")
        assert outcome.events == (
            RemovedEvent(
                event_id=event_id,
                account=ACCOUNT,
                provider="trackly",
                phone_number=NUMBER,
                list_number=LIST,
                reason="manual",
                message_id=None,
                timestamp=START_OF_DAY + 5,
            ),
            ContactState(
                contact=f"{ACCOUNT}:{LIST}:{NUMBER}",
                account=ACCOUNT,
                list_number=LIST,
                phone_number=NUMBER,
                active=False,
                failures=0,
                reason="manual",
                since=START_OF_DAY + 5,
                last_event_id=event_id,
            ),
        )

    @pytest.mark.parametrize(
        ("old", "reason"),
        [
            ("message", "manual"),
            ("bad_response", "manual"),
            ("manual", "manual"),
            ("complaint", "complaint"),
            ("invalid_contact", "invalid_contact"),
        ],
    )
    def test_remove_of_a_contact_that_is_out_strengthens_the_reason_at_most(self, old: str, reason: str) -> None:
        outcome = order(out_for(old), command("remove", 5))
        assert outcome.row.reason == reason
        assert names(outcome.events) == (["ContactState"] if reason != old else [])

    @pytest.mark.parametrize("reason", REASONS)
    def test_restore_brings_a_contact_back_whatever_the_reason(self, reason: str) -> None:
        restore = command("restore", 5)
        outcome = order(out_for(reason), restore)
        back, state = outcome.events
        assert isinstance(back, RestoredEvent)
        assert back.reason == "manual"
        assert isinstance(state, ContactState)
        assert (state.active, state.reason, state.failures) == (True, None, 0)
        assert state.since == START_OF_DAY + 5
        assert state.last_event_id == back.event_id

    def test_restore_clears_the_failures_of_an_active_contact(self) -> None:
        row = apply_receipt(None, receipt("m1", ABSENT, 1), None, LIST, 3).row
        [state] = order(row, command("restore", 5)).events
        assert isinstance(state, ContactState)
        assert (state.active, state.failures, state.since) == (True, 0, START_OF_DAY + 1)

    def test_restore_of_an_unknown_contact_says_nothing(self) -> None:
        outcome = order(None, command("restore", 5))
        assert outcome.events == ()
        assert outcome.row.counted_from == START_OF_DAY + 5

    @pytest.mark.parametrize("removal", ["STOP", SPAM, UNKNOWN_NUMBER])
    def test_restore_that_kafka_got_before_the_removal_happened_is_out_of_date(self, removal: str | Report) -> None:
        row = self._after(removal, 10_000)
        outcome = order(row, command("restore", 9_999))
        assert not outcome.row.active
        assert outcome.events == ()
        assert order(row, command("restore", 11_000)).row.active

    def test_orders_count_in_the_order_of_their_topic(self) -> None:
        row = order(None, command("restore", 6)).row
        assert not order(row, command("remove", 5)).row.active

    def test_orders_that_are_read_again_change_nothing(self) -> None:
        orders = [command("remove", 5), command("restore", 6), command("remove", 7), command("restore", 8)]
        row = None
        for each in orders:
            row = order(row, each).row
        for each in orders:
            assert order(row, each).row is row

    def test_ids_are_kept_of_the_last_orders(self) -> None:
        row = None
        for n in range(MAX_ORDERS + 3):
            row = order(row, command("remove", n)).row
        assert row is not None
        assert len(row.orders) == MAX_ORDERS

    def test_restore_that_is_read_again_does_not_undo_an_opt_out_that_came_late(self) -> None:
        row = order(None, command("restore", 20)).row
        row = apply_inbound(row, inbound("STOP", 10), LIST, WORDS).row
        assert not order(row, command("restore", 20)).row.active

    def test_restore_works_while_the_providers_clock_is_ahead(self) -> None:
        ahead = receipt("m1", SPAM, 3_600_000, received_at=5_000)
        row = apply_receipt(None, ahead, None, LIST, 3).row
        assert order(row, command("restore", 6_000)).row.active

    @pytest.mark.parametrize("reason", REASONS)
    def test_remove_is_for_the_reason_that_it_names(self, reason: str) -> None:
        outcome = order(None, command("remove", 5, reason))
        event, state = outcome.events
        assert isinstance(event, RemovedEvent)
        assert isinstance(state, ContactState)
        assert (event.reason, state.reason, outcome.row.reason) == (reason, reason, reason)

    @pytest.mark.parametrize(("old", "new", "kept"), [("message", "complaint", "complaint"),
                                                      ("complaint", "message", "complaint"),
                                                      ("manual", "bad_response", "manual")])  # fmt: skip
    def test_remove_for_a_weaker_reason_leaves_the_stronger(self, old: str, new: str, kept: str) -> None:
        assert order(out_for(old), command("remove", 5, new)).row.reason == kept

    def test_remove_for_an_unknown_reason_is_refused(self) -> None:
        with pytest.raises(ValueError, match="reason 'bored' must be one of bad_response, deactivated"):
            order(None, command("remove", 5, "bored"))

    def test_an_unknown_command_is_refused(self) -> None:
        with pytest.raises(ValueError, match="'pause' must be remove or restore"):
            order(None, command("pause"))

    @staticmethod
    def _after(removal: str | Report, at: int) -> ContactRow:
        outcome: Known | Told
        if isinstance(removal, Report):
            outcome = apply_receipt(None, receipt("m1", removal, at), None, LIST, 3)
        elif removal == "remove":
            outcome = order(None, command("remove", at))
        else:
            outcome = apply_inbound(None, inbound(removal, at), LIST, WORDS)
        assert not outcome.row.active
        return outcome.row
