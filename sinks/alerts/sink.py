"""Alerts to accounts: a consumer of its own, in a group of its own, beside the webhooks and never in their way.

One process of the group reads everything, since bursts are counted over all partitions; the others stand by. An offset
is committed when every alert before it has been told, or given up, and written down. What was not told yet is in
memory: after a kill it is read again, and alerts of the last minute (while a channel is down, of the last few minutes)
may be told twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, NoReturn

import aiokafka
from aiokafka.errors import KafkaError

from bus.clients import go_on_where_committed, new_consumer
from bus.clock import Clock
from bus.fetching import ask_seldom
from bus.reading.single_reader import OneReader
from bus.settings import BusSettings
from bus.worker.batches import NOT_OF_THE_RECORD
from schemas.codec import Codec, CodecError
from schemas.records import EndpointAlert
from sinks.alerts.bursts import Burst, Bursts
from sinks.alerts.mailer import Mailer
from sinks.alerts.rules import alert_of
from sinks.alerts.sender import Teller
from sinks.forwarding import OLDEST_MS, RESTART_SECONDS, FetchedRecord

log = logging.getLogger(__name__)

TOPICS = ("delivery", "unsubscribe", "removed", "reply", "rejected", "alerts")
"""What alerts come from (short names of the catalogue)."""

MARK_SECONDS = 5.0
"""How finely it is remembered up to where alerts were told."""

COMMIT_SECONDS = 1.0
"""Between two commits at least."""

FETCH_BYTES = 256 << 10
"""While records come, Kafka answers once it has so much, or after half a second: no alert is told within seconds."""

LAST_SECONDS = 5.0
"""How long alerts under way are waited for when the process stops or its partitions go to another one."""

Positions = Mapping[Any, int]
"""The next offset of each partition."""


class Alerts(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc]
    """The consumer. `bursts` are what is gathered and not told yet."""

    def __init__(
        self, settings: BusSettings, codec: Codec, teller: Teller, clock: Clock, mailer: Mailer | None = None
    ) -> None:
        self.bursts = Bursts()
        self._mailer = mailer
        self._settings = settings
        self._codec = codec
        self._teller = teller
        self._clock = clock
        self._positions: dict[Any, int] = {}
        self._settled: Positions = {}
        self._passed: deque[tuple[int, Positions]] = deque()
        self._newest_mark = -1
        self._consumer: Any = None
        self._telling: dict[asyncio.Task[None], int] = {}
        self._task: asyncio.Task[NoReturn] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Tell what is gathered, a few seconds at most. The rest is read again by the next reader."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            for task in self._telling:
                task.cancel()

    def take(self, found: Mapping[Any, list[FetchedRecord]]) -> None:
        """Gather the alerts of records by partition. What cannot be read was rejected by others already."""
        mark = self._mark()
        if mark > self._newest_mark:
            self._passed.append((mark, dict(self._positions)))
            self._newest_mark = mark
        for partition, records in found.items():
            for record in records:
                self._gather(record, mark)
            self._positions[partition] = records[-1].offset + 1

    def tell_due(self) -> None:
        """Begin to tell the bursts whose time has come."""
        for burst in self.bursts.due(self._clock.monotonic()):
            self._tell(burst)

    async def tell_all(self) -> None:
        """Tell what is gathered, whatever its time, and wait for it a few seconds."""
        for burst in self.bursts.all():
            self._tell(burst)
        if self._telling:
            await asyncio.wait(self._telling, timeout=LAST_SECONDS)

    def settled(self) -> Positions:
        """Up to where everything has been told and written down. Empty: nothing new since the last time."""
        open_marks = [mark for mark in (self.bursts.oldest_mark(), *self._telling.values()) if mark is not None]
        if not open_marks:
            self._passed.clear()
            return dict(self._positions)
        found: Positions = {}
        while self._passed and self._passed[0][0] <= min(open_marks):
            _, found = self._passed.popleft()
        return found

    def _gather(self, record: FetchedRecord, mark: int) -> None:
        try:
            value = self._codec.decode(record.value)
            alert = alert_of(value)
        except CodecError:
            return
        except NOT_OF_THE_RECORD:
            raise
        except Exception:
            log.exception("no alert can be made of a record")
            return
        if isinstance(value, EndpointAlert) and self._mailer is not None and self._mailer.wants(value):
            self._follow(self._mailer.tell(value), mark)
        if alert is not None and self._teller.wants(alert):
            self.bursts.add(alert, self._clock.monotonic(), self._clock.now_ms(), mark)

    def _tell(self, burst: Burst) -> None:
        self._follow(self._teller.tell(burst), burst.mark)

    def _follow(self, telling: Coroutine[Any, Any, None], mark: int) -> None:
        """Tell something; what was read before its end is not committed until then."""
        task = asyncio.get_running_loop().create_task(telling)
        self._telling[task] = mark
        task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        del self._telling[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an alert failed in an unexpected way", exc_info=error)

    def _mark(self) -> int:
        return int(self._clock.monotonic() / MARK_SECONDS)

    async def _run(self) -> NoReturn:
        while True:
            try:
                await self._consume()
            except KafkaError as error:
                log.warning("no alerts are read at the moment: %s", type(error).__name__)
            except Exception:
                log.exception("alerts failed; they start again")
            await asyncio.sleep(RESTART_SECONDS)

    async def _consume(self) -> NoReturn:
        consumer = self._consumer = new_consumer(
            self._settings,
            group_id=self._settings.group("alerts"),
            group_instance_id=self._settings.instance_id,
            partition_assignment_strategy=[OneReader],
            max_poll_records=500,
        )
        topics = [self._settings.catalogue[topic].name for topic in TOPICS]
        consumer.subscribe(topics, listener=self)
        committed: Positions = {}
        committed_at = -COMMIT_SECONDS
        try:
            await consumer.start()
            while True:
                found = await consumer.getmany(timeout_ms=500)
                self.take(await _recent(consumer, found, self._clock.now_ms() - OLDEST_MS))
                self.tell_due()
                self._settled = self.settled() or self._settled
                now = self._clock.monotonic()
                if self._settled and self._settled != committed and now - committed_at >= COMMIT_SECONDS:
                    committed, committed_at = dict(self._settled), now
                    await consumer.commit(dict(committed))
                ask_seldom(consumer, not found, gather=FETCH_BYTES)
        finally:
            await self._hand_over()
            await consumer.stop()

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Another process reads from now on, from where this one stopped."""
        await self._hand_over()

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Read from what is committed on."""
        await go_on_where_committed(self._consumer, assigned)

    async def _hand_over(self) -> None:
        await self.tell_all()
        try:
            if settled := self.settled() or self._settled:
                await self._consumer.commit(dict(settled))
        except KafkaError as error:
            log.warning("alerts may be told again: %s", type(error).__name__)
        self._settled = {}
        self._positions.clear()
        self._passed.clear()


async def _recent(
    consumer: Any, found: Mapping[Any, list[FetchedRecord]], oldest: int
) -> Mapping[Any, list[FetchedRecord]]:
    """Records that were written since a time, in ms. A partition that begins before it is read on from there."""
    late = [partition for partition, records in found.items() if records[0].timestamp < oldest]
    if not late:
        return found
    ends = await consumer.end_offsets(late)
    places = await consumer.offsets_for_times(dict.fromkeys(late, oldest))
    for partition in late:
        place = places.get(partition)
        consumer.seek(partition, ends[partition] if place is None else place.offset)
    return {partition: records for partition, records in found.items() if partition not in late}
