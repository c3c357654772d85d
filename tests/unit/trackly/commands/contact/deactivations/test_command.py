"""What a run over a deactivation file does before it orders anything."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import typer

from accounts.suppression import WHOLE_ACCOUNT
from trackly.commands.contact.deactivations.command import Deactivations, _day, _input, _look_through
from trackly.commands.contact.deactivations.files import end_of
from trackly.commands.contact.imports import Order
from trackly.errors import Failed

DAY = date(2026, 11, 20)
RECORD = {"date": "2026-11-19T00:00:00.000+0000", "destination": "15123456789", "type": "DEACTIVATION"}


def run_of(path: Path, day: date | None = DAY, *, restart: bool = False) -> Deactivations:
    order = Order("acme", WHOLE_ACCOUNT, "deactivated", "ann", None if day is None else end_of(day))
    return Deactivations(path, order, "csv", restart=restart)


def read(path: Path, day: date | None = None) -> tuple[int, int, dict[str, int], dict[str, int]]:
    """Lines, those that are rejected, numbers by reason and by day, of a file in whatever form."""
    with _input(str(path), None, day, None, None, None) as (lines, named):
        survey, found = _look_through(run_of(lines, named, restart=True))
    return survey.lines, survey.rejected, found["reasons"], found["days"]


def test_a_file_of_numbers_is_of_the_day_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "deactivations-2026-11-20.txt"
    path.write_text("15123456789\nnobody\n", "utf-8")
    assert read(path) == (2, 1, {"deactivated": 1}, {"2026-11-20": 1})
    assert read(path, date(2026, 11, 1))[3] == {"2026-11-01": 1}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"results": [RECORD, {**RECORD, "type": "SUSPENSION"}]}),
        json.dumps({"results": [RECORD, {**RECORD, "type": "SUSPENSION"}]}, indent=1),
        json.dumps([RECORD, {**RECORD, "type": "SUSPENSION"}]),
        json.dumps(RECORD) + "\n" + json.dumps({**RECORD, "type": "SUSPENSION"}) + "\n",
    ],
)
def test_pages_and_objects_a_line_say_their_own_days(tmp_path: Path, text: str) -> None:
    path = tmp_path / "reports.json"
    path.write_text(text, "utf-8")
    assert read(path) == (2, 0, {"deactivated": 1}, {"2026-11-19": 1})


def test_a_zip_is_read(tmp_path: Path) -> None:
    path = tmp_path / "20261120.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("numbers.txt", "5123456789\n")
    assert read(path)[2:] == ({"deactivated": 1}, {"2026-11-20": 1})


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"15123456789\n")))
    assert read(Path("-"), DAY)[2:] == ({"deactivated": 1}, {"2026-11-20": 1})


def test_a_number_without_a_day_is_told(tmp_path: Path) -> None:
    path = tmp_path / "numbers.txt"
    path.write_text("15123456789\n", "utf-8")
    with pytest.raises(Failed, match=r"1 lines have no date.*--date"):
        read(path)


def test_a_damaged_file_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "reports.json"
    path.write_text('{"results": [', "utf-8")
    with pytest.raises(Failed, match="not valid"):
        read(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="file not found"):
        read(tmp_path / "nothing.txt")


def test_a_run_of_another_day_does_not_go_on_where_one_was(tmp_path: Path) -> None:
    path = tmp_path / "numbers.txt"
    path.write_text("15123456789\n", "utf-8")
    state = run_of(path).state
    fields = {name: getattr(state, name) for name in state.__slots__}
    (tmp_path / "numbers.txt.import.json").write_text(json.dumps(fields), "utf-8")
    assert run_of(path).resumed
    with pytest.raises(Failed, match="date"):
        run_of(path, date(2026, 11, 21))


@pytest.mark.parametrize("text", ["20 November", "2026-13-01", "2999-01-01"])
def test_a_day_that_is_none_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a valid day|is in the future"):
        _day(text)


def test_today_is_a_day() -> None:
    today = datetime.now(UTC).date()
    assert _day(today.isoformat()) == today
