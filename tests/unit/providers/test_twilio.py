"""Twilio's callbacks. Payloads have the shapes of its documentation."""

from __future__ import annotations

import base64
from urllib.parse import urlencode

import pytest

from providers.base import Answer, CallbackRequest, Malformed, Unreadable
from providers.twilio import Twilio
from schemas.ids import derived_id
from schemas.records import InboundMessage, RawCallback, Receipt
from tests.unit.providers.provider_callbacks import FORM, RECEIVED_AT, callback, twilio

TWILIO = Twilio()
URL = "https://callbacks.example/api/webhook-feedbacks/twilio?account=acme"

STATUS = {
    "ApiVersion": "2010-04-01",
    "AccountSid": "AC5",
    "MessageSid": "SM1",
    "SmsSid": "SM1",
    "MessageStatus": "delivered",
    "SmsStatus": "delivered",
    "From": "+15017250604",
    "To": "+15558675310",
    "RawDlrDoneDate": "2603010800",
}
MESSAGE = {
    "ToCountry": "US",
    "ToCity": "",
    "MessageSid": "SM2",
    "SmsSid": "SM2",
    "SmsMessageSid": "SM2",
    "SmsStatus": "received",
    "AccountSid": "AC5",
    "From": "+15558675310",
    "To": "+15017250604",
    "Body": "Ahoy & welcome",
    "NumMedia": "0",
    "NumSegments": "1",
}


def read_receipt(fields: dict[str, str]) -> Receipt:
    (item,) = TWILIO.read(twilio(fields))
    assert isinstance(item, Receipt)
    return item


def read_message(fields: dict[str, str]) -> InboundMessage:
    (item,) = TWILIO.read(twilio(fields))
    assert isinstance(item, InboundMessage)
    return item


def read_malformed(fields: dict[str, str] | list[tuple[str, str]]) -> Malformed:
    (item,) = TWILIO.read(twilio(fields))
    assert isinstance(item, Malformed)
    return item


# Status callbacks


def test_a_status_callback_fills_every_field() -> None:
    assert read_receipt(STATUS) == Receipt(
        event_id=derived_id("evt_callback", 0),
        account="acme",
        provider="twilio",
        provider_message_id="SM1",
        to="+15558675310",
        from_="+15017250604",
        status="delivered",
        status_detail="DELIVERED_TO_HANDSET",
        status_class="delivered",
        provider_status="delivered",
        final=True,
        occurred_at=1_772_352_000_000,
        received_at=RECEIVED_AT,
        raw=urlencode(STATUS),
    )


def test_nothing_but_id_and_status_is_needed() -> None:
    receipt = read_receipt({"MessageSid": "SM1", "MessageStatus": "delivered"})
    assert (receipt.to, receipt.from_, receipt.occurred_at) == (None, None, None)


def test_the_older_names_are_understood() -> None:
    receipt = read_receipt({"SmsSid": "SM1", "SmsStatus": "sent", "To": ""})
    assert (receipt.provider_message_id, receipt.provider_status, receipt.to) == ("SM1", "sent", None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("accepted", ("pending", "ACCEPTED", "neutral", False)),
        ("scheduled", ("pending", "SCHEDULED", "neutral", False)),
        ("queued", ("pending", "QUEUED", "neutral", False)),
        ("sending", ("pending", "SENDING", "neutral", False)),
        ("sent", ("pending", "SENT", "neutral", False)),
        ("partially_delivered", ("pending", "PARTIALLY_DELIVERED", "neutral", False)),
        ("delivered", ("delivered", "DELIVERED_TO_HANDSET", "delivered", True)),
        ("read", ("delivered", "READ", "delivered", True)),
        ("undelivered", ("undeliverable", "UNDELIVERED", "transient", True)),
        ("failed", ("undeliverable", "FAILED", "transient", True)),
        ("canceled", ("rejected", "CANCELED", "neutral", True)),
        ("Delivered", ("delivered", "DELIVERED_TO_HANDSET", "delivered", True)),
    ],
)
def test_the_status_decides(status: str, expected: tuple[str, str, str, bool]) -> None:
    receipt = read_receipt({"MessageSid": "SM1", "MessageStatus": status})
    assert (receipt.status, receipt.status_detail, receipt.status_class, receipt.final) == expected


