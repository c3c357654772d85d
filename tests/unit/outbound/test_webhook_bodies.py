from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from outbound.bodies import PublicEvent, alert_body, body_of, callback_body, contact_of, event_name, list_of
from outbound.formats import array_of, enveloped
from schemas.records import (
    ClickEvent,
    ConversionEvent,
    EndpointAlert,
    MessageCallback,
    ReplyEvent,
    SentEvent,
    UnsubscribeEvent,
)
from tests.unit.sinks.sink_parts import delivered

REPLY = ReplyEvent(
    event_id="evt_2",
    account="acme",
    provider="twilio",
    phone_number="+15550001111",
    list_number="+18005551234",
    body='Grüße, "Anna" \N{PARTY POPPER}',
    timestamp=1_705_314_600_007,
)
UNSUBSCRIBE = UnsubscribeEvent(
    event_id="evt_3",
    account="acme",
    provider="lime",
    phone_number="+15550001111",
    list_number="+18005551234",
    keyword="STOP",
    reason="message",
    timestamp=1_705_314_600_000,
)
SENT = SentEvent(
    event_id="evt_4",
    account="acme",
    message_id="m-1",
    provider_message_id="p-1",
    provider="twilio",
    to="+15550001111",
    list_number="+18005551234",
    part_count=2,
    timestamp=1_705_314_600_000,
)
CLICK = ClickEvent(
    event_id="evt_5",
    account="acme",
    message_id="m-1",
    click_id="c-1",
    provider="lime",
    phone_number="+15550001111",
    list_number="+18005551234",
    url="https://shop.example.com/?a=1",
    timestamp=1_705_314_600_000,
)
CONVERSION = ConversionEvent(
    event_id="evt_6",
    account="acme",
    message_id="m-1",
    click_id="c-1",
    phone_number="+15550001111",
    list_number="+18005551234",
    payout="12.50",
    currency="USD",
    network="tune",
    type="sale",
    external_id="x-1",
    timestamp=1_705_314_600_000,
)
UNKNOWN_CONVERSION = replace(CONVERSION, message_id=None, phone_number=None, list_number=None, payout=None)

DOCUMENTED = [
    (
        delivered("evt_1", message_id="m-1"),
        '{"event":"delivery","message_id":"m-1","to":"+15550001111","list_number":"+18005551234",'
        '"status":"delivered","status_detail":"DELIVERED_TO_HANDSET","provider":"infobip",'
        '"timestamp":"2024-01-15T10:30:00.000Z"}',
    ),
    (
        delivered("evt_1", to=None, message_id="m-1", list_number=None),
        '{"event":"delivery","message_id":"m-1","to":null,"list_number":null,'
        '"status":"delivered","status_detail":"DELIVERED_TO_HANDSET","provider":"infobip",'
        '"timestamp":"2024-01-15T10:30:00.000Z"}',
    ),
    (
        REPLY,
        '{"event":"reply","phone_number":"+15550001111","list_number":"+18005551234",'
        '"body":"Grüße, \\"Anna\\" \N{PARTY POPPER}","timestamp":"2024-01-15T10:30:00.007Z"}',
    ),
    (
        UNSUBSCRIBE,
        '{"event":"unsubscribe","phone_number":"+15550001111","list_number":"+18005551234",'
        '"keyword":"STOP","timestamp":"2024-01-15T10:30:00.000Z"}',
    ),
    (
        SENT,
        '{"event":"sent","message_id":"m-1","to":"+15550001111","list_number":"+18005551234",'
        '"provider":"twilio","part_count":2,"timestamp":"2024-01-15T10:30:00.000Z"}',
    ),
    (
        CLICK,
        '{"event":"click","message_id":"m-1","click_id":"c-1","phone_number":"+15550001111",'
        '"list_number":"+18005551234","url":"https://shop.example.com/?a=1","timestamp":"2024-01-15T10:30:00.000Z"}',
    ),
    (
        CONVERSION,
        '{"event":"conversion","message_id":"m-1","click_id":"c-1","phone_number":"+15550001111",'
        '"list_number":"+18005551234","payout":"12.50","network":"tune","timestamp":"2024-01-15T10:30:00.000Z"}',
    ),
    (
        UNKNOWN_CONVERSION,
        '{"event":"conversion","message_id":null,"click_id":"c-1","phone_number":null,'
        '"list_number":null,"payout":null,"network":"tune","timestamp":"2024-01-15T10:30:00.000Z"}',
    ),
]


