"""Codes that are in no table."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bus.memory import CODEC, MemoryKafka, make_durable
from schemas.records import Receipt
from streams import unknown_codes
from streams.normalize import normalize
from streams.unknown_codes import UnknownCodes
from tests.unit.providers.provider_callbacks import twilio
from tests.unit.streams.contact_records import ABSENT, DELIVERED, Report, receipt


def rejected(name: str, **fields: Any) -> Receipt:
    report = Report("rejected", name, "neutral", True)
    return receipt("m1", report, 5, **{"provider_code": "5,777", **fields})


@pytest.fixture
def counted() -> list[str]:
    return []


@pytest.fixture
def codes(counted: list[str]) -> UnknownCodes:
    return UnknownCodes(counted.append)


@pytest.mark.parametrize(
    "report", [rejected("REJECTED_SOMEHOW"), rejected("REJECTED_NOT_ENOUGH_CREDITS", provider_code="5,12/9999")]
)
def test_an_unknown_outcome_and_an_unknown_error_are_counted(
    codes: UnknownCodes, counted: list[str], report: Receipt
) -> None:
    codes.look_at(report)
    assert counted == ["infobip"]


@pytest.mark.parametrize("report", [DELIVERED, ABSENT])
def test_what_is_known_is_not_counted(codes: UnknownCodes, counted: list[str], report: Report) -> None:
    codes.look_at(receipt("m1", report, 5, provider_code="2,7"))
    assert counted == []


def test_a_code_is_shown_once(codes: UnknownCodes, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("REJECTED_SOMEHOW", "REJECTED_SOMEHOW", "REJECTED_OTHERWISE"):
        codes.look_at(rejected(name))
    assert [record.args for record in caplog.records] == [
        ("infobip", "REJECTED_SOMEHOW"),
        ("infobip", "REJECTED_OTHERWISE"),
    ]


def test_so_many_codes_are_shown_and_no_more(
    codes: UnknownCodes, counted: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown_codes, "MAX_SHOWN", 3)
    for number in range(10):
        codes.look_at(rejected(f"REJECTED_{number}"))
    assert len(caplog.records) == 3
    assert len(counted) == 10


def test_a_code_to_which_the_account_gives_a_class_has_it_in_its_receipt() -> None:
    raw = twilio({"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "30299", "To": "+15550002222"})
    kafka = MemoryKafka()
    batch = kafka.batch([])
    source = kafka.admitted("sms.raw", None, CODEC.encode(raw))
    classes = {"acme": {"twilio 30299": "neutral"}}
    normalize(batch, source, CODEC, UnknownCodes(lambda provider: None), lambda account: classes[account])
    asyncio.run(make_durable(batch))
    (found,) = [CODEC.decode(record.value) for record in kafka.sent]
    assert isinstance(found, Receipt)
    assert (found.status_class, found.provider_code) == ("neutral", "30299")
