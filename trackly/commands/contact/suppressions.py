"""Suppression list files: parses an import line by line, each a number and an optional reason.

CSV (comma, semicolon, or tab; with or without a header) or JSON lines. Pure.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

from schemas.pseudonyms import PREFIX
from schemas.records import REMOVAL_REASONS
from trackly.written import written_number

Format = Literal["csv", "jsonl"]

NUMBER_COLUMNS = ("number", "phone_number", "phone", "msisdn", "mobile")
"""Names of the column or field with the number; the first one present counts."""

COLUMNS = ("number", "reason", "since", "list_number", "active", "failures", "scope", "held")
"""Columns of an export, which an import recognizes by them: of one that was made without --removed, it takes only the
contacts that must not be texted."""

_DELIMITERS = ",;\t"
_SEPARATOR = re.compile(r'\s*"?sep=(.)"?\s*').fullmatch
_UNKNOWN_HEADER = (
    f"this header has no column {', '.join(NUMBER_COLUMNS[:-1])}, or {NUMBER_COLUMNS[-1]}: the first column is taken "
    "for the number, the second for the reason"
)
_ACTIVE = "the contact is active in this export, so there is nothing to remove"


class BadLine(ValueError):
    """A line from which no contact can be read. The text says why."""


class Suppression(NamedTuple):
    """A number in E.164, the line's reason or None, and when (ms) the line says it happened.

    `has_unknown_reason`: the line gives a reason that is none of ours, so it counts as one without a reason. Whoever is
    on a suppression list must not be texted, whatever its system calls the reason.
    """

    number: str
    reason: str | None
    happened_at: int | None = None
    has_unknown_reason: bool = False


Parse = Callable[[str], Suppression | None]
"""Parses a line. None: it legitimately has no contact. Raises BadLine."""


def is_separator(line: str) -> bool:
    """Whether a line only tells a spreadsheet what separates cells: sep=;"""
    return _SEPARATOR(line) is not None


def parser_for(file_format: Format, first_line: str, country: str | None = None) -> Parse:
    """Return a parser for a file's lines, by its format and first line, which must be parsed with it too.

    `country` (ISO 3166) applies to numbers that name none.
    """
    return partial(_json_line, country=country) if file_format == "jsonl" else _csv_parser(first_line, country)


def _csv_parser(first_line: str, country: str | None) -> Parse:
    delimiter = max(_DELIMITERS, key=first_line.count)
    try:
        header = [_name(cell) for cell in _cells(first_line, delimiter)]
    except BadLine:
        header = []
    named = next((name for name in NUMBER_COLUMNS if name in header), None)
    number_at = 0 if named is None else header.index(named)
    active_at = header.index("active") if frozenset(COLUMNS).issubset(header) else None
    reason_at = header.index("reason") if named and "reason" in header else (1 if named is None else None)

    is_unknown = named is None and len(header) > 1 and not any(map(str.isdecimal, first_line))

    def parse(line: str) -> Suppression | None:
        cells = _cells(line, delimiter)
        if not any(cell.strip() for cell in cells) or is_separator(line):
            return None
        if is_unknown and line == first_line.rstrip("\r\n"):
            raise BadLine(_UNKNOWN_HEADER)
        if named is not None and [_name(cell) for cell in cells] == header:
            return None
        if number_at >= len(cells):
            raise BadLine(f"has no column {number_at + 1} with a number")
        if active_at is not None and active_at < len(cells) and cells[active_at].strip().lower() == "true":
            raise BadLine(_ACTIVE)
        reason = cells[reason_at] if reason_at is not None and reason_at < len(cells) else ""
        return _suppression(cells[number_at], reason, country)

    return parse


def _name(cell: str) -> str:
    return "_".join(cell.lower().split())


def json_object(line: str) -> dict[str, Any] | None:
    """Parse a line of JSON; None for an empty line. Raises BadLine."""
    if not line.strip():
        return None
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise BadLine("is not valid JSON") from None
    if not isinstance(value, dict):
        raise BadLine("is not a JSON object: write one object per line, not an array")
    return value


def _json_line(line: str, country: str | None) -> Suppression | None:
    if (value := json_object(line)) is None:
        return None
    number = next((value[name] for name in NUMBER_COLUMNS if name in value), None)
    if number is None:
        raise BadLine('has no field "number"')
    if value.get("active") is True and value.keys() >= frozenset(COLUMNS):
        raise BadLine(_ACTIVE)
    return _suppression(str(number), str(value.get("reason") or ""), country)


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise BadLine(f"is not valid CSV: {error}") from None


def _suppression(number: str, reason: str, country: str | None) -> Suppression:
    reason = reason.strip().lower()
    known = reason if reason in REMOVAL_REASONS else None
    if number.startswith(PREFIX):
        raise BadLine(
            "the number was erased, and only its pseudonym is left: it can be removed only by the number itself"
        )
    try:
        return Suppression(written_number(number, country), known, has_unknown_reason=bool(reason) and known is None)
    except ValueError as error:
        raise BadLine(str(error)) from None
