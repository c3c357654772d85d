"""A service's Faust app, with our consumer, producer, and tables instead of Faust's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import aiokafka
import faust
from faust.app.base import BootStrategy

from bus.admin import Admin
from bus.clients import new_consumer
from bus.clock import now_ms
from bus.ending import CRASH_SECONDS, end_within
from bus.garbage import collect_by_plan
from bus.health import Health
from bus.health_server import HealthServer
from bus.layout import Identity, LayoutError, check_partitions, check_stored
from bus.ledger import TopicPartition
from bus.losses import Losses
from bus.measures import Labels, Tally
from bus.producer import Producer
from bus.settings import BusSettings
from bus.tables.store import MemoryStore, RocksStore, Store
from bus.tables.table import NO_INDEXES, Indexes, Table
from bus.telemetry import current
from bus.watch import Watch
from bus.worker import faust_settings
from bus.worker.batch import Batch
from bus.worker.consumer import LosslessTransport
from bus.worker.inbox import Inbox
from bus.worker.stages import Stages
from schemas.codec import Codec
from schemas.registry import registry_for
from schemas.topics import Catalogue

log = logging.getLogger(__name__)


class StageEnded(RuntimeError):
    """An agent's body ended without an error."""


class _Boot(BootStrategy):  # type: ignore[misc]
    enable_kafka_producer = False  # we have our own


