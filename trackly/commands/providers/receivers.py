"""Receivers that belong to no list, as `trackly providers receivers` shows them."""

from __future__ import annotations

from console.queries.receivers import Receiver, receivers_of_no_list
from database.settings import DatabaseSettings
from trackly.asking import asking
from trackly.decoding import time_text
from trackly.output import json_line, say, table
from trackly.reading import account_named, current_accounts


def list_receivers(account: str | None, since: int, as_json: bool) -> None:
    """Print the receivers that were seen since a time, in ms. Raises Failed without a database."""
    view = current_accounts()
    if account is not None:
        account_named(view, account)
    with asking(DatabaseSettings()) as connection:
        found = receivers_of_no_list(connection, account, since, view.known_lists)
    if as_json:
        for each in found:
            json_line(
                {
                    "account": each.account,
                    "receiver": each.receiver,
                    "kind": each.kind,
                    "provider": each.provider,
                    "channel": each.channel,
                    "replies": each.replies,
                    "reports": each.reports,
                    "last_at": time_text(each.last_at),
                    "setting": each.setting,
                }
            )
        return
    table(("account", "receiver", "channel", "provider", "replies", "reports", "last", "setting"), map(_row, found))
    if found:
        say(
            "An opt-out to one of these removes from every list; to end that, add the setting to the list that it "
            "belongs to."
        )
    else:
        say("Every receiver seen belongs to a list.")


def _row(each: Receiver) -> tuple[str, ...]:
    return (
        *(each.account, each.receiver, each.channel or "", each.provider),
        *(f"{each.replies:,}", f"{each.reports:,}", str(time_text(each.last_at)), each.setting),
    )
