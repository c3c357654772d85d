"""`hours/rules.toml` and `hours/area_codes.toml`: requirements of every row, and rows confirmed by sources."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import phonenumbers
import pytest

from hours.places import TERRITORIES
from hours.rules import Rule, all_rules, chosen, minutes, names, weekdays

ROOT = Path(__file__).parents[3]
STATES = tomllib.loads((ROOT / "hours" / "area_codes.toml").read_text("utf-8"))["states"]
RULES = {rule.id: rule for rule in all_rules()}


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_a_rule_says_where_it_holds_since_when_and_by_which_source(rule: Rule) -> None:
    assert rule.country
    assert rule.state is None or rule.state in STATES
    assert date(1991, 1, 1) < rule.since
    assert rule.hours
    assert all(each.opens < each.closes for each in rule.hours)
    assert rule.covers in ("texts", "calls")
    assert rule.sources
    assert all(source.startswith("http") for source in rule.sources)
    assert rule.id.startswith(f"{rule.country.lower()}-")


def test_the_file_says_that_it_is_no_legal_advice() -> None:
    assert "no legal\n# advice" in (ROOT / "hours" / "rules.toml").read_text("utf-8")


def test_no_name_is_both_a_set_and_a_rule_or_there_twice() -> None:
    assert len(set(names())) == len(names())


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["us-tx"], {"us-tx"}),
        (["fr"], {"fr-af2m"}),
        (["us"], {"us-federal", "us-ct", "us-fl", "us-md", "us-ok", "us-or", "us-tx"}),
        (["us-federal", "us-tx", "nothing"], {"us-federal", "us-tx"}),
        ([], set()),
    ],
)
def test_an_account_chooses_rules_or_sets_of_them(wanted: list[str], found: set[str]) -> None:
    assert {rule.id for rule in chosen(wanted)} == found


def test_the_laws_of_four_states_have_a_cap_of_three_messages() -> None:
    assert {rule.state for rule in all_rules() if rule.cap == 3} == {"FL", "MD", "OK", "OR"}


@pytest.mark.parametrize(("day", "holds"), [(date(2025, 8, 31), False), (date(2025, 9, 1), True)])
def test_a_rule_holds_from_its_first_day(day: date, holds: bool) -> None:
    assert RULES["us-tx"].holds_on(day) is holds


def test_a_rule_ends_before_its_last_day() -> None:
    rule = Rule(id="x", since=date(2026, 1, 1), until=date(2026, 2, 1))
    assert [rule.holds_on(date(2026, month, 1)) for month in (1, 2)] == [True, False]


@pytest.mark.parametrize(
    ("text", "days"), [("mon", (0,)), ("sat-sun", (5, 6)), ("mon-sun", tuple(range(7))), ("wed-wed", (2,))]
)
def test_weekdays_are_names_or_ranges(text: str, days: tuple[int, ...]) -> None:
    assert weekdays(text) == days


@pytest.mark.parametrize("text", ["", "Mon", "monday", "sun-mon", "mon-", "-", "mon-tue-wed"])
def test_other_weekdays_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"weekday|begins"):
        weekdays(text)


@pytest.mark.parametrize(("text", "at"), [("00:00", 0), ("08:05", 485), ("24:00", 1440)])
def test_times_of_day_are_minutes(text: str, at: int) -> None:
    assert minutes(text) == at


@pytest.mark.parametrize("text", ["8:00", "24:01", "25:00", "08:60", "08:00:00", "", "08.00", "٠٨:٠٠"])
def test_other_times_of_day_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time of day"):
        minutes(text)


def test_every_area_code_of_the_united_states_has_one_state() -> None:
    areas = [area for codes in STATES.values() for area in codes]
    assert len(set(areas)) == len(areas)
    known = {f"{area}" for area in areas}
    for area in map(str, range(200, 1000)):
        number = phonenumbers.parse(f"+1{area}2345678")
        is_geographic = phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE
        region = phonenumbers.region_code_for_number(number)
        assert (area in known) == (region in TERRITORIES or (region == "US" and is_geographic)), area
