"""The effect on a contact of a reply that accuses, asks, or quotes."""

from __future__ import annotations

import pytest

from schemas.records import ContactState, UnsubscribeEvent
from streams.optout import default_words
from streams.row import ContactRow
from tests.unit.streams.contact_records import LIST, START_OF_DAY, inbound, names
from tests.unit.streams.contact_rules import apply_inbound

WORDS = default_words()


def out_for(reason: str) -> ContactRow:
    """A contact that went out for a reason at the start of the day."""
    opted_out = reason == "message"
    return ContactRow(since=START_OF_DAY, active=False, reason=reason, removed_at=START_OF_DAY, opted_out=opted_out)


@pytest.mark.parametrize(
    ("text", "keyword", "reason"),
    [
        ("stpo", "STOP", "message"),
        ("s.t.o.p", "STOP", "message"),
        ("Please don’t text me anymore", "don't text", "message"),
        ("This is spam!", "this is spam", "complaint"),
        ("sc4m", "scam", "complaint"),
    ],
)
def test_an_opt_out_removes_with_the_keyword_and_reason_of_its_layer(text: str, keyword: str, reason: str) -> None:
    unsubscribe, state = apply_inbound(None, inbound(text, 5), LIST, WORDS).events
    assert isinstance(unsubscribe, UnsubscribeEvent)
    assert (unsubscribe.keyword, unsubscribe.reason) == (keyword, reason)
    assert isinstance(state, ContactState)
    assert (state.active, state.reason) == (False, reason)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("bad_response", "complaint"),
        ("message", "complaint"),
        ("manual", "complaint"),
        ("invalid_contact", "complaint"),
        ("complaint", "complaint"),
    ],
)
def test_a_complaint_replaces_a_weaker_reason(before: str, after: str) -> None:
    outcome = apply_inbound(out_for(before), inbound("this is spam", 5), LIST, WORDS)
    assert (outcome.row.reason, outcome.row.since) == (after, START_OF_DAY)
    told = [] if before == "message" else ["UnsubscribeEvent"]
    assert names(outcome.events) == told + (["ContactState"] if after != before else [])


def test_a_complaint_is_one_where_the_provider_calls_it_an_opt_out() -> None:
    unsubscribe = apply_inbound(None, inbound("SPAM", kind="opt_out", keyword="SPAM"), LIST, WORDS).events[0]
    assert isinstance(unsubscribe, UnsubscribeEvent)
    assert (unsubscribe.keyword, unsubscribe.reason) == ("spam", "complaint")


def test_start_does_not_undo_a_complaint() -> None:
    row = apply_inbound(None, inbound("this is spam", 1, id="SM1"), LIST, WORDS).row
    outcome = apply_inbound(row, inbound("START", 2, id="SM2"), LIST, WORDS)
    assert names(outcome.events) == ["ReplyEvent"]
    assert (outcome.row.active, outcome.row.reason) == (False, "complaint")


def test_start_undoes_an_opt_out_by_a_phrase() -> None:
    row = apply_inbound(None, inbound("stop texting me", 1, id="SM1"), LIST, WORDS).row
    assert apply_inbound(row, inbound("START", 2, id="SM2"), LIST, WORDS).row.active


@pytest.mark.parametrize(
    "text", ["stop by at 5", "Liked “Stop texting me, reply STOP to end”", "HELP", "INFO", "spam musubi", "🛑"]
)
def test_another_reply_is_passed_on_and_changes_nothing(text: str) -> None:
    outcome = apply_inbound(None, inbound(text, 5), LIST, WORDS)
    assert names(outcome.events) == ["ReplyEvent"]
    assert outcome.row.active
