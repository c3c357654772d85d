"""A TOML table that knows its position in the file: returns values by type, and collects problems."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from typing import Any, TypeVar

# In this order, because a TOML boolean is also an `int` in Python.
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (str, "a text"),
    (int, "a whole number"),
    (float, "a number"),
    (list, "an array"),
    (dict, "a table"),
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Check = Callable[[str], None]
T = TypeVar("T")


class Table:
    """A TOML table and its position. Returns values by type; problems go to `problems`."""

    def __init__(
        self,
        values: dict[str, Any],
        path: str,
        known: Iterable[str],
        problems: list[str],
        what: str = "setting",
    ) -> None:
        self.values = values
        self.path = path
        self._problems = problems
        names = tuple(known)
        for key in values:
            if names and key not in names:
                self.problem(key, f"is not a known {what}; {nearest(key, names)}")

    def problem(self, key: str, message: str) -> None:
        self._problems.append(f"{self._at(key)}: {message}")

    def required(self, key: str, check: Check) -> str:
        if key not in self.values:
            self.problem(key, "is missing")
        return self.text(key, check) or ""

    def text(self, key: str, check: Check | None = None) -> str | None:
        value = self._typed(key, str, None)
        if value is not None and check is not None:
            self._check(key, value, check)
        return value

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        value = self._typed(key, int, default)
        if value is not None and not least <= value <= most:
            self.problem(key, f"{value} must be between {least} and {most}")
        return default if value is None else value

    def number(self, key: str, least: float, most: float) -> float | None:
        """Return a number with or without a fraction."""
        kind = int if isinstance(self.values.get(key), int) else float
        value = self._typed(key, kind, None, "a number")
        if value is None or least <= value <= most:
            return None if value is None else float(value)
        self.problem(key, f"{value} must be between {least} and {most}")
        return None

    def moment(self, key: str) -> int | None:
        """Return a date or time in ms since 1970 UTC. A date begins at 00:00 UTC, and a time without a zone is UTC."""
        value: Any = self.values.get(key)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                self.problem(key, f"{quoted(value)} is not a valid date; write it as 2027-01-31")
                return None
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
        if value is None:
            return None
        if not isinstance(value, datetime):
            self.problem(key, f"is {_type_name(value)}, expected a date")
            return None
        return ((value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)

    def flag(self, key: str, default: bool) -> bool:
        value = self._typed(key, bool, default)
        return default if value is None else value

    def texts(self, key: str, check: Check) -> tuple[str, ...]:
        """Return an array of texts at their positions, with "" for values of other types."""
        items = self._typed(key, list, []) or []
        for index, item in enumerate(items):
            place = f"{key}[{index}]"
            if not isinstance(item, str):
                self.problem(place, f"is {_type_name(item)}, expected a text")
            elif item in items[:index]:
                self.problem(place, f"{quoted(item)} is listed twice")
            else:
                self._check(place, item, check)
        return tuple(item if isinstance(item, str) else "" for item in items)

    def texts_by_name(self, check: Check) -> dict[str, str]:
        """Return all values of this table, which must be texts."""
        return {key: value for key in self.values if (value := self.text(key, check)) is not None}

    def numbers_by_name(self, least: float, most: float) -> dict[str, float]:
        """Return all values of this table, which must be numbers."""
        return {key: value for key in self.values if (value := self.number(key, least, most)) is not None}

    def table(self, key: str, known: Iterable[str], what: str = "setting") -> Table | None:
        values = self._typed(key, dict, None)
        return None if values is None else Table(values, self._at(key), known, self._problems, what)

    def tables(self, key: str, known: Iterable[str]) -> list[Table]:
        """Return an array of tables."""
        items = self._typed(key, list, [], f"an array of tables: write [[{_pattern(self._at(key))}]]") or []
        tables = []
        for index, item in enumerate(items):
            if isinstance(item, dict):
                tables.append(Table(item, f"{self._at(key)}[{index}]", known, self._problems))
            else:
                self.problem(f"{key}[{index}]", f"is {_type_name(item)}, expected a table")
        return tables

    def tables_by_name(self, key: str, known: dict[str, tuple[str, ...]], what: str) -> dict[str, Table]:
        """Return a table of tables, with the keys that each may have."""
        outer = self.table(key, known, what)
        if outer is None:
            return {}
        inner = {name: outer.table(name, known.get(name, ()), "credential") for name in outer.values}
        return {name: table for name, table in inner.items() if table is not None}

    def _typed(self, key: str, kind: type[T], default: T | None, expected: str = "") -> T | None:
        value = self.values.get(key, default)
        if value is None or (isinstance(value, kind) and isinstance(value, bool) == (kind is bool)):
            return value
        self.problem(key, f"is {_type_name(value)}, expected {expected or dict(_TYPES)[kind]}")
        return None

    def check_name(self, key: str, name: str, check: Check) -> None:
        """Check the name of a value in the table `key`."""
        self._check(f"{key}.{name}", name, check)

    def _check(self, key: str, value: str, check: Check) -> None:
        try:
            check(value)
        except ValueError as error:
            self.problem(key, str(error))

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `did you mean x?`, or the possible names."""
    names = list(known)
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(names)}"


def quoted(value: str) -> str:
    """Return a text as quoted in a problem."""
    return json.dumps(value, ensure_ascii=False)


def _type_name(value: object) -> str:
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "a date or time")


def _pattern(path: str) -> str:
    return re.sub(r"\[[0-9]+\]", "", path)
