"""What events say about the answer to a reply: whether the provider sent one, and until when the sender may."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from schemas.records import ReplyEvent, UnsubscribeEvent
from streams.optout import default_words
from tests.unit.streams.contact_records import LIST, inbound
from tests.unit.streams.contact_rules import apply_inbound

WORDS = default_words()
FIVE_MINUTES = 5 * 60 * 1000


def event(text: str, answered: bool | None = None) -> ReplyEvent | UnsubscribeEvent:
    message = replace(inbound(text, 5), answered_by_provider=answered)
    first = apply_inbound(None, message, LIST, WORDS).events[0]
    assert isinstance(first, ReplyEvent | UnsubscribeEvent)
    return first


@pytest.mark.parametrize("answered", [True, None])
@pytest.mark.parametrize("text", ["STOP", "START", "Do you have them in blue?"])
def test_an_event_says_whether_the_provider_answered(text: str, answered: bool | None) -> None:
    assert event(text, answered).answered_by_provider is answered


@pytest.mark.parametrize("text", ["STOP", "please stop texting me", "This is spam", "START"])
def test_an_opt_out_or_an_opt_in_may_be_confirmed_for_five_minutes(text: str) -> None:
    told = event(text)
    assert told.confirm_until == told.timestamp + FIVE_MINUTES


def test_another_reply_has_nothing_to_confirm() -> None:
    assert event("Do you have them in blue?").confirm_until is None
