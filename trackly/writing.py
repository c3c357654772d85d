"""Writes to Kafka from a command: acknowledged, and read back in the case of settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from accounts.model import Accounts, Config, described
from accounts.store import AccountsReader, write_configs
from bus.producer import Producer
from bus.settings import BusSettings
from operations.endpoints import ChangeRefused
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.ids import recipient_key
from schemas.records import AccountConfig, ContactCommand, EndpointConfig
from schemas.registry import registry_for
from trackly.audit import write_down
from trackly.errors import Failed
from trackly.reading import account_named, follow_accounts, read_back

C = TypeVar("C", AccountConfig, EndpointConfig)

AT_ONCE = 2_000
"""Records that a bulk write sends before it waits for their acknowledgments."""


@asynccontextmanager
async def producing(settings: BusSettings, *, linger_ms: int = 0) -> AsyncIterator[Producer]:
    """Yield a connected producer."""
    producer = Producer(settings, linger_ms=linger_ms)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


class Unacknowledged:
    """Records of a bulk write that were sent and are not acknowledged yet: at most AT_ONCE."""

    def __init__(self) -> None:
        self._sent: list[asyncio.Future[Any]] = []

    async def add(self, sent: asyncio.Future[Any]) -> None:
        """Add a record; waits for all if there are many. Raises aiokafka.errors.KafkaError."""
        self._sent.append(sent)
        if len(self._sent) >= AT_ONCE:
            await self.wait()

    async def wait(self) -> None:
        """Wait until all are acknowledged. Raises aiokafka.errors.KafkaError."""
        await asyncio.gather(*self._sent)
        self._sent.clear()


async def send_order(
    producer: Producer, settings: BusSettings, codec: Codec, order: ContactCommand, *, key: bytes | None = None
) -> asyncio.Future[Any]:
    """Send a command about a contact, by default under its recipient's key. The future completes on acknowledgment."""
    return await producer.send(
        settings.catalogue["commands"].name,
        codec.encode(order),
        key=key or recipient_key(order.account, order.phone_number),
        headers=event_headers(order, order.event_id, order.issued_at),
    )


async def settings_read_back(reader: AccountsReader, written: list[Config]) -> None:
    """Wait until written settings are in effect. Raises Failed like `read_back`."""
    await read_back(lambda: all(reader.view.stored(config) == config for config in written), "`trackly export`")


async def change_endpoint(action: str, name: str, change: Callable[[EndpointConfig], EndpointConfig]) -> EndpointConfig:
    """Change the settings of an endpoint, `account/endpoint`, and return the new ones. `action` is for the audit log.

    Raises Failed for an unknown endpoint, and for a change that `change` refuses.
    """
    return await _change(action, lambda view: endpoint_named(view, name), change)


async def change_account(action: str, name: str, change: Callable[[AccountConfig], AccountConfig]) -> AccountConfig:
    """Change the settings of an account, and return the new ones. Raises Failed for an unknown account."""
    return await _change(action, lambda view: account_named(view, name), change)


async def _change(action: str, find: Callable[[Accounts], C], change: Callable[[C], C]) -> C:
    settings = BusSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    async with follow_accounts(settings, codec) as reader:
        stored = find(reader.view)
        try:
            changed = change(stored)
        except ChangeRefused as error:
            raise Failed(str(error)) from None
        if changed != stored:
            async with producing(settings) as producer:
                account, about = described(changed)
                await write_down(producer, settings, codec, action, about, account)
                written = await write_configs(producer, settings, codec, [changed])
            await settings_read_back(reader, written)
        return changed


def endpoint_named(view: Accounts, name: str) -> EndpointConfig:
    """Return the endpoint with this name, `account/endpoint`. Raises Failed, which lists the existing ones."""
    found = view.endpoints.get(name)
    if found is None:
        known = sorted(view.endpoints)
        listed = ", ".join(known[:5]) + (", …" if len(known) > 5 else "") if known else "none"
        raise Failed(f"There is no endpoint {name!r}; name it as account/endpoint. There are: {listed}.")
    return found
