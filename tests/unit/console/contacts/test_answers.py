"""The answers of checks, compared with a plain step-by-step computation for each number."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import schemas.numbering
from accounts.sending_hours import policy_of
from accounts.suppression import WHOLE_ACCOUNT, effective_state, unrecorded
from console.contacts.pending_orders import row_of
from console.contacts.sent_messages import row_of as sent_row
from hours.policy import SendingHours, Verdict
from schemas.cloudevents import iso_time
from schemas.ids import recipient_key
from schemas.numbering import spellings
from schemas.records import ContactCommand, ContactPlace, MessageSent
from tests.clock import START
from tests.examples import examples
from tests.unit.console.console_parts import CODEC, LIST, Api

NUMBERS = ("+12125550123", "+13055550123", "+18005550123", "+5215512345678", "+61412345678", "+4915112345678")
STATES = st.none() | st.fixed_dictionaries(
    {
        "active": st.booleans(),
        "failures": st.integers(0, 3),
        "reason": st.sampled_from(("message", "complaint", "bad_response")),
        "held": st.booleans(),
        "except_lists": st.sampled_from(((), (LIST,))),
    }
)
CONTACTS = st.fixed_dictionaries(
    {
        "own": STATES,
        "whole": STATES,
        "order": st.sampled_from((None, "remove", "erase", "restore")),
        "place": st.sampled_from((None, "TX", "CA")),
        "sent": st.integers(0, 4),
    }
)


@cache
def house() -> Api:
    """One console for all examples: creating one costs more than asking it."""
    return Api()


def put(api: Api, phone: str, known: dict[str, Any]) -> None:
    """Add a contact to a console's copy."""
    for listed, state in ((LIST, known["own"]), (WHOLE_ACCOUNT, known["whole"])):
        if state is not None:
            scope = "list" if listed else "account"
            api.contact(number=phone, list_number=listed, **state | {"scope": scope, "held": state["held"]})
    key, at = recipient_key("acme", phone), int(api.clock.now_ms())
    if known["order"] is not None:
        ids = {"event_id": "evt_1", "account": "acme", "list_number": LIST, "phone_number": phone}
        value = CODEC.encode(ContactCommand(command=known["order"], issued_at=1, **ids))
        api.orders.write({key: row_of(CODEC, None, SimpleNamespace(value=value, partition=0, offset=5))}, None)
    if known["place"] is not None:
        place = ContactPlace(account="acme", phone_number=phone, state=known["place"], given_at=1)
        api.written.places.write({key: CODEC.encode(place)}, None)
    row = None
    for number in range(known["sent"]):
        ids = {"message_id": f"m{number}", "provider": "infobip", "provider_message_id": f"p{number}"}
        sent = MessageSent(account="acme", list_number=LIST, to=phone, sent_at=at - 60_000 * number - 1, **ids)
        row = sent_row(CODEC, row, SimpleNamespace(value=CODEC.encode(sent), timestamp=at))
    api.registered.write({key: row}, None)


def plainly(api: Api, phone: str, purpose: str) -> dict[str, Any]:
    """Compute the answer about a number, step by step."""
    view = api.view
    own, whole = view.recorded.contact("acme", LIST, phone), view.recorded.contact("acme", WHOLE_ACCOUNT, phone)
    state = effective_state(own or unrecorded("acme", LIST, phone), whole)
    hold = view.orders.pending("acme", phone) if state.active else None
    now = api.clock.now_ms()
    judge = SendingHours(policy_of(api.accounts.accounts["acme"]))
    where, sent = api.parts.places.given("acme", phone), view.sent.times("acme", phone, now)
    timing = Verdict(True) if purpose == "transactional" else judge.judge(phone, now, where, sent)
    is_timed = state.active and hold is None
    return {
        "number": phone,
        "may_be_texted": is_timed and timing.may,
        "reason": state.reason if not state.active else hold or timing.reason,
        "since": iso_time(state.since) if state.since else None,
        "scope": state.scope,
        "held": state.held or hold is not None,
        "failures": state.failures,
        "not_before": iso_time(timing.not_before) if is_timed and timing.not_before is not None else None,
        "until": iso_time(timing.until) if is_timed and timing.until is not None else None,
        "time_zones": timing.zones,
        "rule": timing.rule if is_timed else None,
        "code": None,
    }


@settings(max_examples=examples(150), deadline=None)
@given(
    contacts=st.lists(CONTACTS, min_size=len(NUMBERS), max_size=len(NUMBERS)),
    rules=st.sampled_from(((), ("us",), ("us", "us-calls"))),
    cap=st.none() | st.integers(1, 4),
    hour=st.integers(0, 24 * 400),
    purpose=st.sampled_from(("marketing", "transactional")),
)
def test_answers_are_what_each_step_by_itself_says(
    contacts: list[dict[str, Any]], rules: tuple[str, ...], cap: int | None, hour: int, purpose: str
) -> None:
    api = house()
    for store in (api.store, api.orders, api.registered, api.written.places):
        store.wipe()
    api.clock.now = hour * 3_600
    chosen = {"sending_rules": rules, "sending_cap": cap, "sending_rule_caps": True}
    api.accounts.put(replace(api.accounts.accounts["acme"], **chosen))
    for phone, known in zip(NUMBERS, contacts, strict=True):
        put(api, phone, known)
    asked = api.parts.question("acme", LIST, purpose)
    assert asked.answers_to(NUMBERS) == orjson.dumps([plainly(api, phone, purpose) for phone in NUMBERS])
    assert [asked.answer(phone) for phone in NUMBERS] == [plainly(api, phone, purpose) for phone in NUMBERS]
    assert asked.now == START + hour * 3_600_000


@given(st.from_regex(r"\+[1-9][0-9]{2,14}", fullmatch=True))
def test_a_number_whose_beginning_tells_that_it_has_one_spelling_has_one(number: str) -> None:
    told = spellings(number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schemas.numbering, "one_spelling", frozenset)
        assert spellings(number) == told


@pytest.mark.parametrize("phone", ["+12125550123", "+4915112345678"])
@pytest.mark.parametrize("listed", [LIST, WHOLE_ACCOUNT])
def test_a_state_that_does_not_read_is_held_and_keeps_no_other_from_its_answer(phone: str, listed: str) -> None:
    api = Api()
    api.store.write({f"acme:{listed}:{spellings(phone)[-1]}".encode(): b"\x00no state"}, None)
    api.contact(False, number="+13055550123")
    found = orjson.loads(api.parts.question("acme", LIST).answers_to(["+13055550123", phone, "nobody"]))
    assert [(each["reason"], each["held"], each["code"]) for each in found] == [
        ("message", False, None),
        ("unknown_state", True, "unreadable_state"),
        (None, False, "invalid_number"),
    ]


def test_what_is_told_of_odd_numbers_is_what_is_answered_of_each() -> None:
    api = Api()
    api.contact(False, number="+5215512345678")
    odd = ("12125550123", "+52 1 55 1234 5678", "+525512345678", "55555", 'a"b', "US.13491208655302", "+1", "")
    asked = api.parts.question("acme", LIST)
    assert asked.answers_to(odd) == orjson.dumps([asked.answer(text) for text in odd])
    elsewhere = api.parts.question("acme", None)
    assert elsewhere.answers_to(odd) == orjson.dumps([elsewhere.answer(text) for text in odd])
    assert asked.answers_to([]) == b"[]"
