from __future__ import annotations

import json

import pytest
from sink_parts import delivered

from schemas.records import ReplyEvent, UnsubscribeEvent
from sinks.bodies import PublicEvent, body_of, contact_of, event_name, list_of

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
    ],
)
def test_contact_and_list_of_an_event(event: PublicEvent, contact: str | None, list_number: str | None) -> None:
    assert contact_of(event) == contact
    assert list_of(event) == list_number
