"""Files that say where contacts are: accepted lines, and uncertain ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from trackly.commands.contact.places import BadPlace, Located, read_places, timing_lines, with_answer
from trackly.errors import Failed

PHONE = "+12125550123"


def read(path: Path, text: str, country: str | None = None) -> list[tuple[int, Located | str]]:
    path.write_text(text, "utf-8")
    return [(line, str(found) if isinstance(found, BadPlace) else found) for line, found in read_places(path, country)]


@pytest.mark.parametrize(
    "text",
    [
        "number,time_zone,state\n+12125550123,America/Denver,co\n",
        "State;Phone Number;TZ;name\nUS-CO;+1 (212) 555-0123;America/Denver;Ann\n",
        "\ufeffphone\ttimezone\tregion\r\n+12125550123\tAmerica/Denver\tCO\r\n\r\n",
    ],
)
def test_columns_are_known_by_their_names(tmp_path: Path, text: str) -> None:
    assert read(tmp_path / "places.csv", text) == [(2, Located(PHONE, "America/Denver", "CO"))]


def test_json_lines_are_read_alike(tmp_path: Path) -> None:
    text = '{"number": "+12125550123", "state": "CO"}\n\n[1]\nnonsense\n{"number": 12125550123, "time_zone": "UTC"}\n'
    found = read(tmp_path / "places.jsonl", text, "US")
    assert found[0] == (1, Located(PHONE, None, "CO"))
    assert found[1:3] == [(3, "is not a JSON object"), (4, "is not a JSON object")]
    assert found[3] == (5, Located(PHONE, "UTC", None))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("+12125550123,,", "has neither a time zone nor a state"),
        (",America/Denver,", "has no number"),
        ("2125550123,America/Denver,", "the number may lack its country code"),
        ("nobody,America/Denver,", "the number is not a valid phone number"),
        ("+12125550123,MST,", "'MST' is not a time zone"),
        ("+12125550123,,ON", "'ON' is not a state"),
        ("+12125550123", "has neither a time zone nor a state"),
    ],
)
def test_a_line_that_says_nothing_for_certain_is_told_with_the_reason(tmp_path: Path, line: str, told: str) -> None:
    ((number, found),) = read(tmp_path / "places.csv", f"number,time_zone,state\n{line}\n")
    assert number == 2
    assert isinstance(found, str)
    assert found.startswith(told)


def test_a_workbook_is_refused_and_not_taken_for_lines_without_a_number(tmp_path: Path) -> None:
    file = tmp_path / "places.xlsx"
    file.write_bytes(b"PK\x03\x04 xl/worksheets/sheet1.xml\n")
    with pytest.raises(Failed, match="is a workbook"):
        list(read_places(file, "US"))


@pytest.mark.parametrize("text", ["", "\n", "number\n", "a,b\nc,d\n"])
def test_a_file_that_names_no_place_takes_none(tmp_path: Path, text: str) -> None:
    assert not [found for _, found in read(tmp_path / "places.csv", text) if isinstance(found, Located)]


ACTIVE, REMOVED = {"active": True, "reason": None}, {"active": False, "reason": "complaint"}
YES = {
    "may_be_texted": True,
    "reason": None,
    "held": False,
    "not_before": None,
    "until": None,
    "time_zones": (),
    "rule": None,
    "code": None,
}
NO = YES | {"may_be_texted": False}
NOON, LATER = "2026-11-20T12:00:00.000Z", "2026-11-21T12:00:00.000Z"


@pytest.mark.parametrize(
    ("state", "answer", "line"),
    [
        (ACTIVE, YES, "now       may be texted"),
        (ACTIVE, YES | {"until": NOON, "rule": "us-tx"}, f"until {NOON} (us-tx)"),
        (
            ACTIVE,
            NO | {"reason": "quiet_hours", "not_before": NOON, "until": LATER},
            f"quiet: not before {NOON}, until",
        ),
        (ACTIVE, NO | {"reason": "quiet_hours", "rule": "no-time-zone"}, "quiet, and no later time is known"),
        (ACTIVE, NO | {"reason": "frequency_cap", "not_before": NOON}, f"capped: not before {NOON}"),
        (REMOVED, NO | {"reason": "complaint", "time_zones": ("America/Chicago",)}, "zones     America/Chicago"),
    ],
)
def test_a_contact_is_shown_with_what_a_check_answers(
    state: dict[str, object], answer: dict[str, object], line: str
) -> None:
    shown = with_answer(state, answer)
    assert (shown["may_be_texted"], shown["reason"]) == (answer["may_be_texted"], answer["reason"])
    assert line in "\n".join(timing_lines(shown))


def test_of_a_held_contact_nothing_is_told_of_the_time() -> None:
    shown = with_answer(ACTIVE, NO | {"held": True, "reason": "removal_pending"})
    assert list(timing_lines(shown)) == ["zones     none known"]
