"""Infobip's click notifications: one object per request, unlike its reports and replies."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from providers.base import Item, Malformed
from providers.infobip import Infobip
from schemas.ids import derived_id
from schemas.records import LinkClick, Receipt
from tests.unit.providers.provider_callbacks import RECEIVED_AT, callback, infobip

CLICK: dict[str, Any] = {
    "notificationType": "CLICKED",
    "recipient": "385911234567",
    "url": "https://shop.example/sale?x=1",
    "sendDateTime": 1_772_352_000_250,
    "messageId": "m-1",
    "bulkId": "bulk-7",
    "callbackData": "order-77",
    "recipientInfo": {"deviceType": "Phone"},
}


def read(**changes: Any) -> Item:
    """The click with these fields changed, without those that are None."""
    fields = {name: value for name, value in (CLICK | changes).items() if value is not None}
    (item,) = Infobip().read(callback("infobip", orjson.dumps(fields), content_type="application/json"))
    return item


def test_a_click_fills_every_field_that_it_can() -> None:
    assert read() == LinkClick(
        event_id=derived_id("evt_callback", 0),
        account="acme",
        provider="infobip",
        provider_message_id="m-1",
        click_id=None,
        to="+385911234567",
        url="https://shop.example/sale?x=1",
        occurred_at=1_772_352_000_250,
        received_at=RECEIVED_AT,
        raw=orjson.dumps(CLICK).decode(),
    )


@pytest.mark.parametrize("absent", ["messageId", "url", "sendDateTime"])
def test_only_the_recipient_is_needed(absent: str) -> None:
    click = read(**{absent: None})
    assert isinstance(click, LinkClick)
    assert None in (click.provider_message_id, click.url, click.occurred_at)


@pytest.mark.parametrize("time", ["1772352000250", 1_772_352_000_250])
def test_the_time_is_in_milliseconds_as_number_or_text(time: object) -> None:
    click = read(sendDateTime=time)
    assert isinstance(click, LinkClick)
    assert click.occurred_at == 1_772_352_000_250


@pytest.mark.parametrize("recipient", [None, "", "nobody", 7.5])
def test_a_click_of_nobody_is_rejected(recipient: object) -> None:
    item = read(recipient=recipient)
    assert isinstance(item, Malformed)
    assert (item.reason, item.error) == ("invalid_number", "recipient is not a phone number")


def test_another_notification_is_rejected_by_its_name() -> None:
    item = read(notificationType="SUBSCRIBED")
    assert isinstance(item, Malformed)
    assert item.reason == "not_supported"
    assert "'SUBSCRIBED'" in item.error


def test_a_batch_of_reports_is_no_click_whatever_stands_beside_it() -> None:
    report = {"messageId": "m-1", "status": {"groupId": 3}}
    (item,) = Infobip().read(callback("infobip", orjson.dumps({**CLICK, "results": [report]})))
    assert isinstance(item, Receipt)


def test_a_click_in_a_batch_is_no_report() -> None:
    (item,) = Infobip().read(infobip(CLICK))
    assert isinstance(item, Malformed)
    assert item.reason == "missing_field"
