"""Infobip's callbacks. Payloads have the shapes of its API documentation."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import orjson
import pytest

from providers.base import Answer, CallbackRequest, Malformed, NotAuthentic, Unreadable
from providers.fields import MAX_ITEMS
from providers.infobip import Infobip
from schemas.ids import derived_id
from schemas.records import InboundMessage, Receipt
from tests.unit.providers.provider_callbacks import (
    RECEIVED_AT,
    callback,
    infobip,
    infobip_receipt,
    infobip_report,
    outcome,
)

INFOBIP = Infobip()

V3_REPORT: dict[str, Any] = {
    "bulkId": "bulk-7",
    "price": {"pricePerMessage": 0.0075, "currency": "EUR"},
    "status": {
        "groupId": 3,
        "groupName": "DELIVERED",
        "id": 5,
        "name": "DELIVERED_TO_HANDSET",
        "description": "Message delivered to handset",
    },
    "error": {
        "groupId": 0,
        "groupName": "OK",
        "id": 0,
        "name": "NO_ERROR",
        "description": "No Error",
        "permanent": False,
    },
    "messageId": "m-1",
    "to": "385911234567",
    "sender": "AcmeMedia",
    "sentAt": "2026-03-01T08:59:58.000+0100",
    "doneAt": "2026-03-01T09:00:00.250+0100",
    "messageCount": 2,
    "mccMnc": "21910",
    "callbackData": "order-77",
    "platform": {"entityId": "e", "applicationId": "a"},
}
REPLY: dict[str, Any] = {
    "messageId": "mo-1",
    "from": "385911234567",
    "to": "385921004026",
    "text": "QUIZ Paris",
    "cleanText": "Paris",
    "keyword": "QUIZ",
    "receivedAt": "2026-03-01T08:00:00.000+0000",
    "smsCount": 1,
    "price": {"pricePerMessage": 0, "currency": "EUR"},
    "callbackData": "x",
}


def read_malformed(item: object) -> Malformed:
    (malformed,) = INFOBIP.read(infobip(item))
    assert isinstance(malformed, Malformed)
    return malformed


def read_reply(item: dict[str, Any]) -> InboundMessage:
    (reply,) = INFOBIP.read(infobip(item))
    assert isinstance(reply, InboundMessage)
    return reply


# Reports: the shapes


def test_a_v3_report_fills_every_field() -> None:
    (receipt,) = INFOBIP.read(infobip(V3_REPORT))
    assert receipt == Receipt(
        event_id=derived_id("evt_callback", 0),
        account="acme",
        provider="infobip",
        provider_message_id="m-1",
        sender_reference="order-77",
        to="+385911234567",
        from_="AcmeMedia",
        status="delivered",
        status_detail="DELIVERED_TO_HANDSET",
        status_class="delivered",
        provider_status="DELIVERED_TO_HANDSET",
        provider_code="3,5",
        provider_text="Message delivered to handset",
        final=True,
        occurred_at=1_772_352_000_250,
        received_at=RECEIVED_AT,
        parts=2,
        price="0.0075",
        currency="EUR",
        network="21910",
        raw=orjson.dumps(V3_REPORT).decode(),
    )


def test_a_v2_report_has_its_own_names_for_sender_and_parts() -> None:
    item = {key: value for key, value in V3_REPORT.items() if key not in ("sender", "messageCount", "platform")}
    (receipt,) = INFOBIP.read(infobip({**item, "from": "441134960000", "smsCount": 3}))
    assert isinstance(receipt, Receipt)
    assert (receipt.from_, receipt.parts) == ("+441134960000", 3)


def test_no_field_but_message_id_and_group_is_needed() -> None:
    (receipt,) = INFOBIP.read(infobip({"messageId": "m-1", "status": {"groupName": "Delivered"}}))
    assert isinstance(receipt, Receipt)
    assert outcome(receipt) == ("delivered", "DELIVERED", "delivered", True)
    assert (receipt.to, receipt.from_, receipt.occurred_at, receipt.parts) == (None, None, None, None)
    assert (receipt.price, receipt.network, receipt.sender_reference) == (None, None, None)
    assert (receipt.provider_status, receipt.provider_code, receipt.provider_text) == ("Delivered", "3", None)


def test_nulls_are_as_good_as_absent() -> None:
    fields = dict.fromkeys(("to", "sender", "doneAt", "price", "error", "messageCount", "mccMnc", "callbackData"))
    (receipt,) = INFOBIP.read(infobip({**V3_REPORT, **fields}))
    assert isinstance(receipt, Receipt)
    assert receipt.to is None
    assert receipt.price is None


def test_numbers_may_come_as_strings_and_ids_as_numbers() -> None:
    receipt = infobip_receipt(
        {"groupId": "2", "id": "4"}, {"id": "603"}, messageId=817790313235066447, messageCount="2"
    )
    assert (receipt.provider_message_id, receipt.provider_code, receipt.parts) == (
        "817790313235066447",
        "2,4/603",
        2,
    )
    assert receipt.status_class == "opt_out"


def test_a_whole_number_may_be_written_as_a_fraction() -> None:
    body = b'{"results": [{"messageId": 7.0, "to": 3.85911234567E11, "status": {"groupId": 2.0, "id": 4e0}}]}'
    (receipt,) = INFOBIP.read(callback("infobip", body))
    assert isinstance(receipt, Receipt)
    assert (receipt.provider_message_id, receipt.to, receipt.provider_code) == ("7", "+385911234567", "2,4")


def test_a_null_does_not_hide_the_other_name_of_a_field() -> None:
    receipt = infobip_receipt({"groupId": 3}, messageCount=None, smsCount=2, mccMnc=None, mccmnc="21910")
    assert (receipt.parts, receipt.network) == (2, "21910")


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (0.0075, "0.0075"),
        (1, "1"),
        (0, "0"),
        (1e-7, "0.0000001"),
        ("0.0100", "0.0100"),
        (-0.5, "-0.5"),
        ("free", None),
        ("NaN", None),
        ("1E+999999999999999999", None),
        (1e300, None),
        (True, None),
        ([1], None),
    ],
)
def test_a_price_is_a_decimal_string(price: object, expected: str | None) -> None:
    assert infobip_receipt({"groupId": 3}, price={"pricePerMessage": price}).price == expected


@pytest.mark.parametrize(("currency", "expected"), [("USD", "USD"), ("UNKNOWN", None), ("", None), (7, None)])
def test_a_currency_is_three_letters(currency: object, expected: str | None) -> None:
    price = {"pricePerMessage": 0, "currency": currency}
    assert infobip_receipt({"groupId": 3}, price=price).currency == expected


@pytest.mark.parametrize(
    ("network", "expected"), [("21910", "21910"), (21910, "21910"), ("null", None), (None, None), ("", None)]
)
def test_a_network_is_a_code_and_not_the_word_null(network: object, expected: str | None) -> None:
    assert infobip_receipt({"groupId": 3}, mccMnc=network).network == expected


@pytest.mark.parametrize("done_at", ["soon", "", 1_704_106_800_000, {}])
def test_a_bad_time_does_not_reject_a_report(done_at: object) -> None:
    assert infobip_receipt({"groupId": 3}, doneAt=done_at).occurred_at is None


@pytest.mark.parametrize("count", [-1, 2**31, 10**30, "many", True, 1.5])
def test_a_bad_part_count_does_not_reject_a_report(count: object) -> None:
    item = orjson.loads(orjson.dumps(infobip_report({"groupId": 3})))
    body = b'{"results":[' + orjson.dumps(item)[:-1] + b',"messageCount":' + _json(count) + b"}]}"
    (receipt,) = INFOBIP.read(callback("infobip", body))
    assert isinstance(receipt, Receipt)
    assert receipt.parts is None


def _json(value: object) -> bytes:
    return str(value).encode() if type(value) is int else orjson.dumps(value)


def test_the_text_is_that_of_the_error_where_there_is_one() -> None:
    status = {"groupId": 2, "description": "Message sent not delivered"}
    assert infobip_receipt(status).provider_text == "Message sent not delivered"
    assert infobip_receipt(status, {"id": 0, "description": "No Error"}).provider_text == "Message sent not delivered"
    assert infobip_receipt(status, {"id": 6, "description": "Absent Subscriber"}).provider_text == "Absent Subscriber"


# Batches and what cannot be read


def test_a_batch_keeps_order_and_count() -> None:
    items = INFOBIP.read(infobip(*[infobip_report({"groupId": 3}, messageId=f"m-{n}") for n in range(2000)]))
    assert [item.provider_message_id for item in items if isinstance(item, Receipt)] == [f"m-{n}" for n in range(2000)]


def test_the_same_message_twice_in_a_batch_is_two_items() -> None:
    items = INFOBIP.read(infobip(V3_REPORT, V3_REPORT))
    assert [item.event_id for item in items if isinstance(item, Receipt)] == [
        derived_id("evt_callback", 0),
        derived_id("evt_callback", 1),
    ]


def test_one_bad_item_spares_its_siblings() -> None:
    first, second, third = INFOBIP.read(infobip(V3_REPORT, {"status": {"groupId": 3}}, REPLY))
    assert isinstance(first, Receipt)
    assert second == Malformed("missing_field", "results[1].messageId is missing", '{"status":{"groupId":3}}')
    assert isinstance(third, InboundMessage)


@pytest.mark.parametrize(
    ("item", "reason", "named"),
    [
        (infobip_report({"groupId": 3}, messageId=None), "missing_field", "results[0].messageId"),
        (infobip_report({"groupId": 3}, messageId=""), "missing_field", "results[0].messageId"),
        (infobip_report({"groupId": 3}, messageId=["m"]), "missing_field", "results[0].messageId"),
        (infobip_report({"groupId": 42, "groupName": "UNEXPECTED"}), "unknown_status", "UNEXPECTED"),
        (infobip_report({"groupId": 42}), "unknown_status", "42"),
        (infobip_report({}), "unknown_status", "results[0].status"),
        ({"messageId": "m-1", "status": "DELIVERED"}, "wrong_type", "results[0].status"),
        ({"messageId": "m-1"}, "missing_field", "results[0].status"),
        ({"messageId": "m-1", "from": "385911234567"}, "missing_field", "results[0].status"),
        ({"from": "", "text": "hi"}, "missing_field", "results[0].from"),
        ({"from": ["x"], "text": "hi"}, "missing_field", "results[0].from"),
        ("text", "wrong_type", "results[0]"),
        (None, "wrong_type", "results[0]"),
        ([], "wrong_type", "results[0]"),
    ],
)
def test_a_bad_item_is_named(item: object, reason: str, named: str) -> None:
    malformed = read_malformed(item)
    assert malformed.reason == reason
    assert named in malformed.error
    assert malformed.item == orjson.dumps(item).decode()


@pytest.mark.parametrize("to", ["abc", "", "4" * 30, {}, "0171 2345678", "US.1349120865530274191"])
def test_a_recipient_that_is_no_number_costs_only_itself(to: object) -> None:
    receipt = infobip_receipt({"groupId": 5, "name": "REJECTED_PREFIX_MISSING"}, to=to)
    assert (receipt.provider_message_id, receipt.to, receipt.status_class) == ("m-1", None, "invalid")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"Invalid", b"{", b'{"results": NaN}', b'{"results": [1e999]}', b'{"results": ["\xff"]}'),
        *(
            b"[" * 5000,
            b'{"results": [' + b"[" * 300 + b"]" * 300 + b"]}",
            b"\x00",
        ),
    ],
    ids=repr,
)
def test_a_body_that_is_not_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        INFOBIP.read(callback("infobip", body))
    assert caught.value.reason == "not_json"


@pytest.mark.parametrize(
    "body", [b"{}", b'{"deliveryReport": []}', b'{"results": {}}', b'{"results": null}', b"[]", b"1"]
)
def test_a_body_without_a_results_list_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable, match="results") as caught:
        INFOBIP.read(callback("infobip", body))
    assert caught.value.reason == "missing_field"


def test_a_body_of_more_items_than_a_provider_sends_is_kept_whole() -> None:
    with pytest.raises(Unreadable, match="more than 10000 items") as caught:
        INFOBIP.read(infobip(*[7] * (MAX_ITEMS + 1)))
    assert caught.value.reason == "too_many_items"
    assert len(INFOBIP.read(infobip(*[7] * MAX_ITEMS))) == MAX_ITEMS


# Inbound messages


def test_an_inbound_sms_fills_every_field() -> None:
    assert read_reply(REPLY) == InboundMessage(
        event_id=derived_id("evt_callback", 0),
        account="acme",
        provider="infobip",
        provider_message_id="mo-1",
        from_="+385911234567",
        to="+385921004026",
        text="QUIZ Paris",
        kind="reply",
        keyword="QUIZ",
        occurred_at=1_772_352_000_000,
        received_at=RECEIVED_AT,
        raw=orjson.dumps(REPLY).decode(),
    )


def test_an_mms_has_its_text_and_media_in_segments() -> None:
    reply = read_reply(
        {
            "messageId": "mo-2",
            "from": "385911234567",
            "to": "25256",
            "receivedAt": "2026-03-01T08:00:00.000+0000",
            "message": [
                {"contentType": "image/jpeg", "url": "https://media.example/1"},
                {"contentType": "text/plain; charset=utf-8", "value": "Look"},
                {"contentType": "application/smil", "value": "<smil/>"},
                {"contentType": "video/mp4", "url": "https://media.example/2"},
                {"contentType": "text/plain", "value": "and here"},
            ],
        }
    )
    assert reply.text == "Look\nand here"
    assert reply.media == ("https://media.example/1", "https://media.example/2")
    assert reply.to == "25256"


@pytest.mark.parametrize(
    ("fields", "text"),
    [({"text": ""}, ""), ({"text": "  stop\n"}, "  stop\n"), ({"text": 1234}, "1234"), ({"receivedAt": "x"}, None)],
)
def test_a_text_stays_as_it_was_written(fields: dict[str, Any], text: str | None) -> None:
    assert read_reply({"from": "385911234567", **fields}).text == text


def test_an_alphanumeric_originator_stays_as_it_is() -> None:
    assert read_reply({**REPLY, "from": "MTN"}).from_ == "MTN"


@pytest.mark.parametrize("field", ["status", "seenAt"])
def test_an_empty_field_of_a_report_does_not_turn_a_reply_into_one(field: str) -> None:
    assert read_reply({**REPLY, field: ""}).text == REPLY["text"]


def test_an_item_with_a_status_is_a_report_even_if_it_has_a_text() -> None:
    (item,) = INFOBIP.read(infobip({**REPLY, "status": {"groupId": 3}}))
    assert isinstance(item, Receipt)


# Authentication and answer

BASIC = {"username": "acme", "password": "p:ss wörd"}
HEADER = {"header_name": "X-Callback-Key", "header_value": "k-123"}
SECRET = {"secret": "k-9"}


def basic(text: str, encoding: str = "utf-8") -> str:
    return "Basic " + base64.b64encode(text.encode(encoding)).decode()


BODY = b'{"results": []}'


def signature(key: str, algorithm: str = "sha256", body: bytes = BODY) -> str:
    return hmac.new(key.encode(), body, algorithm).hexdigest()


def verify(
    headers: dict[str, str],
    credentials: dict[str, str],
    query: str = "account=acme",
    path_secret: str | None = None,
) -> str | None:
    """The code of the refusal, None when the callback is authentic."""
    url = f"https://callbacks.example/api/webhook-feedbacks/infobip?{query}"
    try:
        INFOBIP.verify(CallbackRequest("POST", url, query, headers, BODY, path_secret), credentials)
    except NotAuthentic as error:
        return error.code
    return None


@pytest.mark.parametrize(
    ("headers", "credentials", "code"),
    [
        ({}, {}, None),
        ({"authorization": basic("acme:p:ss wörd")}, BASIC, None),
        ({"authorization": basic("acme:p:ss wörd").replace("Basic", "basic")}, BASIC, None),
        ({"x-callback-key": "k-123"}, HEADER, None),
        ({"authorization": basic("acme:p:ss wörd"), "x-callback-key": "k-123"}, BASIC | HEADER, None),
        ({}, BASIC, "missing_credentials"),
        ({"authorization": basic("acme:other")}, BASIC, "wrong_credentials"),
        ({"authorization": basic("acme:")}, BASIC, "wrong_credentials"),
        ({"authorization": basic("other:p:ss wörd")}, BASIC, "wrong_credentials"),
        ({"authorization": basic("acme:p:ss wörd", "latin-1")}, BASIC, "wrong_credentials"),
        ({"authorization": "Basic !!!"}, BASIC, "wrong_credentials"),
        ({"authorization": "Bearer abc"}, BASIC, "wrong_credentials"),
        ({"authorization": "Basic \udcff"}, BASIC, "wrong_credentials"),
        ({"authorization": ""}, BASIC, "wrong_credentials"),
        ({}, HEADER, "missing_credentials"),
        ({"x-callback-key": "k-12"}, HEADER, "wrong_credentials"),
        ({"x-callback-key": "\udcff"}, HEADER, "wrong_credentials"),
        ({"authorization": basic("acme:p:ss wörd")}, BASIC | HEADER, "missing_credentials"),
        ({"x-callback-key": "k-123"}, BASIC | HEADER, "missing_credentials"),
        ({"authorization": basic("acme:")}, {"username": "acme"}, "no_credentials"),
        ({"authorization": basic(":x")}, {"password": "x"}, "no_credentials"),
        ({"x-callback-key": ""}, {"header_name": "X-Callback-Key", "header_value": ""}, "no_credentials"),
        ({"x-callback-key": "k-123"}, HEADER | SECRET, "missing_secret"),
        ({"authorization": basic("acme:p:ss wörd")}, BASIC | SECRET, "missing_secret"),
    ],
)
def test_what_is_configured_must_match(headers: dict[str, str], credentials: dict[str, str], code: str | None) -> None:
    assert verify(headers, credentials) == code


@pytest.mark.parametrize(
    ("query", "path_secret", "credentials", "code"),
    [
        ("account=acme&secret=k-9", None, SECRET, None),
        ("account=acme", "k-9", SECRET, None),
        ("account=acme", "k-8", SECRET, "wrong_secret"),
        ("account=acme&secret=k-8", None, SECRET, "wrong_secret"),
        ("account=acme", "k-9", {}, "wrong_secret"),
        ("account=acme", "k-9", BASIC | SECRET, "missing_credentials"),
    ],
)
def test_a_secret_of_the_url_stands_in_its_query_or_its_path(
    query: str, path_secret: str | None, credentials: dict[str, str], code: str | None
) -> None:
    assert verify({}, credentials, query, path_secret) == code


def test_the_answer_is_empty() -> None:
    assert INFOBIP.answer(CallbackRequest("POST", "https://x.example/", "", {}, b"{}")) == Answer(b"", None)


def test_half_an_emoji_in_one_reply_does_not_cost_its_siblings() -> None:
    body = (
        b'{"results":[{"messageId":"mo-1","from":"15550002222","to":"18885550100","text":"Hi \\ud83d"},'
        b'{"messageId":"mo-2","from":"15550002223","to":"18885550100","text":"STOP"}]}'
    )
    first, second = Infobip().read(callback("infobip", body))
    assert isinstance(first, InboundMessage)
    assert isinstance(second, InboundMessage)
    assert (first.text, second.text) == ("Hi ?", "STOP")


@pytest.mark.parametrize(
    ("header", "query", "code"),
    [
        (f"SHA256={signature('k-9')}", "account=acme", None),
        (f"sha256={signature('k-9').upper()}", "account=acme", None),
        (f"SHA1={signature('k-9', 'sha1')}", "account=acme", None),
        (f"SHA512={signature('k-9', 'sha512')}", "account=acme", None),
        (f"SHA256={signature('k-8')}", "account=acme", "wrong_signature"),
        (f"SHA256={signature('k-9', body=b'{}')}", "account=acme", "wrong_signature"),
        (f"SHA1={signature('k-9')}", "account=acme", "wrong_signature"),
        (f"MD5={signature('k-9', 'md5')}", "account=acme", "unknown_algorithm"),
        (signature("k-9"), "account=acme", "unknown_algorithm"),
        ("", "account=acme", "unknown_algorithm"),
        # What stands in the URL must be right, and is proof enough.
        (f"SHA256={signature('k-9')}", "account=acme&secret=k-8", "wrong_secret"),
        (f"SHA256={signature('other')}", "account=acme&secret=k-9", None),
    ],
)
def test_the_secret_may_be_the_key_of_an_hmac_instead_of_standing_in_the_url(
    header: str, query: str, code: str | None
) -> None:
    assert verify({"x-hub-signature": header}, SECRET, query) == code


def test_a_signature_proves_nothing_to_an_account_without_a_secret() -> None:
    headers = {"x-hub-signature": f"SHA256={signature('k-9')}"}
    assert verify(headers, {}) is None
    assert verify(headers, BASIC) == "missing_credentials"


def test_both_secrets_sign_while_one_is_changed() -> None:
    for key in ("k-9", "k-8"):
        headers = {"x-hub-signature": f"SHA256={signature(key)}"}
        assert verify(headers, {"secret": "k-9", "secret_previous": "k-8"}) is None