@pytest.mark.parametrize(
    ("code", "detail", "status_class"),
    [
        ("30003", "REJECTED_ABSENT_SUBSCRIBER", "transient"),
        ("30004", "REJECTED_OPERATOR", "transient"),
        ("30005", "REJECTED_DESTINATION", "invalid"),
        ("30006", "REJECTED_DESTINATION", "invalid"),
        ("21211", "REJECTED_DESTINATION", "invalid"),
        ("21614", "REJECTED_DESTINATION", "invalid"),
        ("21635", "REJECTED_DESTINATION", "invalid"),
        ("21610", "UNSUBSCRIBED", "opt_out"),
        ("63014", "CHANNEL_MESSAGE_BLOCKED_BY_USER_ACTION", "opt_out"),
        ("30008", "UNKNOWN_ERROR", "transient"),
        ("30007", "MESSAGE_FILTERED", "neutral"),
        ("30001", "QUEUE_OVERFLOW", "neutral"),
        ("30002", "ACCOUNT_SUSPENDED", "neutral"),
        ("30022", "A2P_10DLC_RATE_LIMITS_EXCEEDED", "neutral"),
        ("30034", "UNREGISTERED_NUMBER", "neutral"),
        ("14107", "SMS_SEND_RATE_LIMIT_EXCEEDED", "neutral"),
        ("20429", "TOO_MANY_REQUESTS", "neutral"),
        ("21408", "REGION_NOT_PERMITTED", "neutral"),
        ("21611", "FROM_QUEUE_FULL", "neutral"),
        ("63016", "OUTSIDE_MESSAGING_WINDOW", "neutral"),
        ("63018", "RATE_LIMIT_EXCEEDED_FOR_CHANNEL", "neutral"),
    ],
)
@pytest.mark.parametrize("status", ["undelivered", "failed"])
def test_the_error_code_says_why_a_message_failed(status: str, code: str, detail: str, status_class: str) -> None:
    receipt = read_receipt({"MessageSid": "SM1", "MessageStatus": status, "ErrorCode": code})
    assert (receipt.status, receipt.status_detail, receipt.status_class) == (
        "undeliverable",
        detail,
        status_class,
    )
    assert receipt.provider_code == code
    assert receipt.provider_text


@pytest.mark.parametrize(
    ("code", "kept"),
    [("", None), ("0", None), ("30299", "30299"), ("63999", "63999"), ("oops", "oops"), ("9" * 120, "9" * 120)],
)
def test_an_unknown_error_code_is_kept_and_counts_as_a_failure(code: str, kept: str | None) -> None:
    receipt = read_receipt({"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": code})
    assert (receipt.status_detail, receipt.status_class, receipt.provider_code) == (
        "FAILED",
        "transient",
        kept,
    )


@pytest.mark.parametrize("code", ["30500", "30999", "21699", "30046", "21999", "11299", "63119"])
def test_a_code_of_a_range_that_is_the_senders_or_twilios_fault_says_nothing_about_the_recipient(code: str) -> None:
    receipt = read_receipt({"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": code})
    assert (receipt.status_class, receipt.provider_code) == ("neutral", code)


def test_an_error_code_changes_nothing_unless_the_message_failed() -> None:
    receipt = read_receipt({"MessageSid": "SM1", "MessageStatus": "delivered", "ErrorCode": "21610"})
    assert (receipt.status_class, receipt.provider_code) == ("delivered", "21610")


