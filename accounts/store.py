"""The settings of all accounts as they stand now: compacted topics, read to their end and followed from there.

A key that is written with no value (a tombstone) deletes a setting.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar

import aiokafka

from accounts.secrets import keyring, with_secrets
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.cloudevents import event_headers
from schemas.codec import Codec, CodecError
from schemas.ids import random_id
from schemas.records import AccountConfig, EndpointConfig, ListConfig, Record

log = logging.getLogger(__name__)

Config = AccountConfig | ListConfig | EndpointConfig

TOPIC_OF: Mapping[type[Config], str] = {
    AccountConfig: "config_accounts",
    ListConfig: "config_lists",
    EndpointConfig: "config_endpoints",
}
CONFIG_TOPICS = tuple(TOPIC_OF.values())


class View(Protocol):
    """What a reader of compacted topics keeps up to date."""

    def put(self, record: Any) -> None:
        """Add or replace a setting."""

    def drop(self, topic: str, key: str) -> None:
        """Delete a setting by the short name of its topic and its key."""

    def unreadable(self, topic: str, key: str) -> None:
        """A setting was replaced by bytes that this version cannot read."""


V = TypeVar("V", bound=View)


def config_key(config: Config) -> str:
    """Key of a setting in its topic: `account`, `account/number` or `account/endpoint`."""
    match config:
        case AccountConfig():
            return config.id
        case ListConfig():
            return f"{config.account}/{config.number}"
        case EndpointConfig():
            return f"{config.account}/{config.id}"


def described(config: Config) -> tuple[str, str]:
    """The account that a setting is of, and what people call the setting: `list +18005551234`."""
    match config:
        case AccountConfig():
            return config.id, f"account {config.id}"
        case ListConfig():
            return config.account, f"list {config.number}"
        case EndpointConfig():
            return config.account, f"endpoint {config.id}"


class Accounts:
    """Settings as they stand: plain lookups, no I/O."""

    def __init__(self) -> None:
        self.accounts: dict[str, AccountConfig] = {}
        self.lists: dict[str, dict[str, ListConfig]] = {}
        self.endpoints: dict[str, EndpointConfig] = {}
        self._endpoints_of: dict[str, tuple[EndpointConfig, ...]] = {}

    def put(self, config: Config) -> None:
        """Add or replace a setting."""
        match config:
            case AccountConfig():
                self.accounts[config.id] = config
            case ListConfig():
                self.lists.setdefault(config.account, {})[config.number] = config
            case EndpointConfig():
                self.endpoints[config_key(config)] = config
                self._endpoints_of.clear()

    def drop(self, topic: str, key: str) -> None:
        """Delete a setting by the short name of its topic and its key."""
        account, _, name = key.partition("/")
        match topic:
            case "config_accounts":
                self.accounts.pop(key, None)
            case "config_lists":
                self.lists.get(account, {}).pop(name, None)
            case "config_endpoints":
                self.endpoints.pop(key, None)
                self._endpoints_of.clear()

    def unreadable(self, topic: str, key: str) -> None:
        """What was read before stays."""

    def stored(self, config: Config) -> Config | None:
        """The setting that has the same key, or None."""
        match config:
            case AccountConfig():
                return self.accounts.get(config.id)
            case ListConfig():
                return self.lists_of(config.account).get(config.number)
            case EndpointConfig():
                return self.endpoints.get(config_key(config))

    def lists_of(self, account: str) -> dict[str, ListConfig]:
        """Lists of an account by number."""
        return self.lists.get(account, {})

    def endpoints_of(self, account: str) -> tuple[EndpointConfig, ...]:
        """Endpoints of an account."""
        found = self._endpoints_of.get(account)
        if found is None:
            found = tuple(e for e in self.endpoints.values() if e.account == account)
            self._endpoints_of[account] = found
        return found


def all_configs(view: Accounts) -> Iterator[Config]:
    """Every setting: accounts, then lists, then endpoints."""
    yield from view.accounts.values()
    for lists in view.lists.values():
        yield from lists.values()
    yield from view.endpoints.values()


class SettingsReader(Generic[V]):
    """Follows compacted topics. After `start` returns, `view` holds every setting that existed at that time.

    `kinds` are the records that these topics hold; others are passed over.
    """

    def __init__(
        self, settings: BusSettings, codec: Codec, topics: Iterable[str], kinds: tuple[type[Record], ...], view: V
    ) -> None:
        self.view = view
        self.on_change: list[Callable[[str, str], None]] = []
        self._codec = codec
        self._topics = {settings.catalogue[t].name: t for t in topics}
        self._kinds = kinds
        self._settings = settings
        self._read: dict[Any, int] = {}
        self._consumer: Any = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read everything, then follow in the background."""
        self._consumer = aiokafka.AIOKafkaConsumer(
            group_id=None, enable_auto_commit=False, auto_offset_reset="earliest", **self._settings.aiokafka()
        )
        await self._consumer.start()
        tps = [aiokafka.TopicPartition(name, 0) for name in self._topics]
        self._consumer.assign(tps)
        ends = await self._consumer.end_offsets(tps)
        self._read = await self._consumer.beginning_offsets(tps)
        await self._consumer.seek_to_beginning(*tps)
        while any([await self._consumer.position(tp) < ends[tp] for tp in tps]):
            self._apply(await self._consumer.getmany(timeout_ms=200))
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
        if self._consumer is not None:
            await self._consumer.stop()

    async def _follow(self) -> None:
        while True:
            try:
                self._apply(await self._consumer.getmany(timeout_ms=1_000))
            except aiokafka.errors.KafkaError as error:
                log.warning("settings are not followed at the moment: %s", type(error).__name__)
                await asyncio.sleep(1)
                # The client stands behind what it gave out, and the error may have kept that from us.
                for tp, offset in self._read.items():
                    self._consumer.seek(tp, offset)

    def _apply(self, batches: dict[Any, list[Any]]) -> None:
        for tp, records in batches.items():
            for record in records:
                topic, key = self._topics[tp.topic], (record.key or b"").decode()
                if record.value is None:
                    self.view.drop(topic, key)
                else:
                    try:
                        config = self._codec.decode(record.value)
                    except CodecError as error:
                        log.error("setting %s in %s is not readable: %s", key, tp.topic, error)
                        self.view.unreadable(topic, key)
                        continue
                    if isinstance(config, self._kinds):
                        self.view.put(config)
                for listener in self.on_change:
                    listener(topic, key)
            self._read[tp] = records[-1].offset + 1


class AccountsReader(SettingsReader[Accounts]):
    """Follows the settings of all accounts."""

    def __init__(self, settings: BusSettings, codec: Codec) -> None:
        super().__init__(settings, codec, CONFIG_TOPICS, (AccountConfig, ListConfig, EndpointConfig), Accounts())


async def write_configs(producer: Producer, settings: BusSettings, codec: Codec, configs: list[Config]) -> list[Config]:
    """Write settings, acknowledged, and give them as they were written: with their secrets sealed.

    Readers see them within about a second.
    """
    sealed = [with_secrets(config, keyring().seal) for config in configs]
    sent = []
    for config in sealed:
        topic = settings.catalogue[TOPIC_OF[type(config)]].name
        headers = event_headers(config, random_id(), time.time_ns() // 1_000_000)
        sent.append(await producer.send(topic, codec.encode(config), key=config_key(config).encode(), headers=headers))
    await asyncio.gather(*sent)
    return sealed
