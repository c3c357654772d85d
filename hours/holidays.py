"""The public holidays in `holidays.toml`, by state and year. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from hours.rules import DAYS

_SATURDAY, _SUNDAY = 5, 6
_TUESDAY_AFTER_FIRST_MONDAY = 1


def is_holiday(state: str, day: date) -> bool:
    """Whether a state has a holiday on a day. Raises KeyError for a state that is not in the file."""
    return day in _holidays(state, day.year)


def states() -> tuple[str, ...]:
    """Return the states that have holidays in the file."""
    return tuple(_file()["states"])


@cache
def _holidays(state: str, year: int) -> frozenset[date]:
    # A holiday of the next year may be observed in the last days of this one.
    known = _file()
    found = {each for near in (year - 1, year, year + 1) for each in _kept(known, known["states"][state], near)}
    return frozenset(day for day in found if day.year == year)


def _kept(known: Mapping[str, Any], state: Mapping[str, Any], year: int) -> Iterator[date]:
    for name in state["days"]:
        row = known["days"][name]
        if row.get("years") == "even" and year % 2:
            continue
        day = _date(row, year)
        yield day
        if "day" in row and day.weekday() in (_SATURDAY, _SUNDAY):
            yield day + timedelta(days=state.get("saturday" if day.weekday() == _SATURDAY else "sunday", 0))


def _date(row: Mapping[str, Any], year: int) -> date:
    if "easter" in row:
        return easter(year) + timedelta(days=row["easter"])
    if "election" in row:
        return nth(year, row["month"], 0, 1) + timedelta(days=_TUESDAY_AFTER_FIRST_MONDAY)
    if "nth" in row:
        return nth(year, row["month"], DAYS.index(row["weekday"]), row["nth"]) + timedelta(days=row.get("after", 0))
    day = date(year, row["month"], row["day"])
    if row.get("monday"):
        return day - timedelta(days=day.weekday() if day.weekday() < _SATURDAY else day.weekday() - 7)
    return day


def nth(year: int, month: int, weekday: int, number: int) -> date:
    """Return the nth given weekday (0 is Monday) of a month; n = -1 is the last one."""
    if number < 0:
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def easter(year: int) -> date:
    """Return Easter Sunday in the Gregorian calendar, by the anonymous algorithm of 1876 (Meeus, Astronomical
    Algorithms)."""
    golden, (century, of_century) = year % 19, divmod(year, 100)
    leaps, rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * golden + century - leaps - correction + 15) % 30
    quarter, left = divmod(of_century, 4)
    to_sunday = (32 + 2 * rest + 2 * quarter - moon - left) % 7
    late = (golden + 11 * moon + 22 * to_sunday) // 451
    month, day = divmod(moon + to_sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(files("hours").joinpath("holidays.toml").read_text("utf-8"))