def test_the_text_of_the_callback_wins_over_the_known_text() -> None:
    fields = {"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "30003"}
    assert read_receipt(fields).provider_text == "Unreachable destination handset"
    assert read_receipt({**fields, "ErrorMessage": "Handset off"}).provider_text == "Handset off"
    assert read_receipt({**fields, "ChannelStatusMessage": "No route"}).provider_text == "No route"


def test_channel_prefixes_are_taken_off_numbers() -> None:
    receipt = read_receipt({**STATUS, "From": "whatsapp:+14155238886", "To": "whatsapp:+15558675310"})
    assert (receipt.from_, receipt.to) == ("+14155238886", "+15558675310")


def test_a_short_code_stays_as_it_is() -> None:
    assert read_receipt({**STATUS, "To": "2021"}).to == "2021"


def test_a_bad_done_date_does_not_reject_a_report() -> None:
    assert read_receipt({**STATUS, "RawDlrDoneDate": "yesterday"}).occurred_at is None


@pytest.mark.parametrize(
    ("fields", "reason", "named"),
    [
        ({"MessageStatus": "sent"}, "missing_field", "MessageSid"),
        ({"MessageStatus": "sent", "MessageSid": " "}, "missing_field", "MessageSid"),
        ({"MessageStatus": "huh", "MessageSid": "SM1"}, "unknown_status", "huh"),
        ({"MessageSid": "SM1", "Body": "hi"}, "missing_field", "From"),
        ({"MessageSid": "SM1", "SmsStatus": "received", "From": ""}, "missing_field", "From"),
    ],
)
def test_a_bad_callback_is_named(fields: dict[str, str], reason: str, named: str) -> None:
    malformed = read_malformed(fields)
    assert malformed.reason == reason
    assert named in malformed.error
    assert malformed.item == urlencode(fields)


@pytest.mark.parametrize("to", ["abc", "", "0171 2345678", "whatsapp:US.1349120865530274", "messenger:10210"])
def test_a_recipient_that_is_no_number_costs_only_itself(to: str) -> None:
    receipt = read_receipt({**STATUS, "MessageStatus": "failed", "ErrorCode": "63024", "To": to})
    assert (receipt.to, receipt.status, receipt.provider_code) == (None, "undeliverable", "63024")


def test_two_different_statuses_in_one_callback_are_ambiguous() -> None:
    fields = [("MessageSid", "SM1"), ("MessageStatus", "delivered"), ("MessageStatus", "failed")]
    malformed = read_malformed(fields)
    assert malformed.reason == "ambiguous_field"
    assert "MessageStatus" in malformed.error


@pytest.mark.parametrize("repeated", [("MessageStatus", "delivered"), ("Price", "2")])
def test_a_repeated_field_that_changes_nothing_is_allowed(repeated: tuple[str, str]) -> None:
    fields = [("MessageSid", "SM1"), ("MessageStatus", "delivered"), ("Price", "1"), repeated]
    (item,) = TWILIO.read(twilio(fields))
    assert isinstance(item, Receipt)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (callback("twilio", b"", content_type=FORM), "missing_field"),
        (callback("twilio", b" ", content_type=FORM), "missing_field"),
        (callback("twilio", b"&&", content_type=FORM), "missing_field"),
        (callback("twilio", b"AccountSid=AC5&ApiVersion=2010-04-01", content_type=FORM), "missing_field"),
        (callback("twilio", b"MessageSid=SM1&MessageStatus=", content_type=FORM), "missing_field"),
        (callback("twilio", b"", method="GET"), "missing_field"),
        (callback("twilio", b"Body=%FF&From=1", content_type=FORM), "not_utf8"),
        (callback("twilio", b"Body=\xff&From=1", content_type=FORM), "not_utf8"),
        (callback("twilio", b'{"MessageStatus":"sent"}', content_type="application/json"), "not_supported"),
    ],
    ids=lambda value: repr(value.body) if isinstance(value, RawCallback) else value,
)
def test_what_is_no_callback_is_unreadable(raw: RawCallback, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        TWILIO.read(raw)
    assert caught.value.reason == reason


def test_a_get_is_read_from_its_query() -> None:
    query = "account=acme&MessageSid=SM1&MessageStatus=sent&To=%2B15558675310"
    (item,) = TWILIO.read(callback("twilio", b"MessageStatus=failed", method="GET", query=query))
    assert isinstance(item, Receipt)
    assert (item.provider_status, item.to, item.raw) == ("sent", "+15558675310", query)


# Inbound messages


def test_an_inbound_message_fills_every_field() -> None:
    assert read_message(MESSAGE) == InboundMessage(
        event_id=derived_id("evt_callback", 0),
        account="acme",
        provider="twilio",
        provider_message_id="SM2",
        from_="+15558675310",
        to="+15017250604",
        text="Ahoy & welcome",
        kind="reply",
        received_at=RECEIVED_AT,
        raw=urlencode(MESSAGE),
    )


@pytest.mark.parametrize(
    "content",
    [{"Body": "hi"}, {"NumMedia": "0"}, {"MediaUrl0": "https://m.example/0"}, {"SmsStatus": "received"}],
)
def test_a_message_is_known_by_its_content_or_its_status(content: dict[str, str]) -> None:
    assert read_message({"MessageSid": "SM2", "From": "+15558675310", **content}).provider_message_id == "SM2"


@pytest.mark.parametrize(
    ("content", "text", "keyword"),
    [
        ({"Body": "Yes", "ButtonText": "Yes", "ButtonPayload": "yes_1"}, "Yes", "yes_1"),
        ({"Body": "", "ButtonText": "Stop", "ButtonPayload": "1"}, "Stop", "1"),
        ({"ButtonText": "Stop", "NumMedia": "0"}, "Stop", None),
        ({"Body": " ", "ListTitle": "Stop", "ListId": "7"}, "Stop", "7"),
        ({"Body": "x", "ListId": "STOP", "ButtonPayload": "x"}, "x", "x\nSTOP"),
        ({"Body": "", "ButtonText": ""}, "", None),
    ],
)
def test_a_tapped_button_says_what_it_shows_and_what_it_stands_for(
    content: dict[str, str], text: str | None, keyword: str | None
) -> None:
    message = read_message({"MessageSid": "SM2", "From": "+15558675310", **content})
    assert (message.text, message.keyword, message.kind) == (text, keyword, "reply")


def test_an_mms_without_text_has_media_only() -> None:
    message = read_message(
        {
            "MessageSid": "MM1",
            "From": "+15558675310",
            "NumMedia": "2",
            "MediaUrl0": "https://m.example/0",
            "MediaContentType0": "image/jpeg",
            "MediaUrl1": "https://m.example/1",
        }
    )
    assert message.text is None
    assert message.media == ("https://m.example/0", "https://m.example/1")


@pytest.mark.parametrize("body", ["", "  stop\n", "QmFubm9uIEV4cGxhaW5z", "Привет 😀"])
def test_a_text_stays_as_it_was_written(body: str) -> None:
    assert read_message({**MESSAGE, "Body": body}).text == body


LONG = "I would like to hear no more of this, thank you very much; caf\u00e9, 10% off \U0001f600"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (base64.b64encode(LONG.encode()).decode(), LONG),
        (base64.b64encode(LONG.encode()).decode() + "\n", LONG),
        # The last character, of four bytes, is cut in two.
        (base64.b64encode(LONG.encode()[:-2]).decode(), LONG[:-1]),
        (base64.b64encode(LONG.encode("utf-16")).decode(), None),
        (base64.b64encode(bytes(range(90))).decode(), None),
        (base64.b64encode(LONG.encode()).decode()[:-1] + " ", None),
        (base64.b64encode(b"STOP and START are short words").decode(), None),
        ("STOP" * 20, None),
        ("a" * 80, None),
    ],
)
def test_a_long_body_in_base64_is_a_message_of_several_parts(body: str, text: str | None) -> None:
    message = read_message({**MESSAGE, "Body": body})
    assert message.text == (body if text is None else text)
    assert message.raw == urlencode({**MESSAGE, "Body": body})


