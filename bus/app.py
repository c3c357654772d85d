"""The Faust app of a service, with our consumer, our producer and our tables instead of Faust's."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiokafka
import faust
from faust.app.base import BootStrategy

from bus.due import DueRows
from bus.health import Health, HealthServer
from bus.inbox import Inbox
from bus.offsets import LosslessTransport
from bus.owners import OwnedRows
from bus.producer import Producer
from bus.settings import BusSettings
from bus.stores import MemoryStore, RocksStore, Store
from bus.tables import Table
from schemas.codec import Codec
from schemas.registry import registry_for
from schemas.topics import Catalogue

log = logging.getLogger(__name__)


WATCH_EVERY = 15.0
"""Seconds between looks at the lag."""

STALLED_AFTER = 60.0
"""Seconds of lag without progress after which a worker says that it is not ready. Faust consumers have been seen to
die without a word; the orchestrator restarts what is not ready."""


class _Boot(BootStrategy):  # type: ignore[misc]
    enable_kafka_producer = False  # ours is the only one


class Worker(faust.App):  # type: ignore[misc]
    """A Faust app that loses nothing. Agents read `Inbox`es through `bus.batches.batches`."""

    BootStrategy = _Boot
    fetch_min_bytes = 1
    fetch_max_wait_ms = 500

    def __init__(
        self, bus: BusSettings, name: str, *, directory: Path | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.bus = bus
        self.inboxes: dict[str, Inbox] = {}
        self.before_revoke: list[Callable[[float], Awaitable[bool]]] = []
        self.tables_of_ours: list[Table] = []
        self.claimed: dict[str, int] = {}
        self.catalogue: Catalogue = bus.catalogue
        self.codec = Codec(registry_for(bus.schema_registry_url))
        self.records_producer = Producer(bus)
        self.health = Health(name)
        self.health.checks += [self._not_joined, self._restoring, self._unclaimed, self._stalled]
        self.lag = 0
        self.records = self.health.counter("records", "Records taken, and items rejected.", ["stage", "result"])
        self.health.gauge("lag_records", "Records that are on the topics and not yet done.", lambda: self.lag)
        self.health.gauge(
            "skipped_by_retention_records",
            "Records that retention deleted before they were read.",
            lambda: self.consumer.skipped_by_retention,
        )
        self._health_server = HealthServer(self.health, host, port)
        self._progress = (0, time.monotonic())
        self._directory = directory
        bus.data_dir.mkdir(parents=True, exist_ok=True)
        super().__init__(
            bus.group(name),
            broker=bus.faust_broker(),
            broker_credentials=bus.faust_credentials(),
            autodiscover=False,
            datadir=str(bus.data_dir / "faust"),
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

    def durable_table(
        self, name: str, changelog: str, due_rows: DueRows | None = None, owned_rows: OwnedRows | None = None
    ) -> Table:
        """A table logged to a changelog topic (catalogue short name); its indexes are for `bus.tables`."""
        table = Table(
            name,
            self.catalogue[changelog].name,
            self.records_producer,
            open_store=self._open_store,
            consumer=self._changelog_consumer,
            due_rows=due_rows,
            owned_rows=owned_rows,
        )
        self.tables_of_ours.append(table)
        return table

    async def on_start(self) -> None:
        """Connect the producer before anything is read."""
        await self._health_server.start()
        await self.records_producer.start()
        await super().on_start()
        self.add_future(self._watch())
        self.health.ready = True

    async def on_stop(self) -> None:
        """Finish work in progress, commit, then disconnect."""
        self.health.ready = False
        await super().on_stop()
        await self.records_producer.stop()
        for table in self.tables_of_ours:
            table.close()
        await self._health_server.stop()

    async def _watch(self) -> None:
        while not self.should_stop:
            await self.sleep(WATCH_EVERY)
            if self.consumer.ready:
                lag, done = await self.consumer.lag()
                self.lag = lag
                if lag == 0 or done != self._progress[0]:
                    self._progress = (done, time.monotonic())

    def _not_joined(self) -> str | None:
        return None if self.consumer.ready else "waiting for partitions of the consumer group"

    def _restoring(self) -> str | None:
        left = {table.name: sum(table.restoring.values()) for table in self.tables_of_ours if table.restoring}
        return "; ".join(f"restoring table {name}: {count} records left" for name, count in left.items()) or None

    def _unclaimed(self) -> str | None:
        generations = {ledger.generation for ledger in self.consumer.ledgers.values()}
        late = [stage for stage, generation in self.claimed.items() if generations - {generation}]
        return f"taking over the tables of {', '.join(late)}" if late else None

    def _stalled(self) -> str | None:
        still = time.monotonic() - self._progress[1]
        if not self.lag or still < STALLED_AFTER:
            return None
        return f"{self.lag} records are waiting and nothing has moved for {still:.0f} s"

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
