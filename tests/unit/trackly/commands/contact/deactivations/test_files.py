"""Files of numbers that were given up, as providers write them."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from trackly.commands.contact.deactivations.files import date_in, end_of, lines_of, parser_of
from trackly.commands.contact.suppressions import BadLine, Suppression

NUMBER = "+15123456789"
NOW = 1_795_996_800_000
"""2026-11-30T00:00Z"""

NOON = 1_709_636_400_000
DAY = 1_709_683_199_999
"""The last millisecond of 2024-03-05."""


def infobip(**fields: object) -> str:
    return json.dumps({"date": "2024-03-05T11:00:00.000+0000", "destination": "15123456789", **fields})


@pytest.mark.parametrize(
    ("first", "line", "expected"),
    [
        ("+15123456789", "+15123456789", Suppression(NUMBER, None)),
        ("15123456789", "15123456789\n", Suppression(NUMBER, None)),
        ("5123456789", "5123456789", Suppression(NUMBER, None)),
        ("5123456789", "(512) 345-6789", Suppression(NUMBER, None)),
        ("5123456789", "", None),
        ("number", "number", None),
        ("Phone Number,Date", "15123456789,2024-03-05", Suppression(NUMBER, None, DAY)),
        ("MDN|Status|Deactivation Date", "5123456789|DEACT|2024-03-05", Suppression(NUMBER, "deactivated", DAY)),
        ("mdn;status", "5123456789;reassigned", Suppression(NUMBER, "reassigned")),
        ("mdn;status", "5123456789;suspend", None),
        ("{}", infobip(type="DEACTIVATION"), Suppression(NUMBER, "deactivated", NOON)),
        ("{}", infobip(type="DEACTIVATION", newDestination="15777777777"), Suppression(NUMBER, "deactivated", NOON)),
        (
            "{}",
            infobip(type="DEACTIVATION", date="2024-03-05T00:00:00.000+0000"),
            Suppression(NUMBER, "deactivated", DAY),
        ),
        ("{}", infobip(type="SUSPENSION"), None),
        ("{}", infobip(type="REACTIVATION"), None),
        ("{}", infobip(type="ACTIVATION"), None),
        ("{}", infobip(type="DEACTIVATION", destination="6581234567"), Suppression("+6581234567", "deactivated", NOON)),
    ],
)
def test_a_line(first: str, line: str, expected: Suppression | None) -> None:
    assert parser_of(first, NOW)(line) == expected


@pytest.mark.parametrize(
    ("first", "line", "told"),
    [
        ("15123456789", "nobody", "not a valid phone number"),
        ("15123456789", "72345", "not a valid phone number"),
        ("number,date", "15123456789,yesterday", "the date 'yesterday'"),
        ("number,date", "15123456789,2026-12-03", "is in the future"),
        ("number,status", "15123456789,eaten", "says 'eaten'"),
        ("number,date", ",2024-03-05", "contains no number"),
        ("{}", "{", "is not valid JSON"),
        ("{}", "[1]", "is not a JSON object"),
        ("{}", infobip(type="BREAKFAST"), "says 'breakfast'"),
    ],
)
def test_a_line_that_names_nothing_is_told(first: str, line: str, told: str) -> None:
    with pytest.raises(BadLine, match=told):
        parser_of(first, NOW)(line)


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=examples(300), deadline=None)
def test_no_line_does_anything_else(first: str, line: str) -> None:
    try:
        parser_of(first, NOW)(line)
    except BadLine:
        pass


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("deactivations-2026-11-20.txt", date(2026, 11, 20)),
        ("vonage_20261120.zip", date(2026, 11, 20)),
        ("numbers.txt", None),
        ("2026-13-40.txt", None),
        ("15551202611200.txt", None),
    ],
)
def test_the_day_in_a_name(name: str, day: date | None) -> None:
    assert date_in(name) == day


def test_a_day_counts_as_its_last_moment() -> None:
    assert end_of(date(2024, 3, 5)) == DAY


def converted(data: bytes, folder: Path) -> list[bytes]:
    lines_of(io.BytesIO(data), folder / "lines")
    return (folder / "lines").read_bytes().splitlines()


def test_pages_of_json_become_an_object_a_line(tmp_path: Path) -> None:
    page = {"results": [{"destination": "1"}, {"destination": "2"}], "paging": {"page": 0}}
    text = json.dumps(page, indent=2) + json.dumps({"results": [{"destination": "3"}]})
    assert [json.loads(line)["destination"] for line in converted(text.encode(), tmp_path)] == ["1", "2", "3"]


def test_a_zip_is_unpacked(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("att.txt", "15123456789\n15123456780")
        archive.writestr("verizon.txt", "15123456781\n")
    assert [line for line in converted(packed.getvalue(), tmp_path) if line] == [
        b"15123456789", b"15123456780", b"15123456781"
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"PK\x03\x04 and no more", b'{"results": [', b"[1, 2"])
def test_a_damaged_file_is_told(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot be read|not valid"):
        converted(data, tmp_path)


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trackly.commands.contact.deactivations.files.MOST_UNPACKED", 1_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("many.txt", "0" * 1_001)
    with pytest.raises(ValueError, match="more than"):
        converted(packed.getvalue(), tmp_path)
