"""The alerts sink: its own consumer group, so it never delays the webhooks.

One process of the group reads everything, because bursts are counted across partitions; the others stand by. An offset
is committed once every earlier alert has been sent or given up, and recorded. Pending alerts are in memory: after a
kill they are read again, so alerts of the last minute (of the last few minutes while a channel is down) may be sent
twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any

from bus.clock import Clock
from bus.measures import Labels
from bus.worker.batch import NOT_OF_THE_RECORD
from schemas.codec import Codec, CodecError
from schemas.records import AlertTold, EndpointAlert
from sinks.alerts.bursts import Burst, Bursts
from sinks.alerts.channels import Channels
from sinks.alerts.mailer import Mailer, mailer_of
from sinks.alerts.rules import alerts_of
from sinks.alerts.sender import Teller
from sinks.consumer import FetchedRecord, Positions, SinkParts

log = logging.getLogger(__name__)

TOPICS = ("delivery", "unsubscribe", "removed", "reply", "rejected", "alerts", "losses")
"""The topics that cause alerts (catalogue short names)."""

MARK_SECONDS = 5.0
"""Resolution, in seconds, of the position up to which alerts were sent."""

FETCH_BYTES = 256 << 10
"""Kafka answers a busy fetch at this size, or after half a second: no alert is sent within seconds anyway."""

LAST_SECONDS = 5.0
"""Seconds to wait for alerts in progress when the process stops or its partitions move."""


class Alerts:
    """The sink. `bursts` holds pending alerts."""

    topics = TOPICS
    alone = True
    from_now_on = False
    gather_bytes = FETCH_BYTES

    def __init__(self, codec: Codec, teller: Teller, clock: Clock, mailer: Mailer | None = None) -> None:
        self.bursts = Bursts()
        self._mailer = mailer
        self._codec = codec
        self._teller = teller
        self._clock = clock
        self._positions: dict[Any, int] = {}
        self._passed: deque[tuple[int, Positions]] = deque()
        self._newest_mark = -1
        self._telling: dict[asyncio.Task[None], int] = {}

    async def wanted(self) -> None:
        """Always wanted: events are counted for every account."""

    def take(self, found: Mapping[Any, list[FetchedRecord]]) -> None:
        """Gather alerts from records, given by partition, and send due ones."""
        mark = self._mark()
        if mark > self._newest_mark:
            self._passed.append((mark, dict(self._positions)))
            self._newest_mark = mark
        for partition, records in found.items():
            for record in records:
                self._gather(record, mark)
            self._positions[partition] = records[-1].offset + 1
        self.tell_due()

    def tell_due(self) -> None:
        """Start sending due bursts."""
        for burst in self.bursts.due(self._clock.monotonic()):
            self._tell(burst)

    async def tell_all(self) -> None:
        """Send everything gathered, due or not, and wait a few seconds for it."""
        for burst in self.bursts.all():
            self._tell(burst)
        if self._telling:
            await asyncio.wait(self._telling, timeout=LAST_SECONDS)

    def settled(self) -> Positions:
        """Return up to where everything has been sent and recorded. Empty: nothing new since the last call."""
        open_marks = [mark for mark in (self.bursts.oldest_mark(), *self._telling.values()) if mark is not None]
        if not open_marks:
            self._passed.clear()
            return dict(self._positions)
        found: Positions = {}
        while self._passed and self._passed[0][0] <= min(open_marks):
            _, found = self._passed.popleft()
        return found

    async def hand_over(self) -> Positions:
        """Send what is gathered, within a few seconds: another process continues from here."""
        await self.tell_all()
        settled = self.settled()
        self._positions.clear()
        self._passed.clear()
        return settled

    async def stop(self) -> None:
        """Stop; the next reader reads pending alerts again."""
        for task in self._telling:
            task.cancel()
        self._teller.stop()

    def _gather(self, record: FetchedRecord, mark: int) -> None:
        try:
            value = self._codec.decode(record.value)
            alerts = alerts_of(value, self._teller.accounts())
        except CodecError:
            return
        except NOT_OF_THE_RECORD:
            raise
        except Exception:
            log.exception("cannot make an alert of a record")
            return
        if isinstance(value, EndpointAlert) and self._mailer is not None and self._mailer.wants(value):
            self._follow(self._mailer.tell(value), mark)
        for alert in filter(self._teller.wants, alerts):
            self.bursts.add(alert, self._clock.monotonic(), self._clock.now_ms(), mark)

    def _tell(self, burst: Burst) -> None:
        self._follow(self._teller.tell(burst), burst.mark)

    def _follow(self, telling: Coroutine[Any, Any, None], mark: int) -> None:
        """Send something; offsets read before it completes are not committed until then."""
        task = asyncio.get_running_loop().create_task(telling)
        self._telling[task] = mark
        task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        del self._telling[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an alert failed unexpectedly", exc_info=error)

    def _mark(self) -> int:
        return int(self._clock.monotonic() / MARK_SECONDS)


def sink(parts: SinkParts) -> Alerts:
    """Return the service's sink."""
    channels = Channels(parts.post, parts.clock)

    async def write_told(told: AlertTold) -> None:
        await parts.write("alerts_told", told, told.account, told.event_id, told.at)

    teller = Teller(parts.accounts, channels, write_told, parts.clock)
    mailer = mailer_of(parts.settings, parts.accounts, parts.clock, channels.counts)
    made = Alerts(parts.codec, teller, parts.clock, mailer)
    parts.health.export("alerts", lambda: dict[Labels, float](channels.counts.items()))
    parts.health.gauge("alert_bursts", lambda: len(made.bursts))
    return made
