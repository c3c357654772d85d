"""`trackly apply`, `export`, `endpoints`: accounts as code."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from accounts.plan import Plan, make_plan
from accounts.plan import export as export_toml
from accounts.secrets import redacted
from accounts.store import Accounts, Config, config_key, write_configs
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.registry import registry_for
from trackly.errors import Failed
from trackly.output import Json, json_line, say, show, table
from trackly.reading import follow_accounts, read_accounts, read_back

endpoints = typer.Typer(no_args_is_help=True, add_completion=False)


def apply(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.toml", exists=True, dir_okay=False, readable=True, help="The settings."),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; apply.")] = False,
    as_json: Json = False,
) -> None:
    """Make accounts, lists and endpoints what a TOML file says: show the plan, ask, write.

    What the file does not name stays as it is. A signing secret that is generated is shown once.
    """
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError:
        raise Failed(f"{file} is no text in UTF-8.") from None
    asyncio.run(_apply(text, yes, as_json))


def export() -> None:
    """Print accounts, lists and endpoints as a TOML file for `trackly apply`.

    Secrets that are kept in env: or file: stay as they are; others are *** and keep their value when applied.
    """
    show(export_toml(_current()).rstrip("\n"))


@endpoints.callback()
def _endpoints() -> None:
    """Where webhooks go."""


@endpoints.command("list")
def list_endpoints(
    account: Annotated[str | None, typer.Option(help="Only those of this account.")] = None,
    as_json: Json = False,
) -> None:
    """List the endpoints: what each gets, and whether it is enabled."""
    view = _current()
    if account is not None and account not in view.accounts:
        raise Failed(f"There is no account {account!r}.")
    found = sorted(view.endpoints.values(), key=config_key)
    found = [endpoint for endpoint in found if account in (None, endpoint.account)]
    if as_json:
        for each in found:
            json_line(
                {
                    "account": each.account,
                    "id": each.id,
                    "url": each.url,
                    "secret": redacted(each.secret),
                    "events": each.events,
                    "lists": each.lists,
                    "enabled": each.enabled,
                }
            )
    elif found:
        table(
            ("account", "endpoint", "url", "events", "lists", "enabled"),
            (
                (
                    e.account,
                    e.id,
                    e.url,
                    ",".join(e.events),
                    ",".join(e.lists) or "all",
                    "yes" if e.enabled else "no",
                )
                for e in found
            ),
        )
    else:
        say("There are no endpoints.")


def _current() -> Accounts:
    settings = BusSettings()
    return asyncio.run(read_accounts(settings, Codec(registry_for(settings.schema_registry_url))))


async def _apply(text: str, yes: bool, as_json: bool) -> None:
    settings = BusSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    async with follow_accounts(settings, codec) as reader:
        plan = make_plan(text, reader.view)
        _show_plan(plan, as_json)
        if not plan.configs:
            say("Nothing is to be changed.")
            return
        if not yes:
            _confirm(len(plan.configs))
        producer = Producer(settings)
        await producer.start()
        try:
            await write_configs(producer, settings, codec, plan.configs)
        finally:
            await producer.stop()
        # The secrets exist from here on, whatever happens next.
        _show_secrets(plan, as_json)
        await read_back(lambda: all(_is_stored(reader.view, config) for config in plan.configs), "`trackly export`")
    say(f"{_changes(len(plan.configs))} applied.")


def _show_plan(plan: Plan, as_json: bool) -> None:
    if as_json:
        for change in plan.changes:
            json_line({"kind": change.kind, "key": change.key, "action": change.action, "fields": change.fields})
    else:
        rows = [(c.action, c.kind, c.key, ", ".join(c.fields)) for c in plan.changes if c.action != "unchanged"]
        if rows:
            table(("action", "kind", "key", "fields"), rows)
        if len(rows) < len(plan.changes):
            say(f"{len(plan.changes) - len(rows)} unchanged.")
    for note in plan.notes:
        say(f"Note: {note}.")
    if plan.untouched:
        shown = ", ".join(plan.untouched[:5]) + (", …" if len(plan.untouched) > 5 else "")
        say(f"{len(plan.untouched)} not in the file stay as they are: {shown}")


def _show_secrets(plan: Plan, as_json: bool) -> None:
    for endpoint, secret in plan.new_secrets.items():
        if as_json:
            json_line({"endpoint": endpoint, "secret": secret})
        else:
            show(f"secret of {endpoint}: {secret}")
    if plan.new_secrets:
        say("Keep the generated secrets: they are not shown again.")


def _confirm(count: int) -> None:
    if not sys.stdin.isatty():
        say(f"{_changes(count)} to apply, and nobody to ask: pass --yes.")
        raise typer.Exit(2)
    if not typer.confirm(f"Apply {_changes(count)}?", err=True):
        raise Failed("Nothing was changed.")


def _changes(count: int) -> str:
    return "1 change" if count == 1 else f"{count} changes"


def _is_stored(view: Accounts, config: Config) -> bool:
    stored = (
        view.accounts.get(config_key(config)),
        view.endpoints.get(config_key(config)),
        view.lists_of(config_key(config).partition("/")[0]).get(config_key(config).partition("/")[2]),
    )
    return config in stored
