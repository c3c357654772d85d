"""The read model service: copies what passes through Kafka into queryable tables.

It runs beside the pipeline and never delays it: its own consumer, without a group. Its positions are rows of the same
transaction as everything else, so each record counts once, whatever is killed and when. One process writes; the others
wait to take over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from bus.admin import AdminError, Partition
from bus.clock import now_ms
from bus.errors import KafkaError
from bus.layout import TopicMadeAnew
from bus.tables.versions import version_in
from database.engine import DatabaseFileGone, SharedSession, is_replaced
from database.read_state import Freshness, freshness_of, move_positions, positions_in, tell_freshness
from database.tables import answers, evidence
from database.writer_lock import AnotherWrites, writing
from readmodel.evidence import answers_of, is_of_the_known_alone, row_of
from readmodel.feed import Feed, Poll, StartOver
from readmodel.retention import purge
from readmodel.rows import RULES, Change, IfKnown, NewRow, RecordPlace
from readmodel.settings import ReadModelSettings
from readmodel.writer import write
from schemas.cloudevents import header
from schemas.codec import Codec, CodecError
from schemas.records import ContactAnswers, ContactCommand

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5
"""Seconds between checks of the topics' ends."""

TELL_EVERY = 1.0
"""Seconds between updates of the read model's freshness."""

REST_EVERY = 2.0
"""Seconds between two of either while nothing comes."""

PURGE_EVERY, PURGE_ROWS = 600.0, 2_000
"""Seconds between purges, and the number of rows deleted at once."""

STANDBY = 1.0
"""Seconds between attempts to become the writer."""

