"""`[accounts.sending_hours]`: what is accepted, what is refused, and what it means."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.model import Accounts
from accounts.sending_hours import policy_of
from hours.policy import ACCOUNT, Policy
from hours.rules import Hours, chosen
from operations.as_code.export import export
from operations.as_code.file import read_file
from operations.as_code.plan import make_plan
from schemas.records import AccountConfig

BEGIN = '[[accounts]]\nid = "acme"\n[accounts.sending_hours]\n'
WHOLE = BEGIN + (
    'rules = ["us", "fr-af2m"]\nfrom = "09:00"\nto = "20:30"\ndays = ["mon-fri", "sun"]\nzones = "country"\n'
    'without_zone = "America/New_York"\ncap = 4\nrule_caps = true\n'
)


def account(text: str) -> AccountConfig:
    (entry,), problems = read_file(text)
    assert not problems
    assert isinstance(entry.config, AccountConfig)
    return entry.config


def test_without_settings_an_account_keeps_no_hours() -> None:
    assert policy_of(account('[[accounts]]\nid = "acme"')) == Policy()
    assert policy_of(account(BEGIN)) == Policy()


def test_settings_choose_rules_and_are_a_rule_of_their_own() -> None:
    policy = policy_of(account(WHOLE))
    *theirs, own = policy.rules
    assert tuple(theirs) == chosen(["us", "fr-af2m"])
    assert (own.id, own.country, own.hours) == (ACCOUNT, None, (Hours((0, 1, 2, 3, 4, 6), 540, 1_230),))
    assert (policy.anywhere, policy.without_zone, policy.cap, policy.caps) == (True, "America/New_York", 4, True)


@pytest.mark.parametrize(
    ("line", "hours"),
    [
        ('from = "09:00"', Hours(tuple(range(7)), 540, 1_440)),
        ('to = "20:00"', Hours(tuple(range(7)), 0, 1_200)),
        ('days = ["sat"]', Hours((5,), 0, 1_440)),
    ],
)
def test_one_setting_of_the_hours_is_enough(line: str, hours: Hours) -> None:
    (own,) = policy_of(account(BEGIN + line)).rules
    assert own.hours == (hours,)


def test_a_rule_of_a_newer_version_is_left_out() -> None:
    assert policy_of(AccountConfig(id="acme", name="", sending_rules=("us-tx", "xx-new"))).rules == chosen(["us-tx"])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('rules = ["us-texas"]', 'rules[0]: "us-texas" is not a rule; did you mean us-'),
        ('rules = ["us", "us"]', "rules[1]: "),
        ('rules = "us"', "rules: is a text, expected an array"),
        ('from = "9"', "from: '9' is not a time of day; write it as 08:00"),
        ("from = 9", "from: is a whole number, expected a text"),
        ('from = "20:00"\nto = "08:00"', "to: must be later than from"),
        ('to = "00:00"', "to: must be later than from"),
        ('days = ["fri-mon"]', "days[0]: 'fri-mon' ends before it begins"),
        ('days = ["Monday"]', "days[0]: 'Monday' is not a weekday"),
        ('zones = "all"', 'zones: "all" is neither number nor country'),
        ('without_zone = "EST"', 'without_zone: "EST" must be closed, open, or a time zone'),
        ("cap = 0", "cap: 0 must be between 1 and 100"),
        ("cap = 101", "cap: 101 must be between 1 and 100"),
        ("rule_caps = 1", "rule_caps: is a whole number, expected true or false"),
        ("quiet = true", "quiet: is not a known setting"),
    ],
)
def test_a_mistake_is_named_by_its_place(line: str, told: str) -> None:
    _, problems = read_file(BEGIN + line)
    assert [problem.startswith(f"accounts[0].sending_hours.{told}") for problem in problems] == [True], problems


@pytest.mark.parametrize("text", [WHOLE, BEGIN + 'rules = ["us"]', BEGIN, '[[accounts]]\nid = "acme"'])
def test_what_is_exported_changes_nothing(text: str) -> None:
    view = Accounts()
    for config in make_plan(text, view).configs:
        view.put(config)
    exported = export(view)
    assert [change.action for change in make_plan(exported, view).changes] == ["unchanged"]
    assert ("[accounts.sending_hours]" in exported) == ("rules" in text)


def test_a_change_is_told_by_its_place_in_the_file() -> None:
    view = Accounts()
    for config in make_plan(WHOLE, view).configs:
        view.put(config)
    changed: Any = make_plan(WHOLE.replace('"09:00"', '"10:00"').replace("cap = 4\n", ""), view).changes[0]
    assert changed.fields == ("sending_hours.from", "sending_hours.cap (removed)")