class Worker(faust.App):  # type: ignore[misc]
    """A Faust app that loses nothing. Agents read `Inbox`es through `bus.worker.batches.batches`."""

    BootStrategy = _Boot
    fetch_min_bytes = 1
    fetch_max_wait_ms = 500

    def __init__(
        self, bus: BusSettings, name: str, *, directory: Path | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.bus = bus
        self.failure_ratio = bus.failure_ratio
        self.inboxes: dict[str, Inbox] = {}
        self.before_revoke: list[Callable[[float], Awaitable[bool]]] = []
        self.tables_of_ours: list[Table] = []
        self.layout: dict[str, Identity] = {}
        self.claimed: dict[str, int] = {}
        self.misfit: LayoutError | None = None
        """Why the worker ends, if topics have changed since it started."""
        self.end: Callable[[], object] = lambda: None
        """Ends the process cleanly."""
        self.catalogue: Catalogue = bus.catalogue
        self.codec = Codec(registry_for(bus.schema_registry_url))
        self.records_producer = Producer(bus, confirm=self._confirm)
        self.losses = Losses(bus, name, self.records_producer, self.codec)
        self.tracing = current.tracing()
        self.health = Health(name, bus)
        self.health.checks += [
            self.records_producer.problem,
            self._not_joined,
            self._restoring,
            self._unclaimed,
        ]
        self.stages = Stages(self.health)
        self.watch = Watch(bus, self.records_producer, self.health, self._misfit)
        self.health.progress.append(lambda: sum(table.restored for table in self.tables_of_ours))
        self.records = Tally()
        """Records taken and items rejected, by stage."""
        self._rejected = Tally()
        self.health.export("rejected_records", self.rejections)
        self.health.gauge("lag_records", lambda: self.stages.lag)
        self.health.export("stage_lag_records", self.stages.lags)
        self.health.export("stage_oldest_seconds", self._oldest)
        self.health.gauge("skipped_by_retention_records", lambda: self.losses.count)
        self._health_server = HealthServer(self.health, host, port)
        self._keyed = {topic.name for topic in self.catalogue.values() if topic.key != "none"}
        self._directory = directory
        bus.data_dir.mkdir(parents=True, exist_ok=True)
        super().__init__(
            bus.group(name),
            broker=faust_settings.broker(bus),
            broker_credentials=faust_settings.credentials(bus),
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
            broker_max_poll_interval=1_000.0,
            stream_wait_empty=True,
            stream_recovery_delay=0.0,
            table_standby_replicas=0,
        )

    def _new_transport(self) -> LosslessTransport:
        return LosslessTransport(self.conf.broker_consumer, self)

    def inbox(self, *topics: str, apart: Collection[str] = ()) -> Inbox:
        """Return the inbox for the admitted records of these topics (catalogue short names). Those in `apart` have
        different keys."""
        names = [self.catalogue[topic].name for topic in topics]
        inbox = Inbox(names, apart=[self.catalogue[topic].name for topic in apart])
        self.inboxes.update(dict.fromkeys(names, inbox))
        return inbox

    def stage(self, name: str, *topics: str) -> Callable[[Callable[[], Awaitable[None]]], None]:
        """Decorator that turns a body into the agent of a stage that reads these topics (catalogue short names).

        A body runs forever. If it ends, by whatever exception, the worker ends: Faust would restart the agent after the
        records that it had taken.
        """
        names = [self.catalogue[topic].name for topic in topics]
        self.stages.name(names, name)
        channel = self.topic(*names, key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw")

        def agent_of(body: Callable[[], Awaitable[None]]) -> None:
            async def agent(stream: Any) -> None:
                if not self.should_stop:
                    await self._to_its_end(name, names, body)

            self.agent(channel, name=name)(agent)

        return agent_of

    async def _to_its_end(self, name: str, topics: Iterable[str], body: Callable[[], Awaitable[None]]) -> None:
        error: Exception = StageEnded(f"{name} returned")
        try:
            await body()
        except asyncio.CancelledError as caught:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # the worker is stopping
                raise
            error = StageEnded(f"{name} canceled itself")
            error.__cause__ = caught
        except Exception as caught:
            error = caught
        except BaseException as caught:
            error = StageEnded(f"{name} failed with {type(caught).__name__}: {caught}")
            error.__cause__ = caught
        log.critical("%s stops the worker: %s: %s", name, type(error).__name__, error, exc_info=error)
        for topic in topics:
            self.inboxes[topic].done()  # nobody else marks it, and the worker's stop waits for it
        await self.crash(error)

    def rejections(self) -> Mapping[Labels, float]:
        """Rejected records and items, by stage and reason."""
        return self._rejected

    def count_results(self, stage: str, batch: Batch) -> None:
        """Count the durable results of a batch."""
        self.records.add(stage, "rejected", by=batch.rejected.total())
        for reason, count in batch.rejected.items():
            self._rejected.add(stage, reason, by=count)

    def durable_table(
        self,
        name: str,
        changelog: str,
        indexes: Indexes = NO_INDEXES,
    ) -> Table:
        """Create a table logged to a changelog topic (catalogue short name)."""
        table = Table(
            name,
            self.catalogue[changelog].name,
            self.records_producer,
            open_store=self._open_store,
            consumer=self._changelog_consumer,
            identity=lambda: self.layout.get(self.catalogue[changelog].name),
            directory=None if self._directory is None else self._directory / name,
            indexes=indexes,
            max_bytes=self.catalogue[changelog].max_message_bytes,
        )
        self.tables_of_ours.append(table)
        return table

    async def on_start(self) -> None:
        """Check the topics and connect the producer before anything is read. Raises bus.layout.LayoutError."""
        await self._health_server.start()
        self.layout = await asyncio.to_thread(self._look_at_topics)
        await self.records_producer.start()
        await super().on_start()
        self.watch.start()
        self.add_future(self.stages.watch(self))
        collect_by_plan()
        self.health.ready = True

    def _look_at_topics(self) -> dict[str, Identity]:
        with Admin(self.bus) as admin:
            found = admin.identities(topic.name for topic in self.catalogue.values())
            stored = admin.group_identities(self.conf.id)
        check_partitions(self.catalogue, found)
        check_stored({name: identity for name, identity in stored.items() if name in self._keyed}, found)
        return found

    def _crash(self, reason: BaseException) -> None:
        # Every crash passes here, even that of an inner service; mode calls it on all related services.
        end_within(CRASH_SECONDS, f"crashed by {type(reason).__name__}")
        super()._crash(reason)

    async def on_stop(self) -> None:
        """Finish work in progress, commit, and disconnect."""
        self.health.ready = False
        await self.watch.stop()
        await super().on_stop()
        await self.records_producer.stop()
        for table in self.tables_of_ours:
            table.close()
        await self._health_server.stop()

    async def fits(self, assigned: Iterable[TopicPartition]) -> bool:
        """Whether the partitions are those that existed at the start. If not, the worker ends."""
        if all(tp.topic not in self._keyed or tp.partition < self.layout[tp.topic].partitions for tp in assigned):
            return True
        await self.watch.look()
        return False

    async def _confirm(self, generation: int) -> None:
        await self.consumer.confirm(generation)

    def _misfit(self, error: LayoutError) -> None:
        self.misfit = error
        self.end()

    def _oldest(self) -> dict[Labels, float]:
        now = now_ms()
        waiting = {inbox.topics: inbox.oldest_ms() for inbox in self.inboxes.values()}
        return self.stages.oldest({topics: max(0, now - at) / 1000 for topics, at in waiting.items() if at is not None})

    def _not_joined(self) -> str | None:
        return None if self.consumer.ready else "waiting for the consumer group to assign partitions"

    def _restoring(self) -> str | None:
        left = {table.name: sum(table.restoring.values()) for table in self.tables_of_ours if table.restoring}
        return "; ".join(f"restoring table {name}: {count} records left" for name, count in left.items()) or None

    def _unclaimed(self) -> str | None:
        generations = {ledger.generation for ledger in self.consumer.ledgers.values()}
        late = [stage for stage, generation in self.claimed.items() if generations - {generation}]
        return f"claiming the tables of {', '.join(late)}" if late else None

    def _open_store(self, table: str, partition: int) -> Store:
        if self._directory is None:
            return MemoryStore()
        return RocksStore(self._directory / table / str(partition))

    def _changelog_consumer(self) -> aiokafka.AIOKafkaConsumer:
        return new_consumer(
            self.bus,
            max_partition_fetch_bytes=4 << 20,
        )
