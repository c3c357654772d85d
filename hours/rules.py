"""The rules in `rules.toml`, and how they are written: weekdays and times of day."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = tuple(range(7))

_time = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])").fullmatch


class Hours(NamedTuple):
    """Allowed hours on some weekdays (0 is Monday), in minutes after midnight."""

    days: tuple[int, ...]
    opens: int
    closes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. It applies from the day `since` to the day before `until`, local to the contact. `cap`: messages that
    one person may get in 24 hours. `covers`: `texts`, or `calls` if some read texts into it. Without a country, it
    applies everywhere. `holidays`: the state on whose public holidays nothing is sent."""

    id: str
    set: str = ""
    country: str | None = None
    state: str | None = None
    since: date = date.min
    until: date | None = None
    hours: tuple[Hours, ...] = ()
    cap: int | None = None
    covers: str = "texts"
    holidays: str | None = None
    name: str = ""
    sources: tuple[str, ...] = ()

    def holds_on(self, day: date) -> bool:
        """Whether it is in force on a day."""
        return self.since <= day and (self.until is None or day < self.until)

    def holds_in(self, country: str, states: frozenset[str] | None) -> bool:
        """Whether it is a rule of a country, and of one of the possible states; None: of any."""
        if self.country is not None and self.country != country:
            return False
        return self.state is None or states is None or self.state in states


def minutes(text: str) -> int:
    """Parse a time of day into minutes after midnight; `24:00` is the end of the day. Raises ValueError."""
    found = _time(text)
    at = int(found[1]) * 60 + int(found[2]) if found else None
    if at is None or at > 24 * 60:
        raise ValueError(f"{text!r} is not a time of day; write it as 08:00")
    return at


def weekdays(text: str) -> tuple[int, ...]:
    """Parse weekdays into numbers, from `mon` or a range such as `mon-fri`. Raises ValueError."""
    first, dash, last = text.partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        raise ValueError(f"{text!r} is not a weekday; write mon, tue, wed, thu, fri, sat, sun, or a range: mon-fri")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    if end < begin:
        raise ValueError(f"{text!r} ends before it begins; a week begins on Monday")
    return tuple(range(begin, end + 1))


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every known rule, in file order."""
    rows = tomllib.loads(files("hours").joinpath("rules.toml").read_text("utf-8"))["rule"]
    return tuple(map(_rule, rows))


def names() -> tuple[str, ...]:
    """What an account can choose: sets, then single rules."""
    return (*dict.fromkeys(rule.set for rule in all_rules()), *(rule.id for rule in all_rules()))


def chosen(wanted: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules chosen by names of sets or rules."""
    named = frozenset(wanted)
    return tuple(rule for rule in all_rules() if rule.id in named or rule.set in named)


def _rule(row: dict[str, Any]) -> Rule:
    hours = tuple(Hours(weekdays(each["days"]), minutes(each["from"]), minutes(each["to"])) for each in row["hours"])
    return Rule(**row | {"hours": hours, "sources": tuple(row["sources"])})