@pytest.mark.parametrize(("event", "body"), DOCUMENTED)
def test_a_body_has_the_documented_fields_in_the_documented_order(event: PublicEvent, body: str) -> None:
    assert body_of(event) == body.encode()
    assert json.loads(body_of(event))["event"] == event_name(event)


@pytest.mark.parametrize(
    ("event", "contact", "list_number"),
    [
        (delivered("evt_1"), "+15550001111", "+18005551234"),
        (delivered("evt_1", to=None, list_number=None), None, None),
        (REPLY, "+15550001111", "+18005551234"),
        (UNSUBSCRIBE, "+15550001111", "+18005551234"),
        (SENT, "+15550001111", "+18005551234"),
        (CLICK, "+15550001111", "+18005551234"),
        (UNKNOWN_CONVERSION, None, None),
    ],
)
def test_contact_and_list_of_an_event(event: PublicEvent, contact: str | None, list_number: str | None) -> None:
    assert contact_of(event) == contact
    assert list_of(event) == list_number


def callback(event: str, **changes: Any) -> MessageCallback:
    return MessageCallback(
        event_id="evt_7",
        account="acme",
        url="https://sender.example.com/callback",
        message_id="m-1",
        unique_args={"campaign": "spring", "a": "1"},
        event=event,
        to="+15550001111",
        timestamp=1_705_314_600_000,
        **changes,
    )


@pytest.mark.parametrize(
    ("record", "body"),
    [
        (
            callback("sent", part_count=2),
            '{"id":"m-1","uniqueArgs":{"campaign":"spring","a":"1"},"event":"sent","partCount":2}',
        ),
        (callback("delivered"), '{"id":"m-1","uniqueArgs":{"campaign":"spring","a":"1"},"event":"delivered"}'),
        (
            callback("undelivered", reason_code=1404, reason_message="Soft Bounce"),
            '{"id":"m-1","uniqueArgs":{"campaign":"spring","a":"1"},"event":"undelivered",'
            '"reason":{"message":"Soft Bounce","code":1404}}',
        ),
    ],
)
def test_a_callback_has_the_documented_transactional_form(record: MessageCallback, body: str) -> None:
    assert callback_body(record) == body.encode()


def test_an_alert_says_which_endpoint_why_and_since_when() -> None:
    alert = EndpointAlert(
        event_id="evt_8",
        account="acme",
        endpoint="crm",
        event="endpoint.paused",
        reason="failing",
        error="timeout",
        failures=100,
        since=1_705_314_000_000,
        timestamp=1_705_314_600_000,
    )
    assert alert_body(alert) == (
        b'{"event":"endpoint.paused","endpoint":"crm","reason":"failing","error":"timeout","failures":100,'
        b'"since":"2024-01-15T10:20:00.000Z","timestamp":"2024-01-15T10:30:00.000Z"}'
    )


def test_a_cloudevent_holds_the_plain_body_byte_for_byte() -> None:
    body = body_of(REPLY)
    event = enveloped("evt_2", "reply", REPLY.timestamp, body)
    assert json.loads(event) == {
        "specversion": "1.0",
        "id": "evt_2",
        "source": "/trackly",
        "type": "trackly.reply",
        "time": "2024-01-15T10:30:00.007Z",
        "datacontenttype": "application/json",
        "data": json.loads(body),
    }
    assert body in event


def test_an_array_holds_the_bodies_as_they_are() -> None:
    assert array_of([b'{"a": 1}', b"2"]) == b'[{"a": 1},2]'
