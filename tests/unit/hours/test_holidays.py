"""Public holidays by state: their dates, and that rules which name them allow nothing."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from dateutil.easter import easter as other_easter
from hypothesis import given
from hypothesis import strategies as st

from hours.holidays import easter, is_holiday, nth, states
from hours.policy import Policy, SendingHours
from hours.rules import all_rules, chosen

FILE = tomllib.loads((Path(__file__).parents[3] / "hours" / "holidays.toml").read_text("utf-8"))
MOBILE, NEW_ORLEANS, PHILADELPHIA, SALT_LAKE = "+12515550123", "+15045550123", "+12155550123", "+13855550123"


def at(text: str, zone: str) -> int:
    """A local time in ms."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize("state", states())
def test_a_state_says_its_days_and_by_which_source(state: str) -> None:
    row = FILE["states"][state]
    assert set(row["days"]) <= set(FILE["days"])
    assert all(source.startswith("http") for source in row["sources"])
    assert any(rule.holidays == state and rule.state == state for rule in all_rules())


def test_every_day_is_some_states() -> None:
    assert {day for row in FILE["states"].values() for day in row["days"]} == set(FILE["days"])


def test_rules_name_states_of_the_file_and_speak_of_calls() -> None:
    for rule in all_rules():
        assert rule.holidays is None or (
            rule.holidays in states() and rule.covers == "calls" and rule.set == "us-calls"
        )


@pytest.mark.parametrize(
    ("state", "day", "found"),
    [
        ("AL", "2026-12-25", True),
        ("AL", "2026-07-04", True),
        ("AL", "2026-07-03", True),  # the fourth is a Saturday
        ("AL", "2027-12-31", True),  # New Year's Day of 2028 is a Saturday
        ("AL", "2026-04-27", True),  # the fourth Monday of April
        ("AL", "2026-07-24", False),
        ("LA", "2026-02-17", True),  # Mardi Gras
        ("LA", "2026-02-16", False),
        ("LA", "2026-11-27", True),  # the day after Thanksgiving
        ("MS", "2026-05-25", True),
        ("MS", "2027-07-05", True),  # the fourth is a Sunday
        ("MS", "2026-07-03", False),
        ("PA", "2026-04-03", True),  # Good Friday
        ("PA", "2026-11-03", True),  # election day
        ("PA", "2026-12-26", False),
        ("RI", "2026-05-04", True),
        ("RI", "2026-08-10", True),  # Victory Day
        ("RI", "2026-07-06", True),  # the fourth is a Saturday
        ("RI", "2026-11-03", True),
        ("RI", "2027-11-02", False),  # no election of state officers
        ("UT", "2026-07-24", True),
        ("UT", "2026-06-15", True),  # Juneteenth on a Friday is kept on the Monday of its week
        ("UT", "2026-06-19", False),
        ("UT", "2027-06-21", True),  # and on a Saturday on the next one
    ],
)
def test_a_day_is_a_holiday_of_a_state_or_none(state: str, day: str, found: bool) -> None:
    assert is_holiday(state, date.fromisoformat(day)) is found


@given(st.integers(1900, 2200))
def test_easter_is_that_of_the_calendar(year: int) -> None:
    assert easter(year) == other_easter(year)


@given(st.integers(1990, 2100), st.integers(1, 12), st.integers(0, 6), st.sampled_from((1, 2, 3, 4, -1)))
def test_the_nth_weekday_of_a_month_is_one_with_so_many_before_it(
    year: int, month: int, weekday: int, number: int
) -> None:
    day = nth(year, month, weekday, number)
    assert (day.year, day.month, day.weekday()) == (year, month, weekday)
    if number > 0:
        assert (day.day - 1) // 7 == number - 1
    else:
        assert (day + timedelta(days=7)).month != month


@pytest.mark.parametrize(
    ("number", "zone", "holiday", "next_day"),
    [
        (MOBILE, "America/Chicago", "2026-12-25", "2026-12-26T08:00"),
        (NEW_ORLEANS, "America/Chicago", "2026-11-27", "2026-11-28T08:00"),
        (PHILADELPHIA, "America/New_York", "2026-12-25", "2026-12-26T00:00"),
        (SALT_LAKE, "America/Denver", "2026-07-24", "2026-07-25T00:00"),
    ],
)
def test_on_a_holiday_nothing_is_sent_and_the_next_day_is_told(
    number: str, zone: str, holiday: str, next_day: str
) -> None:
    hours = SendingHours(Policy(rules=chosen(["us-calls"])))
    verdict = hours.judge(number, at(f"{holiday}T12:00", zone))
    assert (verdict.may, verdict.not_before) == (False, at(next_day, zone))
    assert hours.judge(number, at(next_day, zone)).may


def test_a_rule_with_holidays_is_never_open_for_ever() -> None:
    verdict = SendingHours(Policy(rules=chosen(["us-pa"]))).judge(PHILADELPHIA, at("2026-12-20T12:00", "UTC"))
    assert verdict.may
    assert verdict.until == at("2026-12-25T00:00", "America/New_York")
    quiet = SendingHours(Policy(rules=chosen(["us-pa"]))).judge(PHILADELPHIA, at("2026-08-03T12:00", "UTC"))
    assert quiet.until is not None


@given(st.dates(date(2026, 1, 1), date(2040, 12, 31)), st.sampled_from(sorted(states())))
def test_no_holiday_is_judged_open(day: date, state: str) -> None:
    zones = {"PA": "America/New_York", "RI": "America/New_York", "UT": "America/Denver"}
    numbers = {"AL": MOBILE, "LA": NEW_ORLEANS, "MS": "+16015550123", "PA": PHILADELPHIA, "RI": "+14015550123"}
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zones.get(state, "America/Chicago")))
    if is_holiday(state, day):
        hours = SendingHours(Policy(rules=chosen(["us-calls"])))
        assert not hours.judge(numbers.get(state, SALT_LAKE), int(noon.astimezone(UTC).timestamp() * 1000)).may
