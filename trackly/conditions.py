"""Conditions on the fields of records: `status=undeliverable`, `text~stop`, `timestamp>2026-11-20`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

_ORDERED = ("<", "<=", ">", ">=")
_CONDITION = re.compile(r"([A-Za-z_][\w.\-]*)(!=|<=|>=|=|~|<|>)(.*)", re.DOTALL)

MISSING = object()
"""Returned by `value_at` if there is nothing at a path."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: the dotted path of a field, an operator, and the text to compare with.

    `<` and the like compare numbers if both sides are, or else texts, which is right for ISO 8601 times. `~` searches
    for a regular expression. A value without the field matches no condition, not even `!=`; null is neither less nor
    greater than anything.
    """

    path: str
    sign: str
    expected: str

    @property
    def field(self) -> str:
        """The top-level field that the path begins with."""
        return self.path.partition(".")[0]

    def fits(self, value: Any) -> bool:
        """Whether a decoded value matches."""
        found = value_at(value, self.path)
        return found is not MISSING and self.admits(found)

    def admits(self, found: Any) -> bool:
        """Whether the value at the path matches."""
        if found is None and self.sign in _ORDERED:
            return False
        return _SIGNS[self.sign](text_of(found), self.expected)


def parse_condition(text: str) -> Condition:
    """Parse a condition. Raises ValueError, whose text says how to write one."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a valid condition; write status=undeliverable, with one of = != ~ < <= > >=")
    path, sign, expected = match.groups()
    if sign == "~":
        try:
            re.compile(expected)
        except re.error as error:
            raise ValueError(f"{expected!r} is not a valid regular expression: {error}") from None
    return Condition(path, sign, expected)


def value_at(value: Any, path: str) -> Any:
    """Return the value at a dotted path of a decoded value, or MISSING. List items are addressed by number."""
    for step in path.split("."):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return value


def text_of(value: Any) -> str:
    """Return a value as text: strings unchanged, the rest as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _compared(compare: Callable[[Any, Any], bool]) -> Callable[[str, str], bool]:
    def signed(found: str, expected: str) -> bool:
        try:
            return compare(float(found), float(expected))
        except ValueError:
            return compare(found, expected)

    return signed


_SIGNS: Mapping[str, Callable[[str, str], bool]] = {
    "=": lambda found, expected: found == expected,
    "!=": lambda found, expected: found != expected,
    "~": lambda found, expected: re.search(expected, found) is not None,
    "<": _compared(lambda found, expected: found < expected),
    "<=": _compared(lambda found, expected: found <= expected),
    ">": _compared(lambda found, expected: found > expected),
    ">=": _compared(lambda found, expected: found >= expected),
}
