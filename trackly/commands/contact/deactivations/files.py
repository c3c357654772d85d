"""Files of numbers that were given up, as providers write them: a line each, or pages of JSON, or a zip of either.

Twilio: a file of numbers, one a line, of one day (https://www.twilio.com/docs/messaging/api/deactivations-resource).
Infobip: pages of {"results": [{"destination", "date", "type", "newDestination"}]}, Number Activation State. Vonage: a
zip of files of one day (https://developer.vonage.com/en/messaging/sms/guides/number-deactivations); their content is
not documented: numbers, one per line, or columns with a header are accepted. Pure, but for `lines_of`.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from providers.numbers import NotANumber, to_number
from trackly.commands.contact.suppressions import NUMBER_COLUMNS, BadLine, Parse, Suppression, json_object

DAY = timedelta(days=1)

NUMBERS = (*NUMBER_COLUMNS, "destination", "mdn", "tn", "msisdns")
DATES = ("happened_at", "date", "deactivation_date", "deactivated_at", "effective_date")
STATES = ("type", "status", "state")
"""Names of the columns or fields for the number, when it was deactivated, and its new state."""

GIVEN_UP: Mapping[str, str] = {
    "deactivation": "deactivated", "deactivated": "deactivated", "deact": "deactivated", "transfer": "deactivated",
    "disconnected": "deactivated", "reassigned": "reassigned", "reassignment": "reassigned",
}  # fmt: skip
"""A line's word for the new state of a number -> the reason of the removal."""

PASSING = frozenset({"suspension", "suspended", "suspend", "reactivation", "reactivated", "resume", "activation"})
"""States of a number that is not deactivated and stays as it is. Infobip says that an activated number must opt in
again; its earlier deactivation has removed it."""

MOST_UNPACKED = 2 << 30
"""Maximum bytes of all files in a zip."""

MOST_PAGE = 64 << 20
"""Maximum bytes of a JSON page."""

_DATE_IN_NAME = re.compile(r"(?<![0-9])(20[0-9]{2})[-_]?([01][0-9])[-_]?([0-3][0-9])(?![0-9])")
_NORTH_AMERICAN = re.compile(r"(?:\+?1)?([2-9][0-9]{9})")


def date_in(name: str) -> date | None:
    """Return the day in a file's name: deactivations-2026-11-20.txt, 20261120.zip."""
    found = _DATE_IN_NAME.search(name)
    try:
        return None if found is None else date(*map(int, found.groups()))
    except ValueError:
        return None


def end_of(day: date) -> int:
    """Return the last millisecond of a day, UTC. Whoever consents on the day of the deactivation may be the last
    owner."""
    return int((datetime(day.year, day.month, day.day, tzinfo=UTC) + DAY).timestamp() * 1000) - 1


def parser_of(first_line: str, now: int) -> Parse:
    """Return a parser for the lines of a file with this first line: JSON, columns with a header, or plain numbers.
    `now` is in ms."""
    if first_line.lstrip().startswith("{"):
        return lambda line: _of_json(line, now)
    delimiter = max(",;\t|", key=first_line.count)
    header = [_name(cell) for cell in first_line.split(delimiter)]
    if not any(name in header for name in NUMBERS):
        header = ["number"]

    def parse(line: str) -> Suppression | None:
        cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
        if not any(cells) or [_name(cell) for cell in cells] == header:
            return None
        return _given_up(dict(zip(header, cells, strict=False)), now, is_american=True)

    return parse


def lines_of(source: BinaryIO, target: Path) -> None:
    """Convert a provider's file to lines in a new file: JSON pages become an object per line, a zip is unpacked.

    Raises ValueError for an invalid JSON page, a damaged zip, and oversized content.
    """
    with target.open("wb") as out:
        if source.read(4) == b"PK\x03\x04":
            source.seek(0)
            _unpack(source, out)
            return
        source.seek(0)
        _copy(source, out)


def _unpack(source: BinaryIO, out: BinaryIO) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            if sum(each.file_size for each in archive.infolist()) > MOST_UNPACKED:
                raise ValueError(f"the zip contains more than {MOST_UNPACKED >> 30} GiB")
            for each in archive.infolist():
                if each.is_dir():
                    continue
                with archive.open(each) as member:
                    _copy(_Bounded(member, each.file_size), out)
                    out.write(b"\n")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise ValueError(f"the zip cannot be read: {error}") from None


class _Bounded:
    """Reads no more of a zip member than its header declares."""

    def __init__(self, file: Any, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(min(self._left, size) if size >= 0 else self._left)
        self._left -= len(data)
        return data


def _copy(source: Any, out: BinaryIO) -> None:
    head = source.read(1 << 16)
    if not head.lstrip().startswith((b"{", b"[")):
        out.write(head)
        shutil.copyfileobj(source, out)
        return
    page = head + source.read(MOST_PAGE)
    if len(page) > MOST_PAGE:
        raise ValueError(f"it is JSON of more than {MOST_PAGE >> 20} MiB: split it into pages, or one object per line")
    for value in _values(page.decode("utf-8-sig", "replace")):
        out.write(json.dumps(value).encode() + b"\n")


def _values(text: str) -> Iterator[Any]:
    """Yield the records of JSON pages, or of consecutive objects."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise ValueError("it starts like JSON but is not valid") from None
        results = value.get("results") if isinstance(value, dict) else value
        yield from results if isinstance(results, list) else [value]


def _of_json(line: str, now: int) -> Suppression | None:
    if (value := json_object(line)) is None:
        return None
    return _given_up({_name(str(name)): str(each) for name, each in value.items() if each is not None}, now)


def _given_up(fields: Mapping[str, str], now: int, *, is_american: bool = False) -> Suppression | None:
    text = _first(fields, NUMBERS)
    if not text:
        raise BadLine("contains no number")
    state = _first(fields, STATES).lower()
    if state in PASSING:
        return None
    reason = GIVEN_UP.get(state) if state else None
    if state and reason is None:
        raise BadLine(f"says {state[:40]!r}, and none of {', '.join((*GIVEN_UP, *sorted(PASSING)))}")
    told = _first(fields, DATES)
    return Suppression(_number(text, is_american), reason, _millis(told, now) if told else None)


def _number(text: str, is_american: bool) -> str:
    """Return a number in E.164. North American carriers omit their country code; JSON has international numbers."""
    digits = re.sub(r"[\s().-]", "", text)
    american = _NORTH_AMERICAN.fullmatch(digits) if is_american else None
    if american is not None:
        return f"+1{american[1]}"
    try:
        number = to_number(text)
    except NotANumber:
        number = ""
    if not number.startswith("+"):
        raise BadLine("the number is not a valid phone number")
    return number


def _millis(text: str, now: int) -> int:
    """Return a date, or date and time, in ms. A date alone, or midnight, means that whole day."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadLine(f"the date {text[:40]!r} is none such as 2026-11-20 or 2026-11-20T10:15:00Z") from None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    is_midnight = (time.hour, time.minute, time.second, time.microsecond) == (0, 0, 0, 0)
    millis = end_of(time.date()) if is_midnight else int(time.timestamp() * 1000)
    if millis - DAY // timedelta(milliseconds=1) > now:
        raise BadLine(f"the date {text[:40]!r} is in the future")
    return millis


def _first(fields: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((fields[name].strip() for name in names if fields.get(name, "").strip()), "")


def _name(cell: str) -> str:
    return "_".join(cell.strip().strip('"').lower().split())
