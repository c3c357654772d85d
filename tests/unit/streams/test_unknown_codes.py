"""Codes that no table has."""

from __future__ import annotations

from typing import Any

import pytest
from contact_records import ABSENT, DELIVERED, Report, receipt

from schemas.records import Receipt
from streams import unknown_codes
from streams.unknown_codes import UnknownCodes


@pytest.fixture
def counted() -> list[str]:
    return []


@pytest.fixture
def codes(counted: list[str]) -> UnknownCodes:
    return UnknownCodes(counted.append)


def rejected(name: str, **fields: Any) -> Receipt:
    report = Report("rejected", name, "neutral", True)
    return receipt("m1", report, 5, **{"provider_code": "5,777", **fields})


def test_an_unknown_outcome_counts_as_a_failure_of_the_contact(codes: UnknownCodes, counted: list[str]) -> None:
    assert codes.checked(rejected("REJECTED_SOMEHOW")).status_class == "transient"
    assert counted == ["infobip"]


def test_an_unknown_error_leaves_the_outcome_as_its_status_says(codes: UnknownCodes, counted: list[str]) -> None:
    report = rejected("REJECTED_NOT_ENOUGH_CREDITS", provider_code="5,12/9999")
    assert codes.checked(report) is report
    assert counted == ["infobip"]


@pytest.mark.parametrize("report", [DELIVERED, ABSENT])
def test_what_is_known_is_left_alone(codes: UnknownCodes, counted: list[str], report: Report) -> None:
    known = receipt("m1", report, 5, provider_code="2,7")
    assert codes.checked(known) is known
    assert counted == []


def test_a_code_is_shown_once(codes: UnknownCodes, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("REJECTED_SOMEHOW", "REJECTED_SOMEHOW", "REJECTED_OTHERWISE"):
        codes.checked(rejected(name))
    assert [record.args for record in caplog.records] == [
        ("infobip", "REJECTED_SOMEHOW"),
        ("infobip", "REJECTED_OTHERWISE"),
    ]


def test_so_many_codes_are_shown_and_no_more(
    codes: UnknownCodes, counted: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown_codes, "MAX_SHOWN", 3)
    for number in range(10):
        codes.checked(rejected(f"REJECTED_{number}"))
    assert len(caplog.records) == 3
    assert len(counted) == 10
