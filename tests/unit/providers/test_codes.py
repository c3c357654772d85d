"""Which failure codes are known."""

from __future__ import annotations

from typing import Any

import pytest

from providers.codes import codes_of, of_account, unknown_code
from providers.twilio import Twilio
from schemas.records import Receipt
from tests.unit.providers.provider_callbacks import infobip_receipt, twilio


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
        ({"groupId": 2, "id": 4}, {"id": 810}, None),
        ({"groupId": 5, "id": 4106, "name": "EC_BLOCKED_BY_DLT"}, None, None),
        ({"groupId": 5, "id": 4106}, None, None),
        # Not a failure, whatever it is called.
        ({"groupId": 3, "id": 777, "name": "DELIVERED_BY_PIGEON"}, None, None),
        ({"groupId": 1, "name": "PENDING_SOMEHOW"}, None, None),
        ({"groupId": 5, "id": 777, "name": "REJECTED_SOMEHOW"}, None, "REJECTED_SOMEHOW"),
        ({"groupId": 5, "id": 777, "groupName": "REJECTED"}, None, "5,777"),
        ({"groupId": 5, "id": 777}, None, "5,777"),
        ({"groupId": 2, "id": 4}, {"id": 9_999}, "9999"),
    ],
)
def test_of_infobip(status: dict[str, Any], error: dict[str, Any] | None, unknown: str | None) -> None:
    assert unknown_code(infobip_receipt(status, error)) == unknown


@pytest.mark.parametrize(
    ("status", "code", "unknown"),
    [
        ("undelivered", "30003", None),
        ("failed", "", None),
        ("failed", "39999", "39999"),
        ("delivered", "39999", None),
    ],
)
def test_of_twilio(status: str, code: str, unknown: str | None) -> None:
    fields = {"MessageSid": "SM1", "MessageStatus": status, "To": "+15558675310", "ErrorCode": code}
    (item,) = Twilio().read(twilio(fields))
    assert isinstance(item, Receipt)
    assert unknown_code(item) == unknown


@pytest.mark.parametrize(
    ("receipt", "codes"),
    [
        (
            infobip_receipt({"groupId": 2, "id": 4, "name": "UNDELIVERABLE_REJECTED_OPERATOR"}, {"id": 603}),
            ["603", "UNDELIVERABLE_REJECTED_OPERATOR", "2,4"],
        ),
        (infobip_receipt({"groupId": 5, "id": 51}), ["REJECTED_SPAM", "5,51"]),
        (infobip_receipt({"groupId": 5, "id": 51, "name": "MISSING_TO"}), ["MISSING_TO", "5,51"]),
    ],
)
def test_the_names_of_what_infobip_reports_begin_with_what_says_most(receipt: Receipt, codes: list[str]) -> None:
    assert list(codes_of(receipt)) == codes


def test_the_names_of_what_twilio_reports_are_its_error_and_its_status() -> None:
    (item,) = Twilio().read(twilio({"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "30500"}))
    assert isinstance(item, Receipt)
    assert list(codes_of(item)) == ["30500", "failed"]


@pytest.mark.parametrize(
    ("classes", "status_class"),
    [
        ({}, "transient"),
        ({"infobip 6": "neutral"}, "neutral"),
        ({"infobip UNDELIVERABLE_NOT_DELIVERED": "neutral"}, "neutral"),
        ({"infobip 2,9": "invalid"}, "invalid"),
        # Of several names, what says most counts.
        ({"infobip 2,9": "invalid", "infobip 6": "neutral"}, "neutral"),
        ({"twilio 6": "neutral", "infobip 7": "neutral", "6": "neutral"}, "transient"),
    ],
)
def test_an_account_gives_a_code_the_class_that_it_wants(classes: dict[str, str], status_class: str) -> None:
    report = infobip_receipt({"groupId": 2, "id": 9, "name": "UNDELIVERABLE_NOT_DELIVERED"}, {"id": 6})
    assert of_account(report, classes).status_class == status_class
    assert of_account(report, classes).status_detail == report.status_detail


def test_an_account_does_not_turn_what_was_delivered_into_a_failure() -> None:
    report = infobip_receipt({"groupId": 3, "id": 5, "name": "DELIVERED_TO_HANDSET"})
    assert of_account(report, {"infobip 3,5": "invalid"}) is report
