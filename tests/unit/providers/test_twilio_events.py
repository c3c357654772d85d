"""Twilio's Event Streams as CloudEvents, in single fields. Whole forms: test_published_forms.py."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.base import Item, Malformed, Unreadable
from providers.fields import MAX_ITEMS
from providers.twilio import Twilio
from schemas.ids import derived_id
from schemas.records import InboundMessage, Receipt
from tests.unit.providers.provider_callbacks import callback

STATUS = {"messageSid": "SM1", "messageStatus": "FAILED", "errorCode": 30005, "to": "+15555550142", "from": "acme"}
REASSIGNED = {"event_id": "e-1", "to_number": "+15555550142", "from_number": "+15555550100", "is_reassigned": True}


def event(kind: str, data: object) -> dict[str, Any]:
    return {"specversion": "1.0", "type": f"com.twilio.messaging.{kind}", "data": data}


def read(*events: object) -> list[Item]:
    return Twilio().read(callback("twilio", orjson.dumps(events)))


def only(kind: str, data: object) -> Item:
    (item,) = read(event(kind, data))
    return item


def test_a_status_has_the_time_of_its_event() -> None:
    receipt = only("message.failed", {**STATUS, "timestamp": "2026-03-01T08:00:00.250Z", "numberOfSegments": 2})
    assert isinstance(receipt, Receipt)
    assert (receipt.to, receipt.status, receipt.status_class) == ("+15555550142", "undeliverable", "invalid")
    assert (receipt.provider_code, receipt.parts, receipt.occurred_at) == ("30005", 2, 1_772_352_000_250)


def test_a_status_that_the_data_does_not_name_is_that_of_the_type() -> None:
    receipt = only("message.delivered", {"messageSid": "SM1"})
    assert isinstance(receipt, Receipt)
    assert (receipt.status, receipt.to, receipt.occurred_at) == ("delivered", None, None)


def test_a_number_that_has_a_new_owner_is_opted_out() -> None:
    message = only("reassigned-number.detected", REASSIGNED)
    assert isinstance(message, InboundMessage)
    assert (message.from_, message.to, message.kind, message.keyword, message.text) == (
        *("+15555550142", "+15555550100", "opt_out", "REASSIGNED"),
        None,
    )


def test_events_of_one_request_are_items_in_order_and_spare_each_other() -> None:
    first, second, third = read(event("message.failed", STATUS), 7, event("message.sent", {"messageSid": "SM2"}))
    assert isinstance(first, Receipt)
    assert isinstance(second, Malformed)
    assert isinstance(third, Receipt)
    assert (first.event_id, third.event_id) == (derived_id("evt_callback", 0), derived_id("evt_callback", 2))


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        ("message.failed", {"to": "+15555550142"}, "missing_field"),
        ("message.failed", None, "missing_field"),
        ("message.unheard-of", {"messageSid": "SM1"}, "unknown_status"),
        ("inbound-message.received", {"body": "STOP"}, "missing_field"),
        ("reassigned-number.detected", {**REASSIGNED, "to_number": "nobody"}, "invalid_number"),
        ("reassigned-number.detected", {**REASSIGNED, "is_reassigned": False}, "not_supported"),
        ("compliance.campaign-registration.approved", {}, "not_supported"),
    ],
)
def test_a_bad_event_is_named(kind: str, data: object, reason: str) -> None:
    malformed = only(kind, data)
    assert isinstance(malformed, Malformed)
    assert malformed.reason == reason
    assert "15555550142" not in malformed.error


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b'{"MessageStatus": "sent"}', "not_supported"), (b"[", "not_json"), (b"[" + b"7," * MAX_ITEMS + b"7]", None)],
)
def test_a_body_that_is_no_event_is_unreadable(body: bytes, reason: str | None) -> None:
    with pytest.raises(Unreadable) as caught:
        Twilio().read(callback("twilio", body))
    assert caught.value.reason == (reason or "too_many_items")
