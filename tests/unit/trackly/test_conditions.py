"""Conditions on the fields of records."""

from __future__ import annotations

import pytest

from trackly.conditions import MISSING, parse_condition, value_at

VALUE = {
    "status": "delivered",
    "final": True,
    "parts": 12,
    "price": None,
    "timestamp": "2026-11-20T10:15:32.120Z",
    "to": "+15551230001",
    "text": "Please STOP this",
    "unique_args": {"campaign": "may"},
    "links": [{"url": "https://a.example/?a=b"}],
}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("status=delivered", True),
        ("status=Delivered", False),
        ("status!=delivered", False),
        ("status!=expired", True),
        ("final=true", True),
        ("parts=12", True),
        ("parts>9", True),
        ("parts<9", False),
        ("parts>=12", True),
        ("parts<=11.5", False),
        ("price=null", True),
        ("price!=null", False),
        ("price<5", False),
        ("price>=5", False),
        ("timestamp>2026-11-20", True),
        ("timestamp<2026-11-20T10:15:32.121Z", True),
        ("text~(?i)stop", True),
        ("text~^STOP", False),
        ("to=+15551230001", True),
        ("unique_args.campaign=may", True),
        ("links.0.url=https://a.example/?a=b", True),
        ("links.1.url=https://a.example", False),
        ("links.first=x", False),
        ("status.deeper=delivered", False),
        ("nothing=null", False),
        ("nothing!=x", False),
    ],
)
def test_conditions_compare_the_text_at_a_path(text: str, fits: bool) -> None:
    assert parse_condition(text).fits(VALUE) is fits


def test_a_record_without_a_value_fits_no_condition() -> None:
    assert not parse_condition("status=null").fits(None)
    assert not parse_condition("status!=x").fits(None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("status", "is not a valid condition"),
        ("=x", "is not a valid condition"),
        ("a b=x", "is not a valid condition"),
        ("text~(", "regular exp"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_condition(text)


def test_a_path_that_leads_nowhere_gives_missing() -> None:
    assert value_at(VALUE, "links.7") is MISSING
    assert value_at(VALUE, "price") is None
