"""Texts of strangers in files that people open with a spreadsheet. Pure."""

from __future__ import annotations

import re
from typing import TypeVar

T = TypeVar("T")

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?[0-9•]+(?:\.[0-9]+)?")


def harmless(value: T) -> T | str:
    """A value whose text no spreadsheet takes for a formula (OWASP, CSV injection): it begins with `'` if it has to.

    Phone numbers, masked ones too, and amounts stay as they are.
    """
    is_formula = isinstance(value, str) and value.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value
