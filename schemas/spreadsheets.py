"""Defuses untrusted texts in files that people open in a spreadsheet. Pure."""

from __future__ import annotations

import re
from typing import TypeVar

T = TypeVar("T")

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?[0-9•]+(?:\.[0-9]+)?")


def harmless(value: T) -> T | str:
    """Return a value that no spreadsheet takes for a formula (OWASP, CSV injection), with a leading `'` if needed.

    Phone numbers, even masked ones, and amounts stay unchanged.
    """
    is_formula = isinstance(value, str) and value.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value
