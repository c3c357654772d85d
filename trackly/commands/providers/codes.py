"""Codes of failures with their counts, as `trackly providers codes` shows them."""

from __future__ import annotations

from console.queries.codes import Code, codes_of_failures
from database.settings import DatabaseSettings
from trackly.asking import asking
from trackly.decoding import time_text
from trackly.output import json_line, say, table
from trackly.reading import check_account


def list_codes(account: str | None, since: int, everything: bool, as_json: bool) -> None:
    """Print the codes since a time, in ms: those that no table has, or all. Raises Failed without a database."""
    codes = _read(account, since)
    if not codes:
        check_account(account)
    shown = [code for code in codes if everything or not code.is_known]
    if as_json:
        for code in shown:
            json_line(
                {
                    "account": code.account,
                    "code": code.code,
                    "detail": code.detail,
                    "class": code.status_class,
                    "known": code.is_known,
                    "failures": code.failures,
                    "last_at": time_text(code.last_at),
                }
            )
        return
    table(("account", "code", "detail", "class", "in a table", "failures", "last"), map(_row, shown))
    if not shown:
        say("Every failure had a known code." if not everything else "No failures.")
    elif not everything:
        say('An account can reclassify a code with one line: codes = { "' + shown[0].code + '" = "neutral" }')


def _row(code: Code) -> tuple[str, ...]:
    known = "yes" if code.is_known else "no"
    return (
        *(code.account, code.code, code.detail, code.status_class, known),
        *(f"{code.failures:,}", str(time_text(code.last_at))),
    )


def _read(account: str | None, since: int) -> list[Code]:
    with asking(DatabaseSettings()) as connection:
        return codes_of_failures(connection, account, since)
