"""When an account texts: `[accounts.sending_hours]` of accounts as code, and what it means. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from accounts.toml_table import Table, nearest, quoted
from hours.places import check_zone
from hours.policy import ACCOUNT, BY_COUNTRY, BY_NUMBER, CLOSED, MOST_CAP, OPEN, Policy, SendingHours
from hours.rules import EVERY_DAY, Hours, Rule, chosen, minutes, names, weekdays
from schemas.records import AccountConfig

FIELDS: Mapping[str, str] = {
    "rules": "sending_rules",
    "from": "sending_from",
    "to": "sending_to",
    "days": "sending_days",
    "zones": "sending_zones",
    "without_zone": "sending_without_zone",
    "cap": "sending_cap",
    "rule_caps": "sending_rule_caps",
    "keep_answers": "keeps_answers",
}
"""Fields of an account by their names in the file."""

_TABLE = "sending_hours"
ZONES = (BY_NUMBER, BY_COUNTRY)


class Misfit(ValueError):
    """Settings that make no sense: `problems` are pairs of a name and what is wrong there, in order."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in problems))
        self.problems = problems


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings by field, of values by their names in the file. Raises Misfit."""
    problems: list[str] = []
    fields = read(Table({_TABLE: dict(values)}, "", (_TABLE,), problems))
    if problems:
        told = (problem.removeprefix(f"{_TABLE}.").partition(": ") for problem in problems)
        raise Misfit([(name, text) for name, _, text in told])
    return fields


def read(account: Table) -> dict[str, Any]:
    """The settings by field; what is wrong is noted."""
    table = account.table(_TABLE, FIELDS)
    if table is None:
        return {}
    opens, closes = table.text("from", _check_time), table.text("to", _check_time)
    if _is_turned(opens, closes):
        table.problem("to", "is not after from: messages are sent between the two, on the same day")
    cap = table.whole("cap", 0, 1, MOST_CAP) if "cap" in table.values else None
    return {
        "sending_rules": table.texts("rules", _check_rule),
        "sending_from": opens,
        "sending_to": closes,
        "sending_days": table.texts("days", _check_days),
        "sending_zones": table.text("zones", _check_zones) or BY_NUMBER,
        "sending_without_zone": table.text("without_zone", _check_without_zone) or CLOSED,
        "sending_cap": cap,
        "sending_rule_caps": table.flag("rule_caps", False),
        "keeps_answers": table.flag("keep_answers", False),
    }


def written(account: AccountConfig) -> dict[str, Any]:
    """The settings by their names in the file: those that are not what they are by default."""
    default = AccountConfig(id="", name="")
    values = {name: getattr(account, field) for name, field in FIELDS.items()}
    return {name: value for name, value in values.items() if value != getattr(default, FIELDS[name])}


def policy_of(account: AccountConfig) -> Policy:
    """What the settings mean. A rule that this version does not know is left out."""
    rules = chosen(account.sending_rules)
    if account.sending_from is not None or account.sending_to is not None or account.sending_days:
        days = sorted({day for each in account.sending_days for day in weekdays(each)}) or EVERY_DAY
        own = Hours(tuple(days), minutes(account.sending_from or "00:00"), minutes(account.sending_to or "24:00"))
        rules = (*rules, Rule(id=ACCOUNT, hours=(own,)))
    return Policy(
        rules=rules,
        anywhere=account.sending_zones == BY_COUNTRY,
        without_zone=account.sending_without_zone,
        cap=account.sending_cap,
        caps=account.sending_rule_caps,
    )


class HoursOfAccounts:
    """Judges of the time by account. One is made anew when its account's settings change."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[AccountConfig, SendingHours]] = {}

    def of(self, account: AccountConfig) -> SendingHours:
        """The judge by the settings of an account."""
        known = self._known.get(account.id)
        if known is None or known[0] is not account:
            known = self._known[account.id] = (account, SendingHours(policy_of(account)))
        return known[1]


def _is_turned(opens: str | None, closes: str | None) -> bool:
    try:
        return minutes(opens or "00:00") >= minutes(closes or "24:00")
    except ValueError:
        return False


def _check_time(value: str) -> None:
    minutes(value)


def _check_days(value: str) -> None:
    weekdays(value)


def _check_rule(value: str) -> None:
    if value not in names():
        raise ValueError(f"{quoted(value)} is not a rule; {nearest(value, names())}")


def _check_zones(value: str) -> None:
    if value not in ZONES:
        raise ValueError(f"{quoted(value)} is neither number nor country")


def _check_without_zone(value: str) -> None:
    if value in (CLOSED, OPEN):
        return
    try:
        check_zone(value)
    except ValueError:
        raise ValueError(f"{quoted(value)} is neither closed nor open nor a time zone, as America/New_York") from None