def test_a_form_is_read_in_the_charset_that_it_declares() -> None:
    raw = callback("twilio", b"MessageSid=SM2&From=2021&Body=caf%E9", content_type=f"{FORM}; charset=ISO-8859-1")
    (item,) = TWILIO.read(raw)
    assert isinstance(item, InboundMessage)
    assert item.text == "caf\u00e9"


@pytest.mark.parametrize(
    ("fields", "kind", "keyword"),
    [
        ({"OptOutType": "STOP", "Body": "Stop "}, "opt_out", "Stop"),
        ({"OptOutType": "STOP", "Body": ""}, "opt_out", "STOP"),
        ({"OptOutType": "stop", "Body": "arret"}, "opt_out", "arret"),
        ({"OptOutType": "START", "Body": "UNSTOP"}, "opt_in", "UNSTOP"),
        ({"OptOutType": "HELP", "Body": "HELP"}, "reply", None),
        ({"Body": "STOP"}, "reply", None),
    ],
)
def test_an_opt_out_is_one_where_twilio_says_so(fields: dict[str, str], kind: str, keyword: str | None) -> None:
    message = read_message({**MESSAGE, **fields})
    assert (message.kind, message.keyword) == (kind, keyword)


@pytest.mark.parametrize(("opt_out_type", "answered"), [("STOP", True), ("START", True), ("HELP", True), ("", None)])
def test_a_keyword_of_advanced_opt_out_was_answered_by_twilio(opt_out_type: str, answered: bool | None) -> None:
    assert read_message({**MESSAGE, "OptOutType": opt_out_type}).answered_by_provider is answered


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("whatsapp:+15558675310", "+15558675310"),
        ("rcs:+15558675310", "+15558675310"),
        ("whatsapp:US.1234", "whatsapp:US.1234"),
        ("messenger:1234567890", "messenger:1234567890"),
        ("2021", "2021"),
    ],
)
def test_a_sender_without_a_number_stays_as_it_is(sender: str, expected: str) -> None:
    assert read_message({**MESSAGE, "From": sender}).from_ == expected


