"""The interface of a sink, a consumer of records apart from the webhooks, and the loop that reads for all sinks.

Each sink has its own consumer group, so none waits for another or for the webhooks. CONTRIBUTING.md says how to add
one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from accounts.model import Accounts
from bus.clock import Clock
from bus.errors import KafkaError
from bus.health import Health
from bus.reading.group import from_now_on, go_on_where_committed, group_consumer
from bus.settings import BusSettings
from outbound.outcomes import Outcome
from schemas.codec import Codec
from schemas.records import Record
from sinks.settings import SinksSettings

log = logging.getLogger(__name__)

OLDEST_MS = 3_600_000
"""Records older than this are skipped: nobody waits for their results anymore."""

RESTART_SECONDS = 5.0
"""Seconds between restarts of a consumer while Kafka is unavailable."""

PLACES_SECONDS = 0.5
"""Seconds to wait for the beginnings of partitions: one of them may have no leader."""

COMMIT_SECONDS = 1.0
"""Minimum seconds between commits."""

FetchedRecord = Any

Post = Callable[[str, Mapping[str, str], bytes, bool], Awaitable[Outcome]]
"""`Sender.post`: URL, headers, body, whether http is allowed."""

Write = Callable[[str, Record, str, str, int], Awaitable[None]]
"""Writes a record, acknowledged: topic (catalogue short name), record, key, event id, time in ms."""

Positions = Mapping[Any, int]
"""The next offset of each partition."""


class Sink(Protocol):
    """What the reading loop needs from a sink."""

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics it reads (catalogue short names)."""

    @property
    def alone(self) -> bool:
        """Whether one process reads everything while the others stand by, to count across partitions."""

    @property
    def from_now_on(self) -> bool:
        """Whether a sink that has never read skips existing records."""

    @property
    def gather_bytes(self) -> int:
        """Size in bytes at which Kafka answers a busy fetch, or after half a second. 1: at once."""

    async def wanted(self) -> None:
        """Return once there is a reason to read. A sink that is never wanted costs nothing."""

    def take(self, found: Mapping[Any, list[FetchedRecord]]) -> None:
        """Process records, or start to, given by partition; also called without records, twice a second.

        Unreadable records were rejected by other stages, and must not stop a sink.
        """

    def settled(self) -> Positions:
        """Return up to where everything is done. Empty: nothing new since the last call."""

    async def hand_over(self) -> Positions:
        """Finish within seconds, because the partitions are moving. Returns what has settled."""

    async def stop(self) -> None:
        """Stop with the process: finish work within seconds, or abandon it."""


@dataclass(frozen=True)
class SinkParts:
    """What sinks are built from."""

    settings: SinksSettings
    accounts: Accounts
    on_setting: list[Callable[[str, str], None]]
    """Called with a topic's short name and a key when a setting is written or deleted."""
    codec: Codec
    post: Post
    write: Write
    clock: Clock
    health: Health


class SinkConsumer:
    """Reads for one sink, and restarts if Kafka is unavailable or the sink fails. `name` is that of its group."""

    def __init__(self, name: str, sink: Sink, settings: BusSettings, clock: Clock) -> None:
        self._name = name
        self._sink = sink
        self._settings = settings
        self._clock = clock
        self._settled: Positions = {}
        self._consumer: Any = None
        self._task: asyncio.Task[NoReturn] | None = None

    def start(self) -> None:
        """Start."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Finish work in progress, within a few seconds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._sink.stop()

    async def _run(self) -> NoReturn:
        await self._sink.wanted()
        while True:
            try:
                await self._consume()
            except KafkaError as error:
                log.warning("%s cannot read right now: %s", self._name, type(error).__name__)
            except Exception:
                log.exception("%s failed; restarting", self._name)
            await asyncio.sleep(RESTART_SECONDS)

    async def _consume(self) -> NoReturn:
        sink, settings = self._sink, self._settings
        async with group_consumer(
            settings,
            settings.group(self._name),
            [settings.catalogue[topic].name for topic in sink.topics],
            placed=from_now_on if sink.from_now_on else go_on_where_committed,
            revoked=self._hand_over,
            alone=sink.alone,
            auto_offset_reset="latest" if sink.from_now_on else "earliest",
            max_poll_records=500,
            fetch_min_bytes=sink.gather_bytes,
        ) as self._consumer:
            committed: Positions = {}
            committed_at = -COMMIT_SECONDS
            try:
                while True:
                    found = await self._consumer.getmany(timeout_ms=500)
                    sink.take(await _recent(self._consumer, found, self._clock.now_ms() - OLDEST_MS))
                    begun = await self._begun(found) if sink.from_now_on else {}
                    self._settled = {**begun, **self._settled, **sink.settled()}
                    now = self._clock.monotonic()
                    if self._settled and self._settled != committed and now - committed_at >= COMMIT_SECONDS:
                        committed, committed_at = dict(self._settled), now
                        await self._consumer.commit(dict(committed))
            finally:
                await self._hand_over(())

    async def _begun(self, found: Mapping[Any, list[FetchedRecord]]) -> Positions:
        """Return where this process begins in partitions without settled records: everything from there on must be
        processed, even after a crash before the first record.
        """
        places: dict[Any, int] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(PLACES_SECONDS):
                for partition in self._consumer.assignment() - self._settled.keys():
                    records = found.get(partition)
                    places[partition] = records[0].offset if records else await self._consumer.position(partition)
        return places

    async def _hand_over(self, revoked: Iterable[Any]) -> None:
        settled = await self._sink.hand_over() or self._settled
        self._settled = {}
        try:
            if settled:
                await self._consumer.commit(dict(settled))
        except KafkaError as error:
            log.warning("%s: some records may be read again: %s", self._name, type(error).__name__)


async def _recent(
    consumer: Any, found: Mapping[Any, list[FetchedRecord]], oldest: int
) -> Mapping[Any, list[FetchedRecord]]:
    """Return records written since a time, in ms. A partition that begins earlier is read from there on."""
    late = [partition for partition, records in found.items() if records[0].timestamp < oldest]
    if not late:
        return found
    ends = await consumer.end_offsets(late)
    places = await consumer.offsets_for_times(dict.fromkeys(late, oldest))
    for partition in late:
        place = places.get(partition)
        consumer.seek(partition, ends[partition] if place is None else place.offset)
    return {partition: records for partition, records in found.items() if partition not in late}
