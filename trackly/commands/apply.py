"""`trackly apply`: accounts as code."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from accounts.model import described
from accounts.plan import Plan, make_plan
from accounts.secrets import keyring
from accounts.store import write_configs
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.registry import registry_for
from trackly.audit import write_down
from trackly.errors import NO_KEY, Failed
from trackly.output import Json, confirm, json_line, say, show, table
from trackly.reading import follow_accounts
from trackly.writing import producing, settings_read_back


def apply(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.toml", exists=True, dir_okay=False, readable=True, help="The settings."),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; apply.")] = False,
    plain_secrets: Annotated[
        bool, typer.Option("--plain-secrets", help="Without a key, store secrets in plain text all the same.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make accounts, lists and endpoints what a TOML file says: show the plan, ask, write.

    What the file does not name stays as it is. A signing secret that is generated is shown once. Secrets that stand
    in the file, and generated ones, are encrypted with the first key of TRACKLY_SECRET_KEYS.
    """
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError:
        raise Failed(f"{file} is not UTF-8 text.") from None
    asyncio.run(_apply(text, yes, plain_secrets, as_json))


async def _apply(text: str, yes: bool, plain_secrets: bool, as_json: bool) -> None:
    settings = BusSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    async with follow_accounts(settings, codec) as reader:
        plan = make_plan(text, reader.view, keys=keyring())
        _show_plan(plan, as_json)
        if not plan.configs:
            say("Nothing is to be changed.")
            return
        if plan.unsealed:
            _warn_of_plain_secrets(plan.unsealed, plain_secrets)
        if not yes:
            confirm(f"Apply {_changes(len(plan.configs))}?")
        async with producing(settings) as producer:
            for change in plan.changes:
                if change.action != "unchanged":
                    account, about = described(change.config)
                    action = f"{change.kind}.{'create' if change.action == 'create' else 'change'}"
                    await write_down(producer, settings, codec, action, about, account, fields=change.fields)
            written = await write_configs(producer, settings, codec, plan.configs)
        # The secrets exist from here on, whatever happens next.
        _show_secrets(plan, as_json)
        await settings_read_back(reader, written)
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


def _warn_of_plain_secrets(keys: list[str], allowed: bool) -> None:
    shown = ", ".join(keys[:5]) + (", …" if len(keys) > 5 else "")
    if not allowed:
        raise Failed(f"Secrets of {shown} {NO_KEY}")
    say(f"WARNING: secrets of {shown} will lie on Kafka in plain text, for everybody who may read it.")


def _changes(count: int) -> str:
    return "1 change" if count == 1 else f"{count} changes"