@pytest.mark.parametrize(
    ("fields", "channel", "user_id"),
    [
        ({"From": "whatsapp:+15558675310", "ExternalUserId": "US.1234"}, "whatsapp", "US.1234"),
        ({"From": "whatsapp:US.1234"}, "whatsapp", "US.1234"),
        ({"To": "rcs:acme_agent"}, "rcs", None),
        ({}, None, None),
    ],
)
def test_channel_and_user_id_are_kept(fields: dict[str, str], channel: str | None, user_id: str | None) -> None:
    message = read_message({**MESSAGE, **fields})
    assert (message.channel, message.user_id) == (channel, user_id)


def test_the_answered_message_is_kept() -> None:
    assert read_message({**MESSAGE, "OriginalRepliedMessageSid": "SM1"}).in_reply_to == "SM1"


# Answer


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        (MESSAGE, Answer(b"<Response/>", "text/xml")),
        ({"From": "+15558675310", "Body": "hi"}, Answer(b"<Response/>", "text/xml")),
        (STATUS, Answer()),
        ({}, Answer()),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_message_is_answered_with_empty_twiml(method: str, fields: dict[str, str], answer: Answer) -> None:
    form = urlencode(fields)
    query, body = (form, b"") if method == "GET" else ("account=acme", form.encode())
    assert TWILIO.answer(CallbackRequest(method, f"{URL}&{query}", query, {}, body)) == answer


@pytest.mark.parametrize("body", [b"\xff", b"Body=%FF"])
def test_what_cannot_be_read_is_answered_all_the_same(body: bytes) -> None:
    assert TWILIO.answer(CallbackRequest("POST", URL, "account=acme", {}, body)) == Answer()
