"""The number of messages that a contact may get in 24 hours, counted from registrations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.contacts.sent_messages import is_old, row_of
from hours.policy import CAP_MS, MOST_CAP
from schemas.ids import recipient_key
from schemas.records import MessageSent
from tests.clock import START
from tests.unit.console.console_parts import CODEC, LIST, Api, refusal
from tests.unit.console.contacts.test_quiet_hours import MIAMI, check, settle

HOUR = 3_600_000


def registration(sent_at: int, name: str = "p", provider: str = "infobip", written_at: int | None = None) -> Any:
    """Return a registration as stored on its topic."""
    ids = {"message_id": "m", "provider": provider, "provider_message_id": name}
    message = MessageSent(**ids, account="acme", list_number=LIST, to=MIAMI, sent_at=sent_at)
    return SimpleNamespace(value=CODEC.encode(message), timestamp=sent_at if written_at is None else written_at)


@pytest.fixture
def api() -> Api:
    api = Api()
    settle(api, sending_cap=2)
    api.counts_messages()
    return api


def send(api: Api, *registrations: Any) -> None:
    key = recipient_key("acme", MIAMI)
    for each in registrations:
        api.registered.write({key: row_of(CODEC, api.registered.get(key), each)}, None)


async def test_a_contact_that_got_as_many_messages_as_it_may_waits_until_the_first_is_a_day_old(api: Api) -> None:
    send(api, registration(START - 2 * HOUR, "a"))
    assert (await check(api, MIAMI))[0]["may_be_texted"] is True
    send(api, registration(START - HOUR, "b"))
    (answer,) = await check(api, MIAMI)
    assert (answer["may_be_texted"], answer["reason"], answer["rule"]) == (False, "frequency_cap", "account-cap")
    assert answer["not_before"] == "2024-01-16T08:30:00.000Z"
    api.clock.now = 22 * 3_600
    assert (await check(api, MIAMI))[0]["may_be_texted"] is True


async def test_the_same_message_counts_once_at_its_newest_time(api: Api) -> None:
    send(api, registration(START - 3 * HOUR, "a"), registration(START - HOUR, "a"))
    assert (await check(api, MIAMI))[0]["may_be_texted"] is True
    send(api, registration(START - HOUR, "a", provider="twilio"))
    assert (await check(api, MIAMI))[0]["not_before"] == "2024-01-16T09:30:00.000Z"


async def test_no_message_counts_as_sent_after_it_was_registered(api: Api) -> None:
    later = registration(START + 100 * HOUR, "a", written_at=START - HOUR)
    send(api, later, registration(START - HOUR, "b"))
    assert (await check(api, MIAMI))[0]["not_before"] == "2024-01-16T09:30:00.000Z"


async def test_a_cap_does_not_hold_back_what_is_not_marketing(api: Api) -> None:
    send(api, registration(START, "a"), registration(START, "b"))
    assert (await check(api, MIAMI, purpose="transactional"))[0]["may_be_texted"] is True


async def test_while_messages_are_not_counted_nobody_may_be_texted_where_there_is_a_cap() -> None:
    api = Api()
    settle(api, sending_cap=2)
    body = {"list_number": LIST, "numbers": [MIAMI]}
    answer = await api.post("/api/contacts/check", json=body)
    assert refusal(answer) == (503, "not_available")
    assert "have not been counted yet" in answer.json()["message"]
    assert (await api.post("/api/contacts/check", json=body | {"purpose": "transactional"})).status_code == 200
    settle(api, sending_cap=None)
    assert (await api.post("/api/contacts/check", json=body)).status_code == 200


async def test_caps_of_rules_count_where_the_account_says_so(api: Api) -> None:
    settle(api, sending_cap=None, sending_rules=("us-fl",), sending_rule_caps=True)
    send(api, *(registration(START, name) for name in "abc"))
    api.clock.now = 5 * 3_600
    (answer,) = await check(api, MIAMI)
    assert (answer["reason"], answer["rule"]) == ("frequency_cap", "us-fl")
    settle(api, sending_rule_caps=False)
    assert (await check(api, MIAMI))[0]["may_be_texted"] is True


def test_what_is_no_registration_is_passed_over() -> None:
    assert row_of(CODEC, None, SimpleNamespace(value=b"nonsense", timestamp=1)) is None
    row = row_of(CODEC, None, registration(START))
    assert row_of(CODEC, row, SimpleNamespace(value=None, timestamp=1)) == row


@given(st.lists(st.tuples(st.integers(0, 3 * CAP_MS), st.sampled_from("abcdef")), max_size=12))
def test_a_row_holds_each_message_of_the_last_day_once(sent: list[tuple[int, str]]) -> None:
    row = None
    for at, name in sorted(sent):
        row = row_of(CODEC, row, registration(at, name))
    last = max((at for at, _ in sent), default=0)
    newest = {name: at for at, name in sorted(sent)}
    assert len(row or b"") // 16 == sum(at > last - CAP_MS for at in newest.values())


def test_a_row_is_bounded_and_is_gone_after_a_day() -> None:
    row = None
    for number in range(MOST_CAP + 50):
        row = row_of(CODEC, row, registration(START, str(number)))
    assert row is not None
    assert len(row) == MOST_CAP * 16
    assert is_old(row)
