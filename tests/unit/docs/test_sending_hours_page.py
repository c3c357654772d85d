"""`docs/sending-hours.md` lists every rule correctly."""

from __future__ import annotations

from pathlib import Path

import pytest

from hours.rules import DAYS, Hours, Rule, all_rules

PAGE = (Path(__file__).parents[3] / "docs" / "sending-hours.md").read_text("utf-8")
NAMES = {
    "mon-sun": "every day",
    "mon-sat": "Monday to Saturday",
    "mon-fri": "Monday to Friday",
    "sat-sun": "Saturday and Sunday",
    "sun-sun": "Sunday",
}


def told(hours: Hours) -> str:
    days = NAMES[f"{DAYS[hours.days[0]]}-{DAYS[hours.days[-1]]}"]
    opens, closes = (f"{at // 60:02}:{at % 60:02}" for at in (hours.opens, hours.closes))
    return f"{days} {opens}-{closes}"


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_a_rule_is_told_as_it_is(rule: Rule) -> None:
    place = f"{rule.country} {rule.state}" if rule.state else rule.country
    hours = "; ".join(map(told, rule.hours))
    assert f"| `{rule.id}` | `{rule.set}` | {place} | {hours} | {rule.since} | {rule.cap or '–'} |" in PAGE


def test_the_page_says_that_it_is_no_legal_advice() -> None:
    assert "This is not legal advice." in PAGE
