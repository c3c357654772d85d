"""Lime's callbacks: list responses in the shapes of its help pages, and our own delivery report."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from providers.base import Answer, CallbackRequest, Malformed, Unreadable
from providers.lime import REPEAT_WINDOW, Lime
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.ids import derived_id
from schemas.records import InboundMessage, RawCallback, Receipt
from tests.examples import examples
from tests.unit.providers.provider_callbacks import FORM, RECEIVED_AT, callback, outcome

LIME = Lime()
CODEC = Codec(FolderRegistry())

OPT_IN = {
    "action": "optin",
    "list_id": "1221",
    "mobile_number": "15555550100",
    "keyword": "PIZZA",
    "data": "café 😀 & more",
    "isNewOptIn": "true",
    "firstName": "Ada",
}
LEAD = {"list_id": "1221", "mobile_number": "15555550100", "keyword": "PIZZA"}
REPORT = {
    "event": "delivery_report",
    "message_id": "m-1",
    "mobile_number": "15555550100",
    "list_id": "1221",
    "status": "failed",
    "error_code": "104",
    "error_text": "Invalid number",
    "occurred_at": "2026-03-01T09:00:00.250+01:00",
}


def get(fields: dict[str, str] | list[tuple[str, str]]) -> RawCallback:
    return callback("lime", b"", method="GET", query="account=acme&" + urlencode(fields))


def post(fields: dict[str, str] | list[tuple[str, str]]) -> RawCallback:
    return callback("lime", urlencode(fields).encode(), content_type=FORM)


def report(**changes: Any) -> RawCallback:
    """The report with these fields changed, without those that are None."""
    fields = {name: value for name, value in (REPORT | changes).items() if value is not None}
    return callback("lime", orjson.dumps(fields), content_type="application/json")


def read_message(raw: RawCallback) -> InboundMessage:
    (item,) = LIME.read(raw)
    assert isinstance(item, InboundMessage)
    return item


def read_receipt(raw: RawCallback) -> Receipt:
    (item,) = LIME.read(raw)
    assert isinstance(item, Receipt)
    return item


def read_malformed(raw: RawCallback) -> Malformed:
    (item,) = LIME.read(raw)
    assert isinstance(item, Malformed)
    return item


# List responses


def test_a_list_response_fills_every_field() -> None:
    content = ("1221", "+15555550100", "optin", "PIZZA", "café 😀 & more")
    assert read_message(post(OPT_IN)) == InboundMessage(
        event_id=derived_id("evt_callback", 0),
        account="acme",
        provider="lime",
        provider_message_id=derived_id(*content, RECEIVED_AT // REPEAT_WINDOW),
        from_="+15555550100",
        list_number="1221",
        text="PIZZA café 😀 & more",
        kind="opt_in",
        keyword="PIZZA",
        received_at=RECEIVED_AT,
        raw=urlencode(OPT_IN),
    )


def test_a_get_says_the_same_as_a_post() -> None:
    by_get, by_post = read_message(get(OPT_IN)), read_message(post(OPT_IN))
    assert by_get.raw == "account=acme&" + by_post.raw
    assert by_get.provider_message_id == by_post.provider_message_id
    assert (by_get.kind, by_get.text, by_get.list_number) == (by_post.kind, by_post.text, by_post.list_number)


def test_a_get_is_never_read_from_its_body() -> None:
    raw = callback("lime", orjson.dumps(REPORT), method="GET", query=urlencode(LEAD), content_type="application/json")
    assert read_message(raw).text == "PIZZA"


@pytest.mark.parametrize(
    ("action", "kind", "scope"),
    [
        ("optin", "opt_in", None),
        ("optout", "opt_out", "list"),
        ("optout-all", "opt_out", "all"),
        ("OptOut-All", "opt_out", "all"),
        (" optout ", "opt_out", "list"),
        ("", "reply", None),
    ],
)
def test_the_action_tells_the_kind_and_how_far_an_opt_out_reaches(action: str, kind: str, scope: str | None) -> None:
    message = read_message(get({**LEAD, "action": action}))
    assert (message.kind, message.opt_out_scope) == (kind, scope)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"keyword": "PIZZA"}, "PIZZA"),
        ({"keyword": "PIZZA", "data": ""}, "PIZZA"),
        ({"keyword": "PIZZA", "data": "Please call me now"}, "PIZZA Please call me now"),
        ({"data": "Please call me now"}, "Please call me now"),
    ],
)
def test_the_text_of_a_reply_is_the_keyword_and_what_follows_it(fields: dict[str, str], text: str) -> None:
    message = read_message(get({"list_id": "1221", "mobile_number": "15555550100", **fields}))
    assert (message.kind, message.text, message.keyword) == ("reply", text, fields.get("keyword"))


def test_an_opt_out_of_all_has_no_keyword_and_needs_no_list() -> None:
    message = read_message(post({"action": "optout-all", "mobile_number": "15555550100"}))
    assert (message.kind, message.opt_out_scope, message.list_number) == ("opt_out", "all", None)
    assert (message.keyword, message.text) == (None, None)


@pytest.mark.parametrize("number", ["15555550100", "+15555550100", " 15555550100", "1 (555) 555-0100"])
def test_a_number_becomes_e164(number: str) -> None:
    assert read_message(post({**LEAD, "mobile_number": number})).from_ == "+15555550100"


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("447700900123", "+447700900123"),
        ("+44 7700 900123", "+447700900123"),
        ("5555550100", "+15555550100"),
        ("555-555-0100", "+15555550100"),
        ("(555) 555-0100", "+15555550100"),
    ],
)
def test_a_number_may_be_of_any_country_and_without_one_is_of_lime_s_own(number: str, expected: str) -> None:
    assert read_message(post({**LEAD, "mobile_number": number})).from_ == expected


@pytest.mark.parametrize("number", ["25256", "nobody", "1" * 5000])
def test_a_number_that_is_none_is_rejected_and_not_told(number: str) -> None:
    malformed = read_malformed(post({**LEAD, "mobile_number": number}))
    assert malformed.reason == "invalid_number"
    assert number not in malformed.error


@pytest.mark.parametrize(
    ("fields", "reason", "named"),
    [
        ({"action": "optin", "list_id": "1221"}, "missing_field", "mobile_number"),
        ({"action": "optin", "mobile_number": " "}, "missing_field", "mobile_number"),
        ({"list_id": "1221", "mobile_number": "15555550100"}, "missing_field", "keyword"),
        ({"list_id": "1221", "mobile_number": "15555550100", "keyword": " "}, "missing_field", "keyword"),
        ({**LEAD, "action": "bounce"}, "unknown_action", "bounce"),
        ({**LEAD, "action": "update"}, "not_supported", "update"),
        ([*LEAD.items(), ("list_id", "1222")], "ambiguous_field", "list_id"),
        ([*OPT_IN.items(), ("action", "optout")], "ambiguous_field", "action"),
    ],
)
def test_a_response_that_makes_no_sense_is_named(
    fields: dict[str, str] | list[tuple[str, str]], reason: str, named: str
) -> None:
    malformed = read_malformed(post(fields))
    assert malformed.reason == reason
    assert named in malformed.error
    assert malformed.item == urlencode(fields)


def test_a_field_may_be_given_twice_with_one_value() -> None:
    assert (
        read_message(post([*LEAD.items(), *LEAD.items(), ("userDefine1", "a"), ("userDefine1", "b")])).kind == "reply"
    )


@pytest.mark.parametrize("data", [b"caf%E9", b"caf\xe9", b"%ED%A0%BD"])
def test_an_opt_out_is_not_lost_for_a_letter_that_is_not_utf8(data: bytes) -> None:
    body = b"action=optout&list_id=1221&mobile_number=15555550100&keyword=STOP&data=" + data
    message = read_message(callback("lime", body, content_type=FORM))
    assert message.kind == "opt_out"
    assert "\ufffd" in (message.text or "")


def test_a_form_is_read_in_the_charset_that_it_declares() -> None:
    body = urlencode(LEAD).encode() + b"&data=caf%E9"
    raw = callback("lime", body, content_type=f"{FORM}; charset=ISO-8859-1")
    assert read_message(raw).text == "PIZZA caf\u00e9"


def test_a_post_without_a_body_is_read_from_its_query() -> None:
    assert read_message(callback("lime", b"", query=urlencode(LEAD))).text == "PIZZA"


def test_a_query_that_is_no_text_is_not_an_error() -> None:
    query = urlencode(LEAD) + "&data=caf\udce9"
    assert read_message(callback("lime", b"", method="GET", query=query)).text == "PIZZA caf?"


@pytest.mark.parametrize(
    ("method", "form"),
    [("GET", b"account=acme"), *(("POST", body) for body in (b"", b"hi", b"\xff\xfe", b"isNewOptIn=true"))],
)
def test_a_form_without_any_field_of_a_response_is_unreadable(method: str, form: bytes) -> None:
    with pytest.raises(Unreadable, match="mobile_number") as caught:
        LIME.read(callback("lime", form, method=method))
    assert caught.value.reason == "missing_field"


# Ids


def id_of(fields: dict[str, str], received_at: int = 1_000 * REPEAT_WINDOW) -> str | None:
    return read_message(replace(post(fields), event_id="evt_other", received_at=received_at)).provider_message_id


def test_the_same_response_in_the_same_minute_has_the_same_id() -> None:
    minute = 1_000 * REPEAT_WINDOW
    assert id_of(OPT_IN, minute) == id_of(OPT_IN, minute + REPEAT_WINDOW - 1)
    assert id_of(OPT_IN, minute) != id_of(OPT_IN, minute - 1)
    assert id_of(OPT_IN, minute) != id_of(OPT_IN, minute + REPEAT_WINDOW)


@pytest.mark.parametrize(
    "change",
    [
        {"list_id": "1222"},
        {"mobile_number": "15555550101"},
        {"action": "optout"},
        {"keyword": "PASTA"},
        {"data": "less"},
    ],
)
def test_another_content_has_another_id(change: dict[str, str]) -> None:
    assert id_of(OPT_IN) != id_of(OPT_IN | change)


def test_the_profile_and_the_spelling_of_a_number_do_not_change_the_id() -> None:
    assert id_of(OPT_IN) == id_of(OPT_IN | {"mobile_number": "+15555550100", "firstName": "Bob"})


# Delivery reports


def test_a_report_fills_every_field() -> None:
    assert read_receipt(report()) == Receipt(
        event_id=derived_id("evt_callback", 0),
        account="acme",
        provider="lime",
        provider_message_id="m-1",
        to="+15555550100",
        status="undeliverable",
        status_detail="FAILED",
        status_class="transient",
        provider_status="failed",
        provider_code="104",
        provider_text="Invalid number",
        final=True,
        occurred_at=1_772_352_000_250,
        received_at=RECEIVED_AT,
        raw=orjson.dumps(REPORT).decode(),
    )


def test_error_and_time_are_optional() -> None:
    receipt = read_receipt(report(error_code=None, error_text=None, occurred_at=None))
    assert (receipt.provider_code, receipt.provider_text, receipt.occurred_at) == (None, None, None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", ("pending", "PENDING", "neutral", False)),
        ("delivered", ("delivered", "DELIVERED", "delivered", True)),
        ("failed", ("undeliverable", "FAILED", "transient", True)),
        ("rejected", ("rejected", "REJECTED", "neutral", True)),
        ("expired", ("expired", "EXPIRED", "transient", True)),
    ],
)
def test_every_status_has_a_meaning(status: str, expected: tuple[str, str, str, bool]) -> None:
    assert outcome(read_receipt(report(status=status))) == expected


def test_a_report_is_told_by_its_body_where_the_content_type_is_missing() -> None:
    assert read_receipt(callback("lime", b" \n" + orjson.dumps(REPORT))).provider_message_id == "m-1"


@pytest.mark.parametrize(
    ("changes", "reason", "named"),
    [
        ({"extra": 1}, "unknown_field", "'extra'"),
        ({"Status": "delivered", "sender": "x"}, "unknown_field", "'Status', 'sender'"),
        ({"event": None}, "missing_field", "event"),
        ({"event": "click"}, "not_supported", "event"),
        ({"event": 5}, "not_supported", "event"),
        ({"message_id": None}, "missing_field", "message_id"),
        ({"message_id": " "}, "missing_field", "message_id"),
        ({"message_id": 7}, "wrong_type", "message_id"),
        ({"mobile_number": None}, "missing_field", "mobile_number"),
        ({"list_id": None}, "missing_field", "list_id"),
        ({"list_id": 1221}, "wrong_type", "list_id"),
        ({"status": None}, "missing_field", "status"),
        ({"status": "DELIVERED"}, "unknown_status", "DELIVERED"),
        ({"status": ["delivered"]}, "wrong_type", "status"),
        ({"error_code": 104}, "wrong_type", "error_code"),
        ({"error_text": {}}, "wrong_type", "error_text"),
        ({"occurred_at": 1_772_352_000}, "wrong_type", "occurred_at"),
    ],
)
def test_a_report_of_another_shape_is_rejected_by_the_name_of_the_field(
    changes: dict[str, Any], reason: str, named: str
) -> None:
    malformed = read_malformed(report(**changes))
    assert malformed.reason == reason
    assert named in malformed.error
    assert malformed.item == report(**changes).body.decode()


def test_a_number_or_a_time_that_cannot_be_read_costs_only_itself() -> None:
    receipt = read_receipt(report(mobile_number="nobody", occurred_at="soon"))
    assert (receipt.provider_message_id, receipt.to, receipt.occurred_at) == ("m-1", None, None)


@pytest.mark.parametrize("name", ["error_code", "error_text", "occurred_at"])
def test_null_is_not_the_same_as_absent(name: str) -> None:
    raw = callback("lime", orjson.dumps(REPORT | {name: None}), content_type="application/json")
    assert read_malformed(raw).reason == "wrong_type"


@pytest.mark.parametrize("body", [b"{", b"{}x", b"[" * 5000, b'{"event": "\xff"}', b'{"status": NaN}'], ids=repr)
def test_a_body_that_is_not_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        LIME.read(callback("lime", body, content_type="application/json"))
    assert caught.value.reason == "not_json"


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"text"', orjson.dumps([REPORT])])
def test_a_body_that_is_no_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        LIME.read(callback("lime", body, content_type="application/json"))
    assert caught.value.reason == "wrong_type"


# Laws

values = st.text(max_size=8) | st.sampled_from(["15555550100", "+15555550100", "optout", "delivered", "soon"])
responses = st.fixed_dictionaries(
    {"mobile_number": st.just("15555550100") | values},
    optional={
        "action": st.sampled_from(["optin", "optout", "optout-all", "update"]) | values,
        "list_id": values,
        "keyword": values,
        "data": st.text(),
    },
).map(lambda fields: urlencode(fields).encode())
junk = values | st.none() | st.integers(-(2**63), 2**64 - 1) | st.lists(values, max_size=2)
reports = st.fixed_dictionaries(
    {"event": st.just("delivery_report") | junk, "status": st.sampled_from(["delivered", "failed"]) | junk},
    optional={name: st.just(value) | junk for name, value in REPORT.items() if name not in ("event", "status")},
).map(orjson.dumps)


@given(
    body=st.binary()
    | st.binary().map(lambda body: b"{" + body)
    | st.binary().map(lambda body: b"mobile_number=" + body),
    content_type=st.none() | st.text() | st.sampled_from([FORM, "application/json"]),
    method=st.sampled_from(["POST", "GET"]),
    query=st.text() | st.text().map(lambda text: "mobile_number=" + text),
)
@settings(max_examples=examples(200))
def test_arbitrary_bytes_are_read_or_unreadable(body: bytes, content_type: str | None, method: str, query: str) -> None:
    found: list[Any]
    try:
        found = [*LIME.read(callback("lime", body, content_type=content_type, method=method, query=query))]
    except Unreadable as error:
        found = [error.reason]
    assert len(found) == 1
    assert found[0]


@given(body=responses | reports)
@settings(max_examples=examples(200))
def test_whatever_is_read_fits_the_schema_of_its_record(body: bytes) -> None:
    (item,) = LIME.read(callback("lime", body))
    if isinstance(item, Malformed):
        assert item.reason
        assert item.error
        assert item.item
    else:
        assert CODEC.decode(CODEC.encode(item)) == item
        assert item.event_id == derived_id("evt_callback", 0)
        assert item.provider_message_id or item.kind == "opt_out"


def test_an_opt_out_is_never_taken_for_a_repetition() -> None:
    stop = {"action": "optout", "list_id": "1221", "mobile_number": "15555555555", "keyword": "STOP"}
    assert read_message(post(stop)).provider_message_id is None


# Authentication and answer


@pytest.mark.parametrize("credentials", [{}, {"secret": "s3cr3t"}])
def test_there_is_no_proof_to_check(credentials: dict[str, str]) -> None:
    request = CallbackRequest("POST", "https://callbacks.example/x", "account=acme", {"x-signature": "x"}, b"{}")
    LIME.verify(request, credentials)


def test_the_answer_is_empty() -> None:
    assert LIME.answer(CallbackRequest("GET", "https://callbacks.example/x", "", {}, b"")) == Answer(b"", None)


def test_it_is_called_lime_and_takes_both_methods() -> None:
    assert (LIME.name, LIME.methods) == ("lime", frozenset({"GET", "POST"}))
