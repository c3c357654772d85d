"""What a spreadsheet would interpret as a formula, and what can be left unchanged."""

from __future__ import annotations

import pytest

from schemas.spreadsheets import harmless


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("\tx", "'\tx"),
        ("\n=1+1", "'\n=1+1"),
        ("＝1+1", "'＝1+1"),
        ("+15551230001", "+15551230001"),
        ("+1555•••0001", "+1555•••0001"),
        ("-0.0075", "-0.0075"),
        ("-0.0075+A1", "'-0.0075+A1"),
        ("plain = text", "plain = text"),
    ],
)
def test_what_begins_like_a_formula_is_text(text: str, cell: str) -> None:
    assert harmless(text) == cell


@pytest.mark.parametrize("value", [None, True, -3, -0.5])
def test_what_is_no_text_stays(value: object) -> None:
    assert harmless(value) is value
