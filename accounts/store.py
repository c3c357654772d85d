"""Storage of accounts' settings and keys on compacted topics: reading, following, and writing.

A key without a value (a tombstone) deletes a setting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from accounts.keys import KEYS_TOPIC, ApiKeys
from accounts.model import CONFIG_TOPICS, KINDS, TOPIC_OF, Accounts, Config, config_key
from accounts.pauses import SUFFIX
from accounts.secrets import keyring, with_secrets
from bus.clock import now_ms
from bus.producer import Producer
from bus.reading.followed import Followed
from bus.settings import BusSettings
from schemas.cloudevents import event_headers
from schemas.codec import Codec, CodecError, UnknownSchema
from schemas.folder_registry import RegistryError
from schemas.ids import random_id
from schemas.records import ApiKey, EndpointPause, Record

log = logging.getLogger(__name__)


class SettingsTooNew(RuntimeError):
    """Settings were written by a newer version of trackly. The message names some and gives the remedy."""


class View(Protocol):
    """State that a reader of compacted topics keeps current."""

    def put(self, record: Any) -> None:
        """Add or replace a setting."""

    def drop(self, topic: str, key: str) -> None:
        """Delete a setting by its topic's short name and its key."""

    def unreadable(self, topic: str, key: str) -> None:
        """Handle a setting replaced by a record that this version cannot read."""


V = TypeVar("V", bound=View)


class SettingsReader(Generic[V]):
    """Follows compacted topics. When `start` returns, `view` has every setting that existed by then.

    `kinds` are the record types to read; others are skipped.
    """

    def __init__(
        self, settings: BusSettings, codec: Codec, topics: Iterable[str], kinds: tuple[type[Record], ...], view: V
    ) -> None:
        self.view = view
        self.on_change: list[Callable[[str, str], None]] = []
        self._codec = codec
        self._topics = {settings.catalogue[t].name: t for t in topics}
        self._kinds = kinds
        self._too_new: set[tuple[str, str]] = set()
        """Settings whose last value has a schema unknown to this version, by topic and key."""
        self._followed = Followed(settings, self._topics, self._take, what="settings")

    async def start(self) -> None:
        """Read everything, then follow in the background."""
        await self._followed.start()

    async def stop(self) -> None:
        """Stop following."""
        await self._followed.stop()

    def _take(self, topic: str, record: Any) -> None:
        """Apply one record. Whatever it holds, later ones are applied too.

        Raises RegistryError: its content is not known yet.
        """
        topic = self._topics[topic]
        try:
            key = (record.key or b"").decode()
        except UnicodeDecodeError:
            log.error("skipping a setting in %s: its key is not text", topic)
            return
        if self._is_applied(topic, key, record.value):
            for listener in self.on_change:
                try:
                    listener(topic, key.removesuffix(SUFFIX))
                except Exception:
                    log.exception("setting %s in %s has not reached every reader yet", key, topic)

    def _is_applied(self, topic: str, key: str, value: bytes | None) -> bool:
        try:
            if value is None:
                self.view.drop(topic, key)
            elif isinstance(config := self._codec.decode(value), self._kinds):
                self.view.put(config)
        except CodecError as error:
            log.error("setting %s in %s cannot be read: %s", key, topic, error)
            if isinstance(error, UnknownSchema):
                self._too_new.add((topic, key))
        except RegistryError:
            raise
        except Exception:
            log.exception("setting %s in %s cannot be applied", key, topic)
        else:
            self._too_new.discard((topic, key))
            return True
        self.view.unreadable(topic, key)
        return False


class AccountsReader(SettingsReader[Accounts]):
    """Follows the settings of all accounts."""

    def __init__(self, settings: BusSettings, codec: Codec) -> None:
        super().__init__(settings, codec, CONFIG_TOPICS, KINDS, Accounts())

    async def start(self) -> None:
        """Read everything, then follow. Raises SettingsTooNew: otherwise an unknown account's callbacks would be
        refused and its webhooks not sent, without anybody noticing."""
        await super().start()
        if self._too_new:
            topic, key = min(self._too_new)
            raise SettingsTooNew(
                f"{len(self._too_new)} settings were written by a newer version of trackly, such as {key} in "
                f"{topic}. Without them, callbacks would be refused and webhooks not sent. Start the newer version; "
                "to go back, see docs/operating/upgrade.md."
            )


class ApiKeysReader(SettingsReader[ApiKeys]):
    """Follows the keys of all accounts."""

    def __init__(self, settings: BusSettings, codec: Codec) -> None:
        super().__init__(settings, codec, (KEYS_TOPIC,), (ApiKey,), ApiKeys())


async def write_configs(producer: Producer, settings: BusSettings, codec: Codec, configs: list[Config]) -> list[Config]:
    """Write settings, acknowledged, and return them as written, with secrets sealed.

    Readers see them within about a second.
    """
    sealed = [with_secrets(config, keyring().seal) for config in configs]
    sent = []
    for config in sealed:
        topic = settings.catalogue[TOPIC_OF[type(config)]].name
        headers = event_headers(config, random_id(), now_ms())
        sent.append(await producer.send(topic, codec.encode(config), key=config_key(config).encode(), headers=headers))
    await asyncio.gather(*sent)
    return sealed


async def delete_configs(producer: Producer, settings: BusSettings, configs: Iterable[Config]) -> None:
    """Delete settings, acknowledged. Readers see it within about a second."""
    topics = settings.catalogue
    deletions = [(topics[TOPIC_OF[type(config)]].name, config_key(config).encode()) for config in configs]
    await asyncio.gather(*[await producer.send(topic, None, key=key) for topic, key in deletions])


async def write_key(producer: Producer, settings: BusSettings, codec: Codec, key: ApiKey) -> None:
    """Write a key, acknowledged. Readers see it within about a second."""
    headers = event_headers(key, random_id(), now_ms())
    topic = settings.catalogue[KEYS_TOPIC].name
    await (await producer.send(topic, codec.encode(key), key=key.id.encode(), headers=headers))


async def write_pause(producer: Producer, settings: BusSettings, codec: Codec, pause: EndpointPause) -> None:
    """Write a pause, acknowledged."""
    topic, key = settings.catalogue["config_endpoints"].name, f"{pause.account}/{pause.endpoint}{SUFFIX}"
    headers = event_headers(pause, random_id(), now_ms())
    await (await producer.send(topic, codec.encode(pause), key=key.encode(), headers=headers))