BACKOFF = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before each retry after an error; the last one repeats."""

STUCK_SECONDS = 60.0
"""Seconds without progress, although records wait, after which a read model is not ready."""

SILENT_SECONDS = 10.0
"""Seconds without an answer from the database after which a read model is not ready."""

Record = Any
P = ParamSpec("P")
T = TypeVar("T")


class ReadModel:
    """Reads and writes until told to stop. `read` and `passed_over` count records by topic (short name)."""

    def __init__(self, settings: ReadModelSettings, engine: Engine, codec: Codec) -> None:
        self.read: Counter[str] = Counter()
        self.passed_over: Counter[str] = Counter()
        self.problem: str | None = "starting"
        self.is_writing = False
        self.freshness = Freshness(None, 0, 0)
        self._settings = settings
        self._engine = engine
        self._codec = codec
        self._topics = {settings.catalogue[key].name: key for key in RULES}
        self._moved_at = time.monotonic()
        self._asked_at: float | None = None
        """When the database was asked what it has not answered yet."""
        self._told_at = 0.0
        self._purge_at = time.monotonic()
        self._complained: set[str] = set()
        self._stored: Freshness | None = None
        """What the database says since this process has last written it."""

    def health(self) -> str | None:
        """Return why the service is not working; None if it is, or if it waits to take over."""
        # A link that stalls raises nothing.
        silent = 0.0 if self._asked_at is None else time.monotonic() - self._asked_at
        if silent > SILENT_SECONDS:
            return f"the database has not answered for {silent:.0f} s"
        is_behind = self.is_writing and self.freshness.lag
        if self.problem is None and is_behind and time.monotonic() - self._moved_at > STUCK_SECONDS:
            return f"{self.freshness.lag} records are waiting, and there was no progress for {STUCK_SECONDS:.0f} s"
        return self.problem

    @property
    def age(self) -> float:
        """Age in seconds of the moment up to which the read model is complete; -1 before the first."""
        caught_up_at = self.freshness.caught_up_at
        return -1.0 if caught_up_at is None else max(0.0, (now_ms() - caught_up_at) / 1000)

    async def run(self, stop: asyncio.Event) -> None:
        """Write, or wait to take over, until `stop` is set. Retries errors of Kafka and of the database.

        Raises bus.layout.LayoutError if the topics no longer are what they must be.
        """
        failures = 0
        while not stop.is_set():
            began = time.monotonic()
            try:
                await self.follow(stop.is_set)
            except AnotherWrites:
                self.problem, self.freshness = None, Freshness(None, 0, 0)
                await _sleep(stop, STANDBY)
            except StartOver as reason:
                log.warning("%s; starting again from the stored positions", reason)
            except TopicMadeAnew as reason:
                if self.problem != str(reason):
                    self.problem = str(reason)
                    log.critical("%s", reason)
                # Somebody may accept it in the meantime.
                await _sleep(stop, STANDBY)
            except (SQLAlchemyError, KafkaError, AdminError) as error:
                failures = 1 if time.monotonic() - began > STUCK_SECONDS else failures + 1
                wait = BACKOFF[min(failures, len(BACKOFF)) - 1]
                # Database messages repeat values.
                what = "the database" if isinstance(error, SQLAlchemyError) else "Kafka"
                self.problem = f"{what} failed: {_name(error)}"
                log.warning("%s; retrying in %g s, from the stored positions", self.problem, wait)
                await _sleep(stop, wait)

    async def follow(self, is_done: Callable[[], bool]) -> None:
        """Write incoming records, as the only writer, until `is_done`, which is checked after each batch.

        Raises AnotherWrites, TopicMadeAnew, StartOver, and errors of Kafka and of the database.
        """
        with ExitStack() as stack:
            connection = await self._ask(stack.enter_context, writing(self._engine))
            feed = Feed(self._settings, (self._settings.catalogue[key] for key in RULES), self._is_erasure)
            try:
                stored, self._stored = await self._ask(_state, connection)
                self.freshness = self._stored or self.freshness
                await feed.start(stored)
                if feed.lost:
                    await self._ask(self._tell_lost, connection, feed)
                self._moved_at = time.monotonic()
                self.problem, self.is_writing = None, True
                await self._follow(feed, connection, is_done)
            finally:
                self.is_writing = False
                await feed.stop()

    async def _follow(self, feed: Feed, connection: Connection, is_done: Callable[[], bool]) -> None:
        marked_at: int | None = None
        looked_at = 0.0
        while not is_done():
            poll = await feed.poll(self._settings.batch_records)
            if poll.moved:
                await self._ask(self._write, connection, poll, feed.ids)
                feed.moved_to(poll.moved)
                self._moved_at = time.monotonic()
            caught_up = marked_at is not None and feed.has_reached(feed.ends)
            rests = caught_up and not poll.moved
            look_every, tell_every = (REST_EVERY, REST_EVERY) if rests else (LOOK_EVERY, TELL_EVERY)
            now = time.monotonic()
            if caught_up or now - self._told_at >= tell_every:
                since = marked_at if caught_up else self.freshness.caught_up_at
                self.freshness = Freshness(since, feed.lag, now_ms(), self.freshness.lost)
            if now - self._told_at >= tell_every:
                self._told_at = now
                await self._ask(self._tell, connection)
            if (caught_up or marked_at is None) and now - looked_at >= look_every:
                looked_at, marked_at = now, now_ms()
                await feed.look_at_ends()
            if now >= self._purge_at:
                gone = await self._ask(self._purge, connection)
                self._purge_at = now + (0.0 if gone else PURGE_EVERY)
        if marked_at is not None and feed.has_reached(feed.ends):
            self.freshness = Freshness(marked_at, feed.lag, now_ms(), self.freshness.lost)
        await self._ask(self._tell, connection)

    async def _ask(self, use: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call something that waits for the database, in a thread."""
        self._asked_at = time.monotonic()
        try:
            return await asyncio.to_thread(use, *args, **kwargs)
        finally:
            self._asked_at = None

    def _check(self, connection: Connection) -> None:
        """Check, in a transaction, that the database is as this process has last written it, and remains so until the
        transaction ends. Raises StartOver.

        A restored or emptied one has other positions than this process goes by: what lies between them would be
        missing for good.
        """
        if freshness_of(connection, locked=True) != self._stored:
            raise StartOver("the database was restored or emptied while it was written")

    def _tell(self, connection: Connection) -> None:
        with connection.begin():
            _check_file(connection)
            self._check(connection)
            tell_freshness(connection, self.freshness)
        self._stored = self.freshness

    def _tell_lost(self, connection: Connection, feed: Feed) -> None:
        """Record how much retention deleted before it was read, together with the positions after it, so that it counts
        once."""
        self.freshness = replace(self.freshness, lost=self.freshness.lost + sum(feed.lost.values()), told_at=now_ms())
        with connection.begin():
            move_positions(connection, feed.ids, {partition: feed.positions[partition] for partition in feed.lost})
            tell_freshness(connection, self.freshness)
        self._stored = self.freshness

    def _write(self, connection: Connection, poll: Poll, ids: Mapping[str, str]) -> None:
        changes = [(record, self._changes(record)) for record in poll.records]
        self._store(connection, changes, poll.moved, ids)
        self.read.update(self._topics[record.topic] for record in poll.records)

    def _store(
        self,
        connection: Connection,
        changes: Sequence[tuple[Record, list[Change]]],
        moved: Mapping[Partition, int],
        ids: Mapping[str, str],
    ) -> None:
        """Store changes and positions in one transaction; a record that no table accepts is identified and skipped."""
        try:
            with connection.begin():
                _check_file(connection)
                write(connection, [change for _, each in changes for change in each])
                move_positions(connection, ids, moved)
                # Last: whoever restores the database while this is written would wait for us, and we for them.
                self._check(connection)
        except (DataError, IntegrityError) as error:
            if not changes:
                raise
            if len(changes) == 1:
                self._pass_over(changes[0][0], f"the database rejects it: {_name(error)}")
                self._store(connection, [], moved, ids)
                return
            half = len(changes) // 2
            first = {(record.topic, record.partition): record.offset + 1 for record, _ in changes[:half]}
            self._store(connection, changes[:half], first, ids)
            self._store(connection, changes[half:], moved, ids)

    def _changes(self, record: Record) -> list[Change]:
        key = self._topics[record.topic]
        rule = RULES[key]
        source = header(record.headers, "source")
        place = RecordPlace(
            record.topic,
            record.partition,
            record.offset,
            record.timestamp,
            record.key,
            None if source is None else source.decode("utf-8", "replace"),
            version_in(record.headers),
            self._settings.tag_arguments,
        )
        try:
            if record.value is None:
                return list(rule.changes(None, place)) if rule.tombstones else []
            decoded = self._codec.decode(record.value)
            if not isinstance(decoded, rule.records):
                raise CodecError(f"is a {type(decoded).__name__}")
            return [*rule.changes(decoded, place), *_evidence(decoded, record, place)]
        except CodecError as error:
            self._pass_over(record, f"it cannot be decoded: {error}")
        except Exception as error:
            self._pass_over(record, f"it makes no sense: {_name(error)}")
        return []

    def _pass_over(self, record: Record, why: str) -> None:
        key = self._topics[record.topic]
        self.passed_over[key] += 1
        if key not in self._complained:
            self._complained.add(key)
            place = f"{record.topic}[{record.partition}] offset {record.offset}"
            log.error("%s is not in the read model: %s; further ones of this topic are only counted", place, why)

    def _is_erasure(self, record: Record) -> bool:
        if self._topics[record.topic] != "commands":
            return False
        try:
            command = self._codec.decode(record.value)
        except CodecError:
            return False
        return isinstance(command, ContactCommand) and command.command == "erase"

    def _purge(self, connection: Connection) -> int:
        now, day = now_ms(), 86_400_000
        of = self._settings
        rows, hourly, proof, told = (
            int(now - days * day) for days in (of.days, of.hourly_days, of.evidence_days, of.answer_days)
        )
        with connection.begin():
            return purge(connection, rows, hourly, proof, told, PURGE_ROWS)


def _evidence(decoded: Any, record: Record, place: RecordPlace) -> Iterator[Change]:
    """Return the record itself, if it affects consent, and the answers given about each number."""
    if isinstance(decoded, ContactAnswers):
        told = answers_of(decoded, record.value, str(place), place.timestamp)
        yield from (NewRow(answers, row) for row in told)
        return
    digest = header(record.headers, "source_sha256")
    source_sha256 = None if digest is None else digest.decode("ascii", "replace")
    row = row_of(decoded, record.value, str(place), place.timestamp, place.source, source_sha256)
    if row is not None:
        yield IfKnown(evidence, row) if is_of_the_known_alone(decoded) else NewRow(evidence, row)


def _check_file(connection: Connection) -> None:
    if is_replaced(connection):
        raise StartOver("the database's file was replaced")


def _state(connection: Connection) -> tuple[dict[Partition, tuple[str, int]], Freshness | None]:
    with connection.begin():
        return positions_in(connection), freshness_of(connection)


def _name(error: BaseException) -> str:
    if isinstance(error, DatabaseFileGone | SharedSession):
        return str(error)
    original = getattr(error, "orig", None)
    return type(error if original is None else original).__name__


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        pass
