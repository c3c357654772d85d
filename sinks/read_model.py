"""The read model: a copy in SQL of what went through Kafka, for the console. Nothing waits for it.

It is a consumer without a group. Where it stands in each topic is written in the same transaction as the rows, so that
every record counts once, whatever is killed. One process writes; others wait as its standby.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiokafka
from aiokafka.errors import KafkaError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from bus.admin import Admin, AdminError, TopicLog
from bus.health import Health
from database.engine import open_engine
from database.migrating import migrate
from database.read_state import Freshness, move_positions, positions_in, tell_freshness
from database.writer_lock import AnotherWrites, writing
from schemas.cloudevents import header
from schemas.codec import Codec, CodecError
from sinks.clock import Clock
from sinks.read_retention import Retention
from sinks.read_rows import RULES, Change, Erasure, Place
from sinks.read_settings import ReadModelSettings
from sinks.read_writer import write

log = logging.getLogger(__name__)

STANDBY_SECONDS = 2.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds before it is tried again after an error: doubled each time."""

LOOK_SECONDS = 1.0
"""How often it is told how fresh the tables are."""

POLL_MS = 500


@dataclass
class Progress:
    """Where the writer stands. `ends` are of the last look; `mark` is a time, and the ends at that time or later."""

    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    mark: tuple[int, dict[tuple[str, int], int]] | None = None
    caught_up_at: int | None = None
    records: int = 0

    @property
    def lag(self) -> int:
        """Records still to be read."""
        return sum(max(0, end - self.positions.get(place, 0)) for place, end in self.ends.items())

    def look(self, now: int, ends: dict[tuple[str, int], int]) -> None:
        """Take in where the topics end; `now` is a time before that, in ms."""
        self.ends = ends
        if self.mark is None:
            self.mark = (now, ends)
        at, marked = self.mark
        if all(self.positions.get(place, 0) >= end for place, end in marked.items()):
            self.caught_up_at, self.mark = at, None


