"""Topics of one partition each, read to their end and followed from there, without a consumer group."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bus.insisting import bounds_of
from bus.reading.outside import TopicPartition, started_outside
from bus.settings import BusSettings

log = logging.getLogger(__name__)


class Followed:
    """Gives every record of some topics to `take`, with the name of its topic on the broker, in order.

    What `take` raises while they are followed is logged, and the record is given again. `what` names the records in
    that message.
    """

    def __init__(
        self, settings: BusSettings, topics: Iterable[str], take: Callable[[str, Any], None], *, what: str
    ) -> None:
        self._settings = settings
        self._partitions = [TopicPartition(topic, 0) for topic in topics]
        self._take = take
        self._what = what
        self._next: dict[Any, int] = {}
        self._consumer: Any = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read what is there, then follow in the background.

        Raises aiokafka.errors.KafkaError, and what `take` raises.
        """
        self._consumer = await started_outside(self._settings)
        self._consumer.assign(self._partitions)
        self._next, ends = await bounds_of(self._consumer, self._partitions)
        self._go_back()
        while await self._is_before(ends):
            self._give(await self._consumer.getmany(timeout_ms=200))
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
        if self._consumer is not None:
            await self._consumer.stop()

    async def _is_before(self, ends: Mapping[Any, int]) -> bool:
        return any([await self._consumer.position(tp) < ends[tp] for tp in self._partitions])

    async def _follow(self) -> None:
        while True:
            try:
                self._give(await self._consumer.getmany(timeout_ms=1_000))
            except Exception as error:
                log.warning("%s are not followed at the moment: %s: %s", self._what, type(error).__name__, error)
                await asyncio.sleep(1)
                # The client stands behind what it gave out, and the error may have kept that from us.
                self._go_back()

    def _go_back(self) -> None:
        for tp, offset in self._next.items():
            self._consumer.seek(tp, offset)

    def _give(self, batches: Mapping[Any, list[Any]]) -> None:
        for tp, records in batches.items():
            for record in records:
                self._take(tp.topic, record)
                self._next[tp] = record.offset + 1
