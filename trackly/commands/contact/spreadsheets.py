"""What spreadsheets save that is not lines of text."""

from __future__ import annotations

from pathlib import Path

from trackly.errors import Failed

_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
"""How .xlsx, .ods, and other zip files begin, and .xls: ZIP and OLE2 signatures."""


def check_text(path: Path) -> None:
    """Check that a file is text with one byte for each ASCII character. Raises Failed."""
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(_WORKBOOKS):
        raise Failed(f"{path} is a workbook or an archive, not text: open it and save the sheet as CSV UTF-8.")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Failed(f"{path} is UTF-16 text: save it as CSV UTF-8.")
