"""The times in which several rules in several zones all let messages through, as instants. Pure.

Where a clock is changed a local time may be two instants or none: then the later one counts at the beginning and the
earlier one at the end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from functools import reduce
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hours.holidays import is_holiday
from hours.rules import Rule

HORIZON = 9
"""Days that are looked ahead: more than a week, so that a rule of a single weekday is met."""

FOREVER = 1 << 62
"""When what has no end ends, in ms."""

_DAY = timedelta(days=1)
_MIDNIGHT = 24 * 60


class Opening(NamedTuple):
    """A time in which messages are allowed, in ms since 1970 UTC, and the rule that ends it."""

    begins: int
    ends: int
    rule: str


def openings(pairs: Iterable[tuple[str, Rule]], day: date) -> list[tuple[Opening, ...]]:
    """When each rule in its zone lets messages through, from the beginning of a UTC day to HORIZON days later."""
    return [tuple(_of_rule(ZoneInfo(zone), rule, day)) for zone, rule in pairs]


def common(found: Iterable[tuple[Opening, ...]]) -> tuple[Opening, ...]:
    """When all of them do. None: never in that time. There must be at least one."""
    return reduce(_both, found)


def at_or_after(times: Sequence[Opening], at: int) -> Opening | None:
    """The opening that `at` (ms) is in, else the next one, if there is any."""
    found = bisect_right(times, at, key=_ends)
    return times[found] if found < len(times) else None


def _of_rule(zone: ZoneInfo, rule: Rule, day: date) -> Iterator[Opening]:
    """When one rule in one zone lets messages through: what touches is one opening."""
    known: Opening | None = None
    is_at_midnight = False
    # A day earlier and a day later, since local days begin up to 14 hours before or 12 after those of UTC.
    for number in range(-1, HORIZON + 2):
        local = day + number * _DAY
        touched = is_at_midnight
        is_at_midnight = False
        for opens, closes in _of_day(rule, local):
            begins, ends = max(_instants(zone, local, opens)), min(_instants(zone, local, closes))
            if known is not None and (begins <= known.ends or (touched and opens == 0)):
                known = known._replace(ends=max(ends, known.ends))
            elif begins < ends:
                if known is not None:
                    yield known
                known = Opening(begins, ends, rule.id)
            is_at_midnight = closes == _MIDNIGHT
    if known is not None:
        # Weeks are alike, but for holidays: what is open for all of this time is open for ever.
        is_always = rule.holidays is None and is_at_midnight and known.begins == max(_instants(zone, day - _DAY, 0))
        yield known._replace(ends=FOREVER) if is_always else known


def _of_day(rule: Rule, day: date) -> list[tuple[int, int]]:
    """From when to when (minutes) messages are allowed on a day, sorted."""
    if not rule.holds_on(day):
        return [(0, _MIDNIGHT)]
    if rule.holidays is not None and is_holiday(rule.holidays, day):
        return []
    return sorted((each.opens, each.closes) for each in rule.hours if day.weekday() in each.days)


def _instants(zone: ZoneInfo, day: date, minutes: int) -> tuple[int, int]:
    """The instants of a local time: two where a clock is set back, and two around a time that a clock skips."""
    local = datetime.combine(day, time(), tzinfo=zone) + timedelta(minutes=minutes)
    return int(local.timestamp()) * 1000, int(local.replace(fold=1).timestamp()) * 1000


def _both(some: tuple[Opening, ...], others: tuple[Opening, ...]) -> tuple[Opening, ...]:
    """When both let messages through."""
    found = []
    left, right = 0, 0
    while left < len(some) and right < len(others):
        one, other = some[left], others[right]
        begins, earlier = max(one.begins, other.begins), min(one, other, key=_ends)
        if begins < earlier.ends:
            found.append(Opening(begins, earlier.ends, earlier.rule))
        if one.ends <= other.ends:
            left += 1
        else:
            right += 1
    return tuple(found)


def _ends(opening: Opening) -> int:
    return opening.ends
