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
from collections.abc import Coroutine, Mapping
from typing import Any

from bus.clock import Clock
from bus.measures import Labels
from bus.worker.batches import NOT_OF_THE_RECORD
from schemas.codec import Codec, CodecError
from schemas.records import AlertTold, EndpointAlert
from sinks.alerts.bursts import Burst, Bursts
from sinks.alerts.channels import Channels
from sinks.alerts.mailer import Mailer, mailer_of
from sinks.alerts.rules import alert_of
from sinks.alerts.sender import Teller
from sinks.consumer import FetchedRecord, Positions, SinkParts

log = logging.getLogger(__name__)

TOPICS = ("delivery", "unsubscribe", "removed", "reply", "rejected", "alerts")
"""What alerts come from (short names of the catalogue)."""

MARK_SECONDS = 5.0
"""How finely it is remembered up to where alerts were told."""

FETCH_BYTES = 256 << 10
"""While records come, Kafka answers once it has so much, or after half a second: no alert is told within seconds."""

LAST_SECONDS = 5.0
"""How long alerts under way are waited for when the process stops or its partitions go to another one."""


class Alerts:
    """The sink. `bursts` are what is gathered and not told yet."""

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
        """Events are counted for every account."""

    def take(self, found: Mapping[Any, list[FetchedRecord]]) -> None:
        """Gather the alerts of records by partition, and tell those whose time has come."""
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

    async def hand_over(self) -> Positions:
        """Tell what is gathered, a few seconds at most: another process reads from now on, from where this stopped."""
        await self.tell_all()
        settled = self.settled()
        self._positions.clear()
        self._passed.clear()
        return settled

    async def stop(self) -> None:
        """What was not told is read again by the next reader."""
        for task in self._telling:
            task.cancel()
        self._teller.stop()

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


def sink(parts: SinkParts) -> Alerts:
    """The sink of the service."""
    channels = Channels(parts.post, parts.clock)

    async def write_told(told: AlertTold) -> None:
        await parts.write("alerts_told", told, told.account, told.event_id, told.at)

    teller = Teller(parts.accounts, channels, write_told, parts.clock)
    mailer = mailer_of(parts.settings, parts.accounts, parts.clock, channels.counts)
    made = Alerts(parts.codec, teller, parts.clock, mailer)
    parts.health.export("alerts", lambda: dict[Labels, float](channels.counts.items()))
    parts.health.gauge("alert_bursts", lambda: len(made.bursts))
    return made
