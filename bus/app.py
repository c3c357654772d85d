"""The Faust app of a service, with our consumer, our producer and our tables instead of Faust's."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiokafka
import faust
from faust.app.base import BootStrategy

from bus.inbox import Inbox
from bus.offsets import LosslessTransport
from bus.producer import Producer
from bus.settings import BusSettings
from bus.stores import MemoryStore, RocksStore, Store
from bus.tables import Table
from schemas.codec import Codec
from schemas.registry import registry_for
from schemas.topics import Catalogue

log = logging.getLogger(__name__)


class _Boot(BootStrategy):  # type: ignore[misc]
    enable_kafka_producer = False  # ours is the only one


class Worker(faust.App):  # type: ignore[misc]
    """A Faust app that loses nothing. Agents read `Inbox`es through `bus.batches.batches`."""

    BootStrategy = _Boot
    fetch_min_bytes = 1
    fetch_max_wait_ms = 500

    def __init__(self, bus: BusSettings, name: str, *, directory: Path | None = None) -> None:
        self.bus = bus
        self.inboxes: dict[str, Inbox] = {}
        self.before_revoke: list[Callable[[float], Awaitable[bool]]] = []
        self.tables_of_ours: list[Table] = []
        self.catalogue: Catalogue = bus.catalogue
        self.codec = Codec(registry_for(bus.schema_registry_url))
        self.records_producer = Producer(bus)
        self._directory = directory
        super().__init__(
            f"{bus.topic_prefix}trackly-{name}",
            broker=bus.faust_broker(),
            broker_credentials=bus.faust_credentials(),
            autodiscover=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=1 << 20,
            broker_max_poll_records=2_000,
            broker_commit_interval=1.0,
            broker_session_timeout=10.0,
            broker_heartbeat_interval=3.0,
            broker_rebalance_timeout=60.0,
            broker_request_timeout=40.0,
            broker_max_poll_interval=1_000.0,
            stream_wait_empty=True,
            stream_recovery_delay=0.0,
            table_standby_replicas=0,
        )

    def _new_transport(self) -> LosslessTransport:
        return LosslessTransport(self.conf.broker_consumer, self)

    def inbox(self, *topics: str) -> Inbox:
        """Where the admitted records of these topics (catalogue short names) arrive."""
        names = [self.catalogue[topic].name for topic in topics]
        inbox = Inbox(names)
        self.inboxes.update(dict.fromkeys(names, inbox))
        return inbox

    def channel(self, *topics: str) -> Any:
        """The Faust topic of an agent that reads these topics (catalogue short names)."""
        names = [self.catalogue[topic].name for topic in topics]
        return self.topic(*names, key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw")

    def durable_table(self, name: str, changelog: str) -> Table:
        """A table logged to a changelog topic (catalogue short name)."""
        table = Table(
            name,
            self.catalogue[changelog].name,
            self.records_producer,
            open_store=self._open_store,
            consumer=self._changelog_consumer,
        )
        self.tables_of_ours.append(table)
        return table

    async def on_start(self) -> None:
        """Connect the producer before anything is read."""
        await self.records_producer.start()
        await super().on_start()

    async def on_stop(self) -> None:
        """Finish work in progress, commit, then disconnect."""
        await super().on_stop()
        await self.records_producer.stop()
        for table in self.tables_of_ours:
            table.close()

    def _open_store(self, table: str, partition: int) -> Store:
        if self._directory is None:
            return MemoryStore()
        return RocksStore(self._directory / table / str(partition))

    def _changelog_consumer(self) -> aiokafka.AIOKafkaConsumer:
        return aiokafka.AIOKafkaConsumer(
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 << 20,
            **self.bus.aiokafka(),
        )
