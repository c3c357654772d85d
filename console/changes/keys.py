"""API keys in the console: creation, revocation, and last use."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from msgspec.structs import replace

from accounts.keys import new_key, state_of
from bus.clock import now_ms
from console.backends.kafka_writer import Entry
from console.backends.key_uses import last_uses
from console.changes.acts import Act
from console.changes.settings import READ_BACK
from console.errors import not_found, validation_failed
from console.parts import Parts
from console.principals import Role
from console.queries.rows import At
from schemas.ids import random_id
from schemas.records import ApiKey

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
MAX_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """A key without its secret."""

    id: str
    name: str
    prefix: str
    role: str
    endpoint: str | None
    state: str
    created_at: At
    expires_at: At | None
    last_used_at: At | None


async def keys_of(parts: Parts, account: str) -> list[ShownKey]:
    """Return an account's keys, newest first, without keys for all accounts."""
    mine = [key for key in parts.keys.by_id.values() if key.account == account]
    used = await parts.reads(last_uses, [key.id for key in mine])
    return [shown(key, used.get(key.id)) for key in sorted(mine, key=lambda key: -key.created_at)]


def shown(key: ApiKey, used_at: int | None = None) -> ShownKey:
    """Return a key for display."""
    return ShownKey(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        role=key.role,
        endpoint=key.endpoint,
        state=state_of(key, now_ms()),
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=used_at,
    )


async def create(
    act: Act,
    account: str,
    name: str,
    role: str,
    days: int | None,
    endpoint: str | None = None,
) -> tuple[ApiKey, str]:
    """Create a key for an account or one of its endpoints; returns it with its text, which is shown only once.

    Raises ApiError: 422, 503.
    """
    problems = []
    if not (0 < len(name) <= MAX_NAME and name.isprintable()):
        problems.append(f"name: must be 1 to {MAX_NAME} printable characters")
    if endpoint is not None and f"{account}/{endpoint}" not in act.parts.accounts.endpoints:
        problems.append(f"endpoint: there is no endpoint {endpoint!r} in this account")
    if endpoint is None and role not in map(str, Role):
        problems.append(f"role: must be one of {', '.join(map(str, Role))}")
    if days is not None and not 0 < days <= 3_650:
        problems.append("expires_in_days: must be between 1 and 3650")
    if problems:
        raise validation_failed(problems)
    key, text = new_key(account, name, None if days is None else now_ms() + days * DAY_MS, endpoint=endpoint)
    key = replace(key, role=role if endpoint is None else key.role)
    told = {"role": key.role} | ({} if endpoint is None else {"endpoint": endpoint})
    async with act.audited("key.create", f"{key.id} {name}", accounts=[account], **told):
        await _write(act.parts, key)
    return key, text


async def revoke(act: Act, account: str, key_id: str) -> ApiKey:
    """Revoke a key, which takes effect within about a second. Raises ApiError: 404, 503."""
    key = act.parts.keys.by_id.get(key_id)
    if key is None or key.account != account:
        raise not_found("There is no such key in this account.")
    if key.revoked_at is None:
        key = replace(key, revoked_at=now_ms())
        told = f"{key.id} {key.name}"
        async with act.audited("key.revoke", told, accounts=[account]):
            await _write(act.parts, key)
    return key


async def revoke_keys_of(act: Act, account: str, endpoint: str) -> None:
    """Revoke every key of one endpoint. Raises ApiError: 503."""
    for key in list(act.parts.keys.by_id.values()):
        if (key.account, key.endpoint) == (account, endpoint):
            await revoke(act, account, key.id)


async def _write(parts: Parts, key: ApiKey) -> None:
    """Write a key, and wait briefly until it is known here, so that the next list has it."""
    await parts.writer.write("config_keys", [Entry(key.id.encode(), key, random_id(), now_ms())])
    with suppress(TimeoutError):
        async with asyncio.timeout(READ_BACK):
            while parts.keys.by_id.get(key.id) != key:
                await asyncio.sleep(0.02)