class ReadModel:
    """The service. `run` goes on until `stop` is set."""

    def __init__(self, settings: ReadModelSettings, codec: Codec, clock: Clock, health: Health) -> None:
        self.progress = Progress()
        self.stop = asyncio.Event()
        self._settings = settings
        self._codec = codec
        self._clock = clock
        self._topics = {settings.catalogue[name].name: rule for name, rule in RULES.items()}
        self._again: list[tuple[int, Erasure]] = []
        self._health = health
        self._problem: str | None = "not connected yet"
        self._unreadable = health.counter("unreadable", "Records that were passed over, unreadable.", ["topic"])
        health.checks.append(lambda: self._problem)
        health.gauge("lag_records", "Records still to be read.", lambda: self.progress.lag)
        health.gauge("records", "Records that this process has written.", lambda: self.progress.records)
        health.gauge("age_seconds", "Age of what the tables tell; infinite before it is known.", self._age)

    async def run(self) -> None:
        """Write until `stop` is set; errors of Kafka and the database are waited out. Raises NewerDatabase."""
        engine = open_engine(self._settings.database)
        wait = FIRST_WAIT
        try:
            while not self.stop.is_set():
                read = self.progress.records
                try:
                    await self._write(engine)
                except AnotherWrites as error:
                    self._problem = None  # a standby is ready to take over
                    log.info("standing by: %s", error)
                    await self._rest(STANDBY_SECONDS)
                except (KafkaError, SQLAlchemyError, AdminError, OSError) as error:
                    # The text of an error of SQL repeats the values of the statement.
                    self._problem = f"{type(error).__name__}: tried again in {wait:g} s"
                    log.warning("%s", self._problem)
                    await self._rest(wait)
                    wait = FIRST_WAIT if self.progress.records > read else min(2 * wait, LONGEST_WAIT)
        finally:
            engine.dispose()

    async def _write(self, engine: Engine) -> None:
        await asyncio.to_thread(migrate, engine)
        with writing(engine) as connection:
            logs = await asyncio.to_thread(self._look_at_topics)
            ids = {name: found.id for name, found in logs.items()}
            self.progress.positions = await asyncio.to_thread(self._begin, connection, logs)
            async with self._reading() as consumer:
                self._problem = None
                await self._follow(connection, consumer, ids)

    async def _follow(self, connection: Connection, consumer: Any, ids: dict[str, str]) -> None:
        retention = Retention(self._settings, self._clock)
        looked = 0
        while not self.stop.is_set():
            now = self._clock.now_ms()
            batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=self._settings.batch_records)
            records = [record for batch in batches.values() for record in batch]
            moved = {(tp.topic, tp.partition): await consumer.position(tp) for tp in consumer.assignment()}
            moved = {place: at for place, at in moved.items() if at != self.progress.positions.get(place)}
            await asyncio.to_thread(self._store, connection, records, ids, moved)
            self.progress.positions |= moved
            self.progress.records += len(records)
            if now - looked >= LOOK_SECONDS * 1000:
                looked = now
                ends = await consumer.end_offsets(list(consumer.assignment()))
                self.progress.look(now, {(tp.topic, tp.partition): end for tp, end in ends.items()})
                await asyncio.to_thread(self._tell, connection)
            await asyncio.to_thread(retention.step, connection)

    def _begin(self, connection: Connection, logs: dict[str, TopicLog]) -> dict[tuple[str, int], int]:
        with connection.begin():
            stored = positions_in(connection)
        found = {}
        for name, topic in logs.items():
            for partition, begin in topic.begins.items():
                topic_id, at = stored.get((name, partition), (topic.id, begin))
                if topic_id != topic.id:
                    log.warning("%s was made anew: it is read from its beginning", name)
                    at = begin
                found[name, partition] = max(begin, at)
        return found

    def _look_at_topics(self) -> dict[str, TopicLog]:
        with Admin(self._settings) as admin:
            return admin.logs(self._topics)

    def _reading(self) -> _Consumer:
        return _Consumer(self._settings, self.progress.positions)

    def _store(
        self, connection: Connection, records: Sequence[Any], ids: dict[str, str], moved: dict[tuple[str, int], int]
    ) -> None:
        if not moved:
            return
        changes: list[Change] = []
        with connection.begin():
            for change, at in self._changes(records):
                # What stands before an erasure must be there for it to go.
                if isinstance(change, Erasure):
                    write(connection, changes)
                    changes = []
                    self._again.append((at, change))
                changes.append(change)
            write(connection, changes)
            move_positions(connection, ids, moved)

    def _changes(self, records: Sequence[Any]) -> Iterator[tuple[Change, int]]:
        for record in records:
            rule = self._topics[record.topic]
            place = Place(
                record.topic, record.partition, record.offset, record.timestamp, record.key, _source(record.headers)
            )
            if record.value is None:
                if rule.tombstones:
                    yield from ((change, record.timestamp) for change in rule.changes(None, place))
                continue
            try:
                found = self._codec.decode(record.value)
            except CodecError as error:
                self._unreadable.labels(record.topic).inc()
                log.error("%s is passed over: %s", place, error)
                continue
            if isinstance(found, rule.records):
                yield from ((change, record.timestamp) for change in rule.changes(found, place))

    def _tell(self, connection: Connection) -> None:
        progress = self.progress
        with connection.begin():
            # Topics are read at different speeds: what was written before an erasure may have come after it.
            due = [each for at, each in self._again if (progress.caught_up_at or 0) > at]
            write(connection, due)
            self._again = [(at, each) for at, each in self._again if (progress.caught_up_at or 0) <= at]
            tell_freshness(connection, Freshness(progress.caught_up_at, progress.lag, self._clock.now_ms()))

    def _age(self) -> float:
        at = self.progress.caught_up_at
        return float("inf") if at is None else max(0.0, (self._clock.now_ms() - at) / 1000)

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            pass


class _Consumer:
    """A consumer of all partitions, from given positions, for as long as the block lasts."""

    def __init__(self, settings: ReadModelSettings, positions: dict[tuple[str, int], int]) -> None:
        self._positions = positions
        self._consumer: Any = aiokafka.AIOKafkaConsumer(
            group_id=None, enable_auto_commit=False, auto_offset_reset="earliest", **settings.aiokafka()
        )

    async def __aenter__(self) -> Any:
        await self._consumer.start()
        self._consumer.assign([aiokafka.TopicPartition(*place) for place in self._positions])
        for place, at in self._positions.items():
            self._consumer.seek(aiokafka.TopicPartition(*place), at)
        return self._consumer

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()


def _source(headers: Sequence[tuple[str, bytes]]) -> str | None:
    value = header(tuple(headers), "source")
    return None if value is None else value.decode("ascii", "replace")
