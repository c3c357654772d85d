"""`trackly keys`: keys for the API."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from accounts.keys import KEYS_TOPIC, new_key, state_of
from accounts.store import ApiKeysReader, write_key
from bus.clock import now_ms
from bus.settings import BusSettings
from console.principals import Role
from schemas.codec import Codec
from schemas.records import ApiKey
from schemas.registry import registry_for
from schemas.topics import parse_duration
from trackly.audit import OF_NO_ACCOUNT, write_down
from trackly.decoding import time_text
from trackly.errors import Failed
from trackly.output import Json, json_line, parsed, say, show, table
from trackly.reading import account_named, check_account, following, read_accounts, read_back
from trackly.writing import producing

MAX_NAME = 100

keys = typer.Typer(no_args_is_help=True, add_completion=False)


@keys.callback()
def _keys() -> None:
    """API keys."""


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="What the key is for; it appears with everything the key does.")],
    account: Annotated[str | None, typer.Option(help="The account that the key opens.")] = None,
    all_accounts: Annotated[bool, typer.Option("--all-accounts", help="The key opens every account.")] = False,
    expires: Annotated[
        str | None, typer.Option(metavar="DURATION", help="The key expires after 12h, 90d. By default it does not.")
    ] = None,
    role: Annotated[str, typer.Option(help=f"What the key may do: {', '.join(map(str, Role))}.")] = str(Role.ADMIN),
    endpoint: Annotated[
        str | None,
        typer.Option(help="The one endpoint whose events the key may poll, for a customer; it opens nothing else."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a key and show it once: only its digest is stored."""
    if (account is None) is not all_accounts:
        raise typer.BadParameter("name one account, or pass --all-accounts", param_hint="--account")
    if endpoint is not None and account is None:
        raise typer.BadParameter("name the endpoint's account", param_hint="--account")
    if not (0 < len(name) <= MAX_NAME and name.isprintable()):
        raise typer.BadParameter(f"must be 1 to {MAX_NAME} printable characters", param_hint="--name")
    expires_at = None if expires is None else now_ms() + parsed(parse_duration, expires, "--expires")
    key, text = new_key(account, name, expires_at, endpoint=endpoint)
    if endpoint is None:
        key = replace(key, role=str(parsed(Role.named, role, "--role")))
    asyncio.run(_create(key))
    if as_json:
        json_line({"key": text, **_fields(key)})
    else:
        show(text)
        opens = account or "all accounts" if endpoint is None else f"endpoint {account}/{endpoint} alone"
        say(f"This is {key.id}, for {opens}. Save it: it is not shown again.")


@keys.command("list")
def list_keys(
    account: Annotated[str | None, typer.Option(help="Only this account's keys.")] = None,
    as_json: Json = False,
) -> None:
    """List the keys, without their secrets."""
    found = sorted(asyncio.run(_read()), key=lambda key: (key.account or "", key.created_at))
    found = [key for key in found if account in (None, key.account)]
    if not found:
        check_account(account)
    if as_json:
        for key in found:
            json_line(_fields(key))
    elif found:
        table(
            ("id", "account", "role", "name", "begins with", "state", "created at", "expires at"),
            (
                (
                    key.id,
                    key.account or "all",
                    key.role if key.endpoint is None else f"{key.role} of {key.endpoint}",
                    key.name,
                    f"{key.prefix}…",
                    state_of(key, now_ms()),
                    str(time_text(key.created_at)),
                    "" if key.expires_at is None else str(time_text(key.expires_at)),
                )
                for key in found
            ),
        )
    else:
        say("There are no keys.")


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's ID, as listed.")]) -> None:
    """Revoke a key. It stops working within about a second, and stays in the list."""
    asyncio.run(_revoke(key_id))
    say(f"{key_id} is revoked.")


async def _create(key: ApiKey) -> None:
    settings = BusSettings()
    codec = _codec(settings)
    if key.account is not None:
        accounts = await read_accounts(settings, codec)
        account_named(accounts, key.account)
        if key.endpoint is not None and f"{key.account}/{key.endpoint}" not in accounts.endpoints:
            raise Failed(
                f"Account {key.account} has no endpoint {key.endpoint!r}; `trackly endpoints list` shows them."
            )
    async with _reader(settings, codec) as reader:
        await _write("key.create", settings, codec, reader, key)


async def _revoke(key_id: str) -> None:
    settings = BusSettings()
    codec = _codec(settings)
    async with _reader(settings, codec) as reader:
        key = reader.view.by_id.get(key_id)
        if key is None:
            raise Failed(f"There is no key {key_id!r}; `trackly keys list` shows all keys.")
        if key.revoked_at is None:
            await _write("key.revoke", settings, codec, reader, replace(key, revoked_at=now_ms()))


async def _read() -> list[ApiKey]:
    settings = BusSettings()
    async with _reader(settings, _codec(settings)) as reader:
        return list(reader.view.by_id.values())


async def _write(action: str, settings: BusSettings, codec: Codec, reader: ApiKeysReader, key: ApiKey) -> None:
    async with producing(settings) as producer:
        about, account = f"{key.id} {key.name}", key.account or OF_NO_ACCOUNT
        await write_down(producer, settings, codec, action, about, account, role=key.role)
        await write_key(producer, settings, codec, key)
    await read_back(lambda: reader.view.by_id.get(key.id) == key, "`trackly keys list`")


def _reader(settings: BusSettings, codec: Codec) -> AbstractAsyncContextManager[ApiKeysReader]:
    return following(settings, ApiKeysReader(settings, codec), [KEYS_TOPIC])


def _codec(settings: BusSettings) -> Codec:
    return Codec(registry_for(settings.schema_registry_url))


def _fields(key: ApiKey) -> dict[str, Any]:
    times = {name: getattr(key, name) for name in ("created_at", "expires_at", "revoked_at")}
    return {
        "id": key.id,
        "account": key.account,
        "endpoint": key.endpoint,
        "role": key.role,
        "name": key.name,
        "prefix": key.prefix,
        "state": state_of(key, now_ms()),
        **{name: None if at is None else time_text(at) for name, at in times.items()},
    }
