"""Reading as a member of a consumer group, starting at the committed offsets."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiokafka
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from bus.clients import new_consumer
from bus.reading.single_reader import OneReader
from bus.settings import BusSettings

log = logging.getLogger(__name__)

Placed = Callable[[Any, Iterable[Any]], Awaitable[None]]
"""Positions a consumer in its assigned partitions."""

Revoked = Callable[[Iterable[Any]], Awaitable[None]]
"""Finishes work on partitions that are moving to another process, which waits for it."""


Lost = Callable[[str, int, int | None, int], object]
"""Told of what retention deleted: topic, partition, the committed offset or None, the first offset there is."""


async def go_on_where_committed(
    consumer: Any, assigned: Iterable[Any], *, new_at_end: bool = False, lost: Lost | None = None
) -> None:
    """Position a consumer at its group's committed offsets or, where there are none, at the beginning or end.

    aiokafka arrives at the same positions, but asks the old leader where a partition begins. Nor does it tell if
    retention has deleted what was to be read next: `lost` is told.
    """
    try:
        committed = {tp: await consumer.committed(tp) for tp in assigned}
        new = [tp for tp, offset in committed.items() if offset is None]
        places = await (consumer.end_offsets(new) if new_at_end else consumer.beginning_offsets(new))
        firsts = {} if lost is None else await consumer.beginning_offsets(list(committed))
    except KafkaError as error:
        log.warning("leaving the start positions to aiokafka: %s", type(error).__name__)
        return
    mine = consumer.assignment()
    gone = {}
    for tp, offset in {**committed, **places}.items():
        if tp not in mine:
            continue
        first = firsts.get(tp, 0)
        if lost is not None and first > (committed[tp] or 0):
            lost(tp.topic, tp.partition, committed[tp], first)
            gone[tp] = first
        consumer.seek(tp, max(offset, first))
    with suppress(KafkaError):
        # So that the next assignment does not tell of it again.
        await commit_what_is_mine(consumer, gone)


async def from_now_on(consumer: Any, assigned: Iterable[Any]) -> None:
    """Like `go_on_where_committed`, but without committed offsets, existing records are skipped."""
    await go_on_where_committed(consumer, assigned, new_at_end=True)


async def _nothing_held(revoked: Iterable[Any]) -> None:
    pass


@asynccontextmanager
async def group_consumer(
    settings: BusSettings,
    group: str,
    topics: Iterable[str],
    *,
    placed: Placed = go_on_where_committed,
    revoked: Revoked = _nothing_held,
    alone: bool = False,
    **options: Any,
) -> AsyncIterator[Any]:
    """Read these topics as a member of a group, for the duration of the block. Names are those on the broker.

    `alone`: one member reads everything while the others stand by. `options` are aiokafka's. Nothing is committed
    automatically. Raises aiokafka.errors.KafkaError.
    """
    if alone:
        options["partition_assignment_strategy"] = [OneReader]
    consumer = new_consumer(settings, group_id=group, group_instance_id=settings.instance_id, **options)
    consumer.subscribe(list(topics), listener=_Listener(consumer, placed, revoked))
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def commit_what_is_mine(consumer: Any, offsets: Mapping[Any, int]) -> None:
    """Commit offsets one by one; partitions that have moved to another process are skipped."""
    for tp, offset in offsets.items():
        try:
            await consumer.commit({tp: offset})
        except (CommitFailedError, IllegalStateError):
            log.info("%s[%d] has moved to another process, which may repeat some records", *tp)


class _Listener(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, consumer: Any, placed: Placed, revoked: Revoked) -> None:
        self._consumer = consumer
        self._placed = placed
        self._revoked = revoked

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        await self._revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        await self._placed(self._consumer, assigned)
