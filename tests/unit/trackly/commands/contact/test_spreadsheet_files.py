"""Suppression lists as spreadsheets save them."""

from __future__ import annotations

from pathlib import Path

import pytest

from trackly.commands.contact.imports import Import, Order
from trackly.errors import Failed

ONE, TWO = "+15551230001", "+15551230002"
ORDER = Order("acme", "+18005551234", "manual", "test")


def imported(path: Path, data: bytes) -> tuple[list[str], list[int]]:
    """The numbers that are imported from a file, and the lines that are rejected."""
    file = path / "list.csv"
    file.write_bytes(data)
    work = Import(file, ORDER, "csv")
    with file.open("rb") as source, work._open_rejects() as rejects:
        numbers = [row.number for rows in work._chunks(source, rejects) for row in rows]
    rejected = work.rejects_path.read_text("utf-8").splitlines()[1:]
    survey = work.survey()
    assert (survey.rejected, survey.lines) == (work.state.rejected, work.state.line)
    return numbers, [int(line.partition(",")[0]) for line in rejected if line[:1].isdecimal()]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(f"number;name\r\n{ONE};Zoë\r\n{TWO};José\r\n".encode("cp1252"), id="Windows-1252"),
        pytest.param(
            f"number;name\r\n{ONE[:6]}\xa0{ONE[6:]};Ann\r\n{TWO};Bo\r\n".encode("cp1252"), id="no-break space"
        ),
        pytest.param(f"sep=;\r\nname;number\r\nAnn;{ONE}\r\nBo;{TWO}\r\n".encode(), id="sep"),
        pytest.param(f'\ufeff"sep=;"\r\nname;number\r\nAnn;{ONE}\r\nBo;{TWO}\r\n'.encode(), id="quoted sep"),
        pytest.param(f'number,name\r\n="{ONE}",Ann\r\n"=""{TWO}""",Bo\r\n'.encode(), id="text formula"),
        pytest.param(f"number\r\n'{ONE}\r\n'{TWO}\r\n".encode(), id="apostrophe"),
        pytest.param(
            f'number,note\r\n{ONE},"moved\r\nto ""Texas"", TX"\r\n{TWO},\r\n'.encode(), id="line end in a cell"
        ),
        pytest.param(f'number,note\n{ONE},5" pipe\n{TWO},"6"" pipe"\n'.encode(), id="inches"),
    ],
)
def test_every_contact_of_a_spreadsheet_is_imported(tmp_path: Path, data: bytes) -> None:
    assert imported(tmp_path, data) == ([ONE, TWO], [])


def test_a_line_with_a_number_is_never_taken_for_the_rest_of_a_cell(tmp_path: Path) -> None:
    data = f'number,note\n{ONE},"no closing quote\n{TWO},"a note"\n{ONE},"another\n{TWO},end"\n'.encode()
    assert imported(tmp_path, data) == ([TWO, TWO], [2, 4])


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    data = f'number,note\n{ONE},"one\ntwo\nthree"\nnobody,\n{TWO},\n'.encode()
    assert imported(tmp_path, data) == ([ONE, TWO], [5])


def test_a_cell_with_a_line_end_in_the_last_line_is_read(tmp_path: Path) -> None:
    assert imported(tmp_path, f'number,note\n{ONE},"one\ntwo"'.encode()) == ([ONE], [])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (f"number\n{ONE}\n".encode("utf-16"), "is UTF-16 text"),
        (f"number\r{ONE}\r{TWO}\r".encode(), "ends its lines as old Macs did"),
        (b"PK\x03\x04" + f"xl/worksheets/sheet1.xml\n{ONE}\n".encode(), "is a workbook"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + f"\n{ONE}\n".encode(), "is a workbook"),
    ],
)
def test_a_file_that_cannot_be_read_line_by_line_is_refused(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(Failed, match=told):
        imported(tmp_path, data)


def test_a_header_without_a_known_name_says_how_its_columns_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(f"Recipient,Reason\n{ONE},complaint\n", "utf-8")
    survey = Import(file, ORDER, "csv").survey()
    assert survey.examples[0] == (
        "line 1: this header has no column number, phone_number, phone, msisdn, or mobile: the first column is taken "
        "for the number, the second for the reason"
    )
