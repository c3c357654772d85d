"""EZ Texting's callbacks. Payloads have the shapes of its documentation and of live accounts."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base import Answer, CallbackRequest, Malformed, NotAuthentic, Unreadable
from providers.eztexting import EzTexting
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.ids import derived_id
from schemas.records import InboundMessage, RawCallback
from tests.unit.providers.provider_callbacks import FORM, RECEIVED_AT, callback

EZTEXTING = EzTexting()
CODEC = Codec(FolderRegistry())

MESSAGE: dict[str, Any] = {
    "id": "900100200",
    "type": "inbound_text.received",
    "fromNumber": "15555550100",
    "toNumber": "18885550123",
    "message": " Yes, please ",
    "received": "2026-03-01T08:00:00.250+00:00",
    "optIn": False,
    "optOut": False,
}
OPT_IN: dict[str, Any] = {
    "id": "900100201",
    "type": "keyword.opt_in",
    "fromNumber": "15555550100",
    "toNumber": "313131",
    "keyword": "PIZZA",
    "received": "2026-03-01T08:00:00.250Z",
}
DRAFT_MESSAGE: dict[str, Any] = {
    "type": "inbound_text.received",
    "eventId": "evt_1a2b",
    "receivedAt": "2026-03-01T08:00:00Z",
    "fromNumber": "15555550100",
    "toNumber": "18885550123",
    "message": "Yes",
    "messageType": "SMS",
    "contact": {"phoneNumber": "15555550100", "firstName": "Ada"},
}
DRAFT_OPT_IN: dict[str, Any] = {
    "type": "keyword.opt_in",
    "eventId": "evt_3c4d",
    "occurredAt": "2026-03-01T08:00:00Z",
    "keyword": "PIZZA",
    "phoneNumber": "15555550100",
    "groupIds": ["77"],
    "contact": {"phoneNumber": "15555550100", "optOut": False},
}


def event(shape: dict[str, Any], **changes: Any) -> RawCallback:
    """The event with these fields changed, without those that are None."""
    fields = {name: value for name, value in (shape | changes).items() if value is not None}
    return callback("eztexting", orjson.dumps(fields), content_type="application/json")


def form(fields: dict[str, str]) -> RawCallback:
    return callback("eztexting", urlencode(fields).encode(), content_type=FORM)


def read_message(raw: RawCallback) -> InboundMessage:
    (item,) = EZTEXTING.read(raw)
    assert isinstance(item, InboundMessage)
    return item


def read_malformed(raw: RawCallback) -> Malformed:
    (item,) = EZTEXTING.read(raw)
    assert isinstance(item, Malformed)
    return item


# The shapes


def test_a_live_message_fills_every_field() -> None:
    assert read_message(event(MESSAGE)) == InboundMessage(
        event_id=derived_id("evt_callback", 0),
        account="acme",
        provider="eztexting",
        provider_message_id=derived_id("inbound_text.received", "+15555550100", 1_772_352_000_250),
        in_reply_to="900100200",
        from_="+15555550100",
        to="+18885550123",
        text=" Yes, please ",
        kind="reply",
        occurred_at=1_772_352_000_250,
        received_at=RECEIVED_AT,
        raw=orjson.dumps(MESSAGE).decode(),
    )


def test_a_live_opt_in_has_a_keyword_and_no_text() -> None:
    message = read_message(event(OPT_IN))
    assert (message.kind, message.keyword, message.text) == ("opt_in", "PIZZA", None)
    assert (message.from_, message.to, message.in_reply_to) == ("+15555550100", "313131", "900100201")
    assert message.occurred_at == 1_772_352_000_250


def test_a_message_of_the_draft_has_an_id_of_its_own_and_answers_nothing() -> None:
    message = read_message(event(DRAFT_MESSAGE))
    assert (message.kind, message.text, message.from_, message.to) == ("reply", "Yes", "+15555550100", "+18885550123")
    assert (message.provider_message_id, message.in_reply_to) == ("evt_1a2b", None)
    assert message.occurred_at == 1_772_352_000_000


def test_an_opt_in_of_the_draft_names_the_number_only() -> None:
    message = read_message(event(DRAFT_OPT_IN))
    assert (message.kind, message.keyword, message.from_, message.to) == ("opt_in", "PIZZA", "+15555550100", None)
    assert message.occurred_at == 1_772_352_000_000


@pytest.mark.parametrize("absent", ["phoneNumber", "contact"])
def test_the_number_may_stand_beside_the_contact_or_in_it(absent: str) -> None:
    assert read_message(event(DRAFT_OPT_IN, **{absent: None})).from_ == "+15555550100"


@pytest.mark.parametrize(
    "fields", [{"PhoneNumber": "5555550100", "Message": "PIZZA"}, {"from": "15555550100", "message": "PIZZA"}]
)
def test_an_older_forward_is_a_reply_without_id_and_time(fields: dict[str, str]) -> None:
    assert read_message(form(fields)) == InboundMessage(
        event_id=derived_id("evt_callback", 0),
        account="acme",
        provider="eztexting",
        from_="+15555550100",
        text="PIZZA",
        received_at=RECEIVED_AT,
        raw=urlencode(fields),
    )


def test_an_event_is_told_by_its_body_whatever_the_content_type() -> None:
    raw = callback("eztexting", b"\n " + orjson.dumps(MESSAGE), content_type=FORM)
    assert read_message(raw).in_reply_to == "900100200"


# What a message says


@pytest.mark.parametrize(("shape", "answered"), [(MESSAGE | {"optOut": True}, True), (OPT_IN, True), (MESSAGE, None)])
def test_opt_outs_and_keywords_were_answered_by_ez_texting(shape: dict[str, Any], answered: bool | None) -> None:
    assert read_message(event(shape)).answered_by_provider is answered


@pytest.mark.parametrize(
    ("shape", "flags", "kind", "keyword"),
    [
        (MESSAGE, {"optOut": True, "message": " stop. "}, "opt_out", "stop."),
        (MESSAGE, {"optIn": True, "message": "START"}, "opt_in", "START"),
        (MESSAGE, {"optIn": True, "optOut": True, "message": "x"}, "opt_out", "x"),
        (MESSAGE, {"optOut": "true", "message": "STOP"}, "opt_out", "STOP"),
        (MESSAGE, {"optOut": True, "message": None}, "opt_out", None),
        (MESSAGE, {"optOut": "false", "message": "STOP"}, "reply", None),
        (MESSAGE, {"optOut": 1, "message": None}, "opt_out", None),
        (MESSAGE, {"optOut": "Yes", "message": None}, "opt_out", None),
        (MESSAGE, {"optOut": 0, "optIn": 1}, "reply", None),
        (MESSAGE, {"optIn": None, "optOut": None}, "reply", None),
        (DRAFT_MESSAGE, {"contact": {"optOut": True}}, "reply", None),
        (OPT_IN, {"keyword": None}, "opt_in", None),
        (OPT_IN, {"optOut": True}, "opt_out", "PIZZA"),
    ],
)
def test_the_flags_tell_the_kind_and_opt_out_wins(
    shape: dict[str, Any], flags: dict[str, Any], kind: str, keyword: str | None
) -> None:
    message = read_message(event(shape, **flags))
    assert (message.kind, message.keyword, message.opt_out_scope) == (kind, keyword, None)


@pytest.mark.parametrize(("text", "expected"), [(" ", " "), ("", ""), ("yes 🤠", "yes 🤠"), (3, "3"), (["x"], None)])
def test_a_text_stays_as_it_was_written_and_may_be_blank(text: object, expected: str | None) -> None:
    assert read_message(event(MESSAGE, message=text)).text == expected


@pytest.mark.parametrize("text", ["", " "])
def test_a_form_may_have_a_blank_text(text: str) -> None:
    assert read_message(form({"from": "15555550100", "message": text})).text == text


def test_half_an_emoji_does_not_cost_the_reply() -> None:
    body = orjson.dumps(MESSAGE).replace(b" Yes, please ", rb"STOP \ud83d")
    assert read_message(callback("eztexting", body)).text == "STOP ?"


def test_a_letter_that_is_not_utf8_does_not_cost_a_form() -> None:
    assert read_message(callback("eztexting", b"from=15555550100&message=STOP+caf%E9")).text == "STOP caf\ufffd"


def test_a_form_is_read_in_the_charset_that_it_declares() -> None:
    raw = callback("eztexting", b"from=15555550100&message=caf%E9", content_type=f"{FORM}; charset=ISO-8859-1")
    assert read_message(raw).text == "caf\u00e9"


def test_a_field_of_a_form_with_two_values_is_not_chosen_from() -> None:
    malformed = read_malformed(callback("eztexting", b"from=15555550100&message=STOP&message=START"))
    assert (malformed.reason, malformed.error) == (
        "ambiguous_field",
        "message is given twice with different values",
    )


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("15555550100", "+15555550100"),
        (15555550100, "+15555550100"),
        ("+15555550100", "+15555550100"),
        ("5555550100", "+15555550100"),
        ("555-555-0100", "+15555550100"),
        ("(555) 555-0100", "+15555550100"),
        ("25256", "25256"),
    ],
)
def test_ten_digits_are_a_number_of_north_america(number: object, expected: str) -> None:
    assert read_message(event(MESSAGE, fromNumber=number)).from_ == expected


# Ids and times


def id_of(**changes: Any) -> str | None:
    return read_message(event(MESSAGE, **changes)).provider_message_id


def test_two_replies_to_one_message_have_two_ids() -> None:
    later = "2026-03-01T08:00:00.251+00:00"
    assert id_of() != id_of(received=later)
    assert read_message(event(MESSAGE)).in_reply_to == read_message(event(MESSAGE, received=later)).in_reply_to


def test_the_id_is_that_of_sender_and_time_however_written() -> None:
    assert id_of() == id_of(received="2026-03-01T08:00:00.250Z", fromNumber="+15555550100", id="1", message="other")
    assert id_of() != id_of(fromNumber="15555550101")


def test_a_keyword_that_comes_as_message_and_as_opt_in_is_two_things() -> None:
    opt_in = read_message(event(OPT_IN))
    assert opt_in.occurred_at == read_message(event(MESSAGE)).occurred_at
    assert opt_in.provider_message_id != id_of()


@pytest.mark.parametrize("received", [None, "soon", "", 1_772_352_000, {}])
def test_without_a_time_there_is_no_id_and_the_message_is_still_one(received: object) -> None:
    message = read_message(event(MESSAGE, received=received))
    assert (message.occurred_at, message.provider_message_id) == (None, None)


# What cannot be read


@pytest.mark.parametrize("number", [None, "", " ", [], {}, True])
def test_a_message_without_a_sender_is_rejected(number: object) -> None:
    raw = event(MESSAGE, fromNumber=number)
    assert read_malformed(raw) == Malformed("missing_field", "fromNumber is missing", raw.body.decode())


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"Message": "PIZZA"}, "PhoneNumber"),
        ({"PhoneNumber": " ", "Message": "PIZZA"}, "PhoneNumber"),
        ({"PhoneNumber": "5555550100"}, "Message"),
    ],
)
def test_a_form_with_half_its_fields_is_rejected(fields: dict[str, str], named: str) -> None:
    malformed = read_malformed(form(fields))
    assert malformed.reason == "missing_field"
    assert named in malformed.error
    assert malformed.item == urlencode(fields)


@pytest.mark.parametrize("event_type", ["contact.created", "message.sent"])
def test_other_types_are_not_supported(event_type: str) -> None:
    with pytest.raises(Unreadable, match=event_type) as caught:
        EZTEXTING.read(event(MESSAGE, type=event_type))
    assert caught.value.reason == "not_supported"


@pytest.mark.parametrize("event_type", [None, "", " ", [], True])
def test_an_event_without_a_type_is_unreadable(event_type: object) -> None:
    with pytest.raises(Unreadable, match="type") as caught:
        EZTEXTING.read(event(MESSAGE, type=event_type))
    assert caught.value.reason == "missing_field"


@pytest.mark.parametrize(
    "body",
    [
        # A quotation mark is missing after the name, as in the documentation's own examples.
        b'{"id": "1", "type": "inbound_text.received", "fromNumber:"15555550100", "message": "hi"}',
        *(b"", b"hello", b"a=1&b=2", b"{", b'{"type": NaN}', b'{"type": "\xff"}', b"\x00", b"[" * 5000),
        b'{"type": ' + b"[" * 1500 + b"]" * 1500 + b"}",
    ],
    ids=repr,
)
def test_a_body_that_is_neither_json_nor_a_form_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        EZTEXTING.read(callback("eztexting", body))
    assert caught.value.reason == "not_json"


@pytest.mark.parametrize("body", [b"[]", orjson.dumps([MESSAGE]), b"1", b"null"])
def test_json_that_is_no_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        EZTEXTING.read(callback("eztexting", body, content_type="application/json"))
    assert caught.value.reason == "wrong_type"


# Laws

scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=8)
)
junk = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text(max_size=4), scalars, max_size=2)
numbers = st.sampled_from(["15555550100", "5555550100", "25256", "nobody", ""])
events = st.fixed_dictionaries(
    {"type": st.sampled_from(["inbound_text.received", "keyword.opt_in"]) | junk, "fromNumber": numbers | junk},
    optional={
        "id": junk,
        "eventId": junk,
        "toNumber": numbers | junk,
        "message": st.text() | junk,
        "keyword": junk,
        "received": st.sampled_from(["2026-03-01T08:00:00.250+00:00", "0001-01-01T00:00:00Z"]) | junk,
        "receivedAt": junk,
        "optIn": junk,
        "optOut": junk,
        "contact": st.fixed_dictionaries({"phoneNumber": numbers | junk}) | junk,
    },
).map(orjson.dumps)
forms = st.dictionaries(
    st.sampled_from(["PhoneNumber", "Message", "from", "message"]), st.text(max_size=8) | numbers, min_size=1
).map(lambda fields: urlencode(fields).encode())


@given(
    body=st.binary()
    | st.binary().map(lambda body: b"{" + body)
    | st.binary().map(lambda body: b"message=&from=" + body),
    content_type=st.none() | st.text() | st.sampled_from([FORM, "application/json"]),
)
@settings(max_examples=200)
def test_arbitrary_bytes_are_read_or_unreadable(body: bytes, content_type: str | None) -> None:
    found: list[Any]
    try:
        found = [*EZTEXTING.read(callback("eztexting", body, content_type=content_type))]
    except Unreadable as error:
        found = [error.reason]
    assert len(found) == 1
    assert found[0]


@given(body=events | forms)
@settings(max_examples=200)
def test_whatever_is_read_fits_the_schema_of_its_record(body: bytes) -> None:
    try:
        (item,) = EZTEXTING.read(callback("eztexting", body))
    except Unreadable:
        return
    if isinstance(item, Malformed):
        assert item.reason
        assert item.error
        assert item.item
    else:
        assert isinstance(item, InboundMessage)
        assert CODEC.decode(CODEC.encode(item)) == item
        assert item.event_id == derived_id("evt_callback", 0)
        assert item.from_


# Authentication and answer

BODY = b'{"name":"test webhook", "callback":"sms:eztexting"}'
SECRET = {"secret": "mysecrets"}


def verify(signature: str | None, credentials: dict[str, str], body: bytes = BODY) -> str | None:
    """The code of the refusal, None when the callback is authentic."""
    headers = {} if signature is None else {"x-signature": signature}
    try:
        EZTEXTING.verify(CallbackRequest("POST", "https://callbacks.example/x", "", headers, body), credentials)
    except NotAuthentic as error:
        return error.code
    return None


def sign(body: bytes, secret: str = "mysecrets") -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha1).digest()).decode()


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (b'{"name":"test webhook", "callback":"sms:callfire"}', "v14pF7d5C1+CHNIEWlg+sw9v0Xg="),
        (BODY, "EGETYU2OoqUiiF18AZ76gQtB1/k="),
    ],
)
def test_a_signature_is_the_hmac_of_the_raw_body(body: bytes, signature: str) -> None:
    assert verify(signature, SECRET, body) is None


def test_the_signature_printed_in_the_documentation_belongs_to_another_body() -> None:
    assert verify("v14pF7d5C1+CHNIEWlg+sw9v0Xg=", SECRET) == "wrong_signature"


@pytest.mark.parametrize("body", [b"", b"\xff\x00", orjson.dumps(MESSAGE), BODY.replace(b", ", b",")])
def test_any_body_can_be_signed_and_none_may_change(body: bytes) -> None:
    assert verify(sign(body), SECRET, body) is None
    assert verify(sign(body), SECRET, body + b" ") == "wrong_signature"


@pytest.mark.parametrize(
    "signature", ["", "fake", "\udcff", sign(BODY)[:-1], sign(BODY) + " ", sign(BODY).lower(), sign(BODY, "other")]
)
def test_a_wrong_signature_is_refused(signature: str) -> None:
    assert verify(signature, SECRET) == "wrong_signature"


@pytest.mark.parametrize("secret", ["mysecrets", "older"])
def test_two_secrets_sign_while_one_is_changed(secret: str) -> None:
    assert verify(sign(BODY, secret), SECRET | {"secret_previous": "older"}) is None


@pytest.mark.parametrize("credentials", [{}, {"secret": ""}, SECRET])
def test_a_callback_without_signature_passes(credentials: dict[str, str]) -> None:
    assert verify(None, credentials) is None


@pytest.mark.parametrize("credentials", [{}, {"secret": ""}, {"username": "acme"}])
def test_a_signature_that_cannot_be_checked_passes(credentials: dict[str, str]) -> None:
    assert verify("fake", credentials) is None


@given(signature=st.text(), body=st.binary())
@settings(max_examples=100)
def test_a_forged_signature_is_refused(signature: str, body: bytes) -> None:
    assert verify(signature, SECRET, body) == "wrong_signature"


REQUIRED = {"signature": "required"}


@pytest.mark.parametrize(
    ("signature", "credentials", "code"),
    [
        (sign(BODY), SECRET | REQUIRED, None),
        (sign(BODY, "other"), SECRET | REQUIRED, "wrong_signature"),
        (None, SECRET | REQUIRED, "missing_signature"),
        (None, REQUIRED, "no_credentials"),
        (sign(BODY), REQUIRED, "no_credentials"),
    ],
)
def test_a_signature_that_is_required_must_be_there_and_right(
    signature: str | None, credentials: dict[str, str], code: str | None
) -> None:
    assert verify(signature, credentials) == code


def test_a_refusal_does_not_tell_the_secret() -> None:
    request = CallbackRequest("POST", "https://callbacks.example/x", "", {"x-signature": "fake"}, BODY)
    with pytest.raises(NotAuthentic) as caught:
        EZTEXTING.verify(request, SECRET)
    assert "mysecrets" not in str(caught.value)
    assert sign(BODY) not in str(caught.value)


def test_the_answer_is_empty() -> None:
    assert EZTEXTING.answer(CallbackRequest("POST", "https://callbacks.example/x", "", {}, b"{}")) == Answer(b"", None)


def test_it_is_called_eztexting_and_takes_posts_and_gets() -> None:
    assert (EZTEXTING.name, EZTEXTING.methods) == ("eztexting", frozenset({"POST", "GET"}))


@pytest.mark.parametrize(
    ("method", "content_type", "body", "query"),
    [
        ("GET", None, b"", "account=acme&PhoneNumber=2125550123&Message=STOP&MessageID=88"),
        ("POST", None, b"", "account=acme&from=12125550123&message=STOP"),
        ("POST", "application/json", b"", "account=acme&from=12125550123&message=STOP"),
        ("POST", FORM, b"id=7", "account=acme&PhoneNumber=2125550123&Message=STOP"),
        ("POST", FORM, b"PhoneNumber=2125550123&Message=STOP", "account=acme&PhoneNumber=2125550199&Message=x"),
        ("GET", None, b"", "account=acme&fromNumber=12125550123&toNumber=18885550100&message=STOP"),
    ],
)
def test_the_fields_may_stand_in_the_query(method: str, content_type: str | None, body: bytes, query: str) -> None:
    raw = callback("eztexting", body, method=method, content_type=content_type, query=query)
    (message,) = EZTEXTING.read(raw)
    assert isinstance(message, InboundMessage)
    assert (message.from_, message.text, message.kind, message.provider_message_id) == (
        "+12125550123",
        "STOP",
        "reply",
        None,
    )


def test_a_flag_in_the_query_is_one() -> None:
    query = "type=inbound_text.received&fromNumber=12125550123&message=PIZZA&optOut=true"
    (message,) = EZTEXTING.read(callback("eztexting", b"", method="GET", query=query))
    assert isinstance(message, InboundMessage)
    assert message.kind == "opt_out"
