"""`trackly alerts`: what accounts are alerted to, mutes, and tests of the channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from accounts.alerts import TYPES, channels_of, is_muted, is_on
from bus.clock import now_ms
from operations.alerts import ChannelTrial, muted, send_test, unmuted
from outbound.settings import OutboundSettings
from schemas.records import AccountConfig, AlertTold
from trackly.decoding import time_text
from trackly.errors import Failed
from trackly.listing import Limit, Since, newest, print_newest
from trackly.output import Json, json_line, parsed, say, table
from trackly.reading import account_named, current_accounts
from trackly.writing import change_account

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account: acme.")]

alerts = typer.Typer(no_args_is_help=True, add_completion=False)


@alerts.callback()
def _alerts() -> None:
    """Alerts to accounts."""


@alerts.command("list")
def list_alerts(account: Account, since: Since = None, limit: Limit = 20, as_json: Json = False) -> None:
    """Show an account's alert settings, where alerts go, and the latest alerts, newest last."""
    config = account_named(current_accounts(), account)
    if as_json:
        json_line(_settings(config))
    else:
        _show_settings(config)
    found = asyncio.run(
        newest("alerts_told", AlertTold, "at", lambda record: bool(record.account == account), since, limit)
    )
    print_newest(
        found,
        as_json,
        ("at", "type", "severity", "outcome", "channels", "alert"),
        lambda r: (
            str(time_text(r.at)),
            r.type,
            r.severity,
            r.outcome,
            ", ".join(f"{channel} {end}" for channel, end in r.channels.items()),
            r.title,
        ),
    )


@alerts.command("mute")
def mute(
    account: Account,
    duration: Annotated[str, typer.Argument(metavar="DURATION", help="For how long: 30m, 2h, 1d.")],
    as_json: Json = False,
) -> None:
    """Send an account no alerts for a while.

    They are still recorded: `trackly alerts list` shows them.
    """
    now = now_ms()
    parsed(partial(muted, AccountConfig(id=account, name=account), now=now), duration, "DURATION")
    _change(account, partial(muted, duration=duration, now=now), as_json)


@alerts.command("unmute")
def unmute(account: Account, as_json: Json = False) -> None:
    """Send an account its alerts again."""
    _change(account, unmuted, as_json)


@alerts.command("test")
def try_channels(account: Account, as_json: Json = False) -> None:
    """Send a test alert to every channel of an account from here, and show the answers.

    Exit code 1 unless every channel accepts it.
    """
    config = account_named(current_accounts(), account)
    if not channels_of(config):
        raise Failed(
            f"Account {account} has no channel: give it discord_webhook_url, or slack_webhook_url or webhook_url under"
            " [accounts.alerts], and apply that."
        )
    trials = asyncio.run(send_test(config, OutboundSettings()))
    if as_json:
        for each in trials:
            json_line(asdict(each.outcome) | {"channel": each.channel, "end": each.end, "head": each.answer})
    else:
        table(("channel", "end", "answer"), ((each.channel, each.end, _answer(each)) for each in trials))
    if not all(each.outcome.ok for each in trials):
        raise typer.Exit(1)


def _answer(trial: ChannelTrial) -> str:
    if trial.answer or trial.outcome.error_class is None:
        return trial.answer[:200]
    return trial.outcome.meaning or ""


def _change(account: str, change: Callable[[AccountConfig], AccountConfig], as_json: bool) -> None:
    config = asyncio.run(change_account("alerts.mute", account, change))
    if as_json:
        json_line(_settings(config))
    else:
        say(_mute_text(config))


def _settings(config: AccountConfig) -> dict[str, Any]:
    return {
        "account": config.id,
        "minimum_severity": config.alerts_minimum_severity,
        "muted_until": time_text(config.alerts_muted_until) if config.alerts_muted_until is not None else None,
        "channels": sorted(channels_of(config)),
        "types": {name: is_on(config, name) for name in TYPES},
    }


def _show_settings(config: AccountConfig) -> None:
    rows = ((name, str(kind.severity), "on" if is_on(config, name) else "off") for name, kind in TYPES.items())
    table(("type", "severity", "told"), rows)
    channels = ", ".join(sorted(channels_of(config)))
    say(f"Alerts go to {channels}." if channels else "No channel is set up: alerts are recorded but not sent anywhere.")
    say(_mute_text(config))


def _mute_text(config: AccountConfig) -> str:
    if is_muted(config, now_ms()):
        return f"Muted until {time_text(config.alerts_muted_until or 0)}."
    return "Not muted."
