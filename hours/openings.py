"""The intervals in which several rules in several zones all allow messages, as instants. Pure.

When clocks change, a local time may be two instants or none: the later one is used for a start, the earlier one for an
end.
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
from hours.zones import zone_named

HORIZON = 9
"""Days to look ahead: more than a week, so that a rule for a single weekday is found."""

FOREVER = 1 << 62
"""The end, in ms, of an interval without end."""

_DAY = timedelta(days=1)
_MIDNIGHT = 24 * 60


class Opening(NamedTuple):
    """An interval in which messages are allowed, in ms since 1970 UTC, and the rule that ends it."""

    begins: int
    ends: int
    rule: str


def openings(pairs: Iterable[tuple[str, Rule]], day: date) -> list[tuple[Opening, ...]]:
    """Return when each rule in its zone allows messages, from the start of a UTC day to HORIZON days later."""
    return [tuple(_of_rule(zone_named(name), rule, day)) for name, rule in pairs]


def common(found: Iterable[tuple[Opening, ...]]) -> tuple[Opening, ...]:
    """Return when all of them do; None: at no time. Requires at least one."""
    return reduce(_both, found)


def at_or_after(times: Sequence[Opening], at: int) -> Opening | None:
    """Return the opening that contains `at` (ms), or else the next one, if any."""
    found = bisect_right(times, at, key=_ends)
    return times[found] if found < len(times) else None


def _of_rule(zone: ZoneInfo, rule: Rule, day: date) -> Iterator[Opening]:
    """Return when one rule in one zone allows messages; adjoining intervals are merged."""
    known: Opening | None = None
    is_at_midnight = False
    # Include a day before and after, because local days begin up to 14 hours before or 12 after UTC days.
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
        # Weeks repeat except for holidays, so a rule that is open the whole time is open forever.
        is_always = rule.holidays is None and is_at_midnight and known.begins == max(_instants(zone, day - _DAY, 0))
        yield known._replace(ends=FOREVER) if is_always else known


def _of_day(rule: Rule, day: date) -> list[tuple[int, int]]:
    """Return the allowed intervals (minutes) of a day, sorted."""
    if not rule.holds_on(day):
        return [(0, _MIDNIGHT)]
    if rule.holidays is not None and is_holiday(rule.holidays, day):
        return []
    return sorted((each.opens, each.closes) for each in rule.hours if day.weekday() in each.days)


def _instants(zone: ZoneInfo, day: date, minutes: int) -> tuple[int, int]:
    """Return the instants of a local time: two when a clock is set back, and the two around a skipped time."""
    local = datetime.combine(day, time(), tzinfo=zone) + timedelta(minutes=minutes)
    return int(local.timestamp()) * 1000, int(local.replace(fold=1).timestamp()) * 1000


def _both(some: tuple[Opening, ...], others: tuple[Opening, ...]) -> tuple[Opening, ...]:
    """Return the intersection of both."""
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
