"""An account's sending hours: `[accounts.sending_hours]` of accounts as code, and its meaning. Pure."""

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
"""Account fields by their names in the file."""

_TABLE = "sending_hours"
ZONES = (BY_NUMBER, BY_COUNTRY)


class Misfit(ValueError):
    """Contradictory settings: `problems` are pairs of a name and a problem, in order."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in problems))
        self.problems = problems


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Check values by file name, and return the settings by field. Raises Misfit."""
    problems: list[str] = []
    fields = read(Table({_TABLE: dict(values)}, "", (_TABLE,), problems))
    if problems:
        told = (problem.removeprefix(f"{_TABLE}.").partition(": ") for problem in problems)
        raise Misfit([(name, text) for name, _, text in told])
    return fields


def read(account: Table) -> dict[str, Any]:
    """Return the settings by field, and collect problems."""
    table = account.table(_TABLE, FIELDS)
    if table is None:
        return {}
    opens, closes = table.text("from", _check_time), table.text("to", _check_time)
    if _is_turned(opens, closes):
        table.problem("to", "must be later than from: messages are sent between the two, on the same day")
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
    """Return settings that differ from the default, by their names in the file."""
    default = AccountConfig(id="", name="")
    values = {name: getattr(account, field) for name, field in FIELDS.items()}
    return {name: value for name, value in values.items() if value != getattr(default, FIELDS[name])}


def policy_of(account: AccountConfig) -> Policy:
    """Return the policy that the settings describe. A rule unknown to this version is left out."""
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
    """Sending hours by account. An account's entry is recreated when its settings change."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[AccountConfig, SendingHours]] = {}

    def of(self, account: AccountConfig) -> SendingHours:
        """Return the sending hours for an account's settings."""
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
        raise ValueError(f"{quoted(value)} must be closed, open, or a time zone such as America/New_York") from None
