"""Which codes of failures are known."""

from __future__ import annotations

from typing import Any

import pytest
from provider_callbacks import infobip_receipt, twilio

from providers.codes import UnknownCode, unknown_code
from providers.twilio import Twilio
from schemas.records import Receipt


@pytest.mark.parametrize(
    ("status", "error", "unknown"),
    [
        ({"groupId": 2, "id": 4, "name": "UNDELIVERABLE_REJECTED_OPERATOR"}, {"id": 603}, None),
        ({"groupId": 5, "name": "rejected_destination"}, None, None),
        ({"groupId": 5, "id": 51}, None, None),
        ({"groupId": 5, "id": 51, "groupName": "REJECTED"}, None, None),
        ({"groupId": 5}, {"id": 541}, None),
        ({"groupName": "UNDELIVERABLE"}, None, None),
        ({"groupId": 2, "id": 4}, {"id": 0}, None),
        # Not a failure, whatever it is called.
        ({"groupId": 3, "id": 777, "name": "DELIVERED_BY_PIGEON"}, None, None),
        ({"groupId": 1, "name": "PENDING_SOMEHOW"}, None, None),
        ({"groupId": 5, "id": 777, "name": "REJECTED_SOMEHOW"}, None, UnknownCode("REJECTED_SOMEHOW", True)),
        ({"groupId": 5, "id": 777, "groupName": "REJECTED"}, None, UnknownCode("5,777", True)),
        ({"groupId": 5, "id": 777}, None, UnknownCode("5,777", True)),
        ({"groupId": 2, "id": 4}, {"id": 9_999}, UnknownCode("error 9999", False)),
    ],
)
def test_of_infobip(status: dict[str, Any], error: dict[str, Any] | None, unknown: UnknownCode | None) -> None:
    assert unknown_code(infobip_receipt(status, error)) == unknown


@pytest.mark.parametrize(
    ("status", "code", "unknown"),
    [
        ("undelivered", "30003", None),
        ("failed", "", None),
        ("failed", "39999", UnknownCode("39999", False)),
        ("delivered", "39999", None),
    ],
)
def test_of_twilio(status: str, code: str, unknown: UnknownCode | None) -> None:
    fields = {"MessageSid": "SM1", "MessageStatus": status, "To": "+15558675310", "ErrorCode": code}
    (item,) = Twilio().read(twilio(fields))
    assert isinstance(item, Receipt)
    assert unknown_code(item) == unknown
