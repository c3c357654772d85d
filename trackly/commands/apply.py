"""`trackly apply`: accounts as code."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from accounts.limits import LimitSettings
from accounts.model import Accounts, described
from accounts.secrets import keyring
from accounts.store import delete_configs, write_configs
from operations.as_code.plan import Plan, check_file, make_plan
from schemas.codec import Codec
from schemas.registry import registry_for
from trackly.audit import write_down
from trackly.errors import NO_KEY, Failed
from trackly.output import Json, confirm, json_line, say, show, table
from trackly.reading import follow_accounts
from trackly.writing import producing, settings_read_back

DRIFT = 3
"""Exit code of --check if the stored settings differ from the file; 1 and 2 are failures, as everywhere."""


def apply(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.toml", exists=True, dir_okay=False, readable=True, help="The settings."),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Apply without asking.")] = False,
    plain_secrets: Annotated[
        bool, typer.Option("--plain-secrets", help="Store secrets in plain text if there is no key.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help=f"Write nothing; exit with {DRIFT} if the stored settings differ from the file."),
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="Delete lists and endpoints of the file's accounts that the file does not contain."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the stored accounts, lists, and endpoints match a TOML file: show the plan, ask, write.

    Settings that the file does not contain stay, or are deleted with --prune; accounts are never deleted. A generated
    signing secret is shown once. Literal and generated secrets are encrypted with the first key of TRACKLY_SECRET_KEYS.
    """
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError:
        raise Failed(f"{file} is not UTF-8 text.") from None
    # Before Kafka is asked: a mistake in the file is said at once, and without a broker too.
    check_file(text)
    if check:
        asyncio.run(_check(text, prune, as_json))
    else:
        asyncio.run(_apply(text, prune, yes, plain_secrets, as_json))


async def _check(text: str, prune: bool, as_json: bool) -> None:
    settings = LimitSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    async with follow_accounts(settings, codec) as reader:
        plan = _planned(text, prune, settings, reader.view)
    _show_plan(plan, as_json)
    if not plan.is_empty:
        say(
            f"{_changes(len(plan.configs) + len(plan.pruned))} would be made: the stored settings differ from the file."
        )
        raise typer.Exit(DRIFT)
    say("The stored settings match the file.")


async def _apply(text: str, prune: bool, yes: bool, plain_secrets: bool, as_json: bool) -> None:
    settings = LimitSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    async with follow_accounts(settings, codec) as reader:
        plan = _planned(text, prune, settings, reader.view)
        _show_plan(plan, as_json)
        if plan.is_empty:
            say("Nothing to change.")
            return
        if plan.unsealed:
            _warn_of_plain_secrets(plan.unsealed, plain_secrets)
        if not yes:
            confirm(f"Apply {_changes(len(plan.configs) + len(plan.pruned))}?")
        async with producing(settings) as producer:
            for change in plan.changes:
                if change.action != "unchanged":
                    account, about = described(change.config)
                    action = f"{change.kind}.{'create' if change.action == 'create' else 'change'}"
                    await write_down(producer, settings, codec, action, about, account, fields=change.fields)
            for change in plan.pruned:
                account, about = described(change.config)
                await write_down(producer, settings, codec, f"{change.kind}.delete", about, account)
            written = await write_configs(producer, settings, codec, plan.configs)
            await delete_configs(producer, settings, [change.config for change in plan.pruned])
        # From here on, the secrets exist, whatever happens next.
        _show_secrets(plan, as_json)
        await settings_read_back(reader, written)
    say(f"{_changes(len(plan.configs) + len(plan.pruned))} applied.")


def _planned(text: str, prune: bool, settings: LimitSettings, stored: Accounts) -> Plan:
    return make_plan(text, stored, keys=keyring(), prune=prune, most_endpoints=settings.max_endpoints)


def _show_plan(plan: Plan, as_json: bool) -> None:
    if as_json:
        for change in (*plan.changes, *plan.pruned):
            json_line({"kind": change.kind, "key": change.key, "action": change.action, "fields": change.fields})
    else:
        changed = [change for change in (*plan.changes, *plan.pruned) if change.action != "unchanged"]
        rows = [(c.action, c.kind, c.key, ", ".join(c.fields)) for c in changed]
        unchanged = len(plan.changes) + len(plan.pruned) - len(changed)
        if rows:
            table(("action", "kind", "key", "fields"), rows)
        if unchanged:
            say(f"{unchanged} unchanged.")
    for note in plan.notes:
        say(f"Note: {note}.")
    if plan.untouched:
        shown = ", ".join(plan.untouched[:5]) + (", …" if len(plan.untouched) > 5 else "")
        say(f"{len(plan.untouched)} not in the file are left unchanged: {shown}")


def _show_secrets(plan: Plan, as_json: bool) -> None:
    for endpoint, secret in plan.new_secrets.items():
        if as_json:
            json_line({"endpoint": endpoint, "secret": secret})
        else:
            show(f"secret of {endpoint}: {secret}")
    if plan.new_secrets:
        say("Save the generated secrets: they are not shown again.")


def _warn_of_plain_secrets(keys: list[str], allowed: bool) -> None:
    shown = ", ".join(keys[:5]) + (", …" if len(keys) > 5 else "")
    if not allowed:
        raise Failed(f"Secrets of {shown} {NO_KEY}")
    say(f"WARNING: secrets of {shown} will be stored on Kafka in plain text, readable by anyone with access to it.")


def _changes(count: int) -> str:
    return "1 change" if count == 1 else f"{count} changes"
