"""Reading as a member of a consumer group, from where the group has committed."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiokafka
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from bus.clients import new_consumer
from bus.reading.single_reader import OneReader
from bus.settings import BusSettings

log = logging.getLogger(__name__)

Placed = Callable[[Any, Iterable[Any]], Awaitable[None]]
"""Places a consumer in the partitions that it was given."""

Revoked = Callable[[Iterable[Any]], Awaitable[None]]
"""Finishes what is under way of partitions that go to another process, which waits for it."""


async def go_on_where_committed(consumer: Any, assigned: Iterable[Any], *, new_at_end: bool = False) -> None:
    """Place a consumer that was given partitions: where its group has committed, else where they begin, or end.

    aiokafka comes to the same places, but looks for a beginning where the leader was.
    """
    try:
        committed = {tp: await consumer.committed(tp) for tp in assigned}
        new = [tp for tp, offset in committed.items() if offset is None]
        places = await (consumer.end_offsets(new) if new_at_end else consumer.beginning_offsets(new))
    except KafkaError as error:
        log.warning("partitions are read from where aiokafka finds: %s", type(error).__name__)
        return
    mine = consumer.assignment()
    for tp, offset in {**committed, **places}.items():
        if tp in mine:
            consumer.seek(tp, offset)


async def from_now_on(consumer: Any, assigned: Iterable[Any]) -> None:
    """As `go_on_where_committed`, but where nothing is committed, what is there already is left out."""
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
    """A member of a group that reads these topics, for as long as the block lasts. Names are those on the broker.

    `alone`: one member of the group reads everything, the others stand by. `options` are aiokafka's. It commits what
    it is told to. Raises aiokafka.errors.KafkaError.
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
    """Commit offsets one by one; those of partitions that another process has by now are its own."""
    for tp, offset in offsets.items():
        try:
            await consumer.commit({tp: offset})
        except (CommitFailedError, IllegalStateError):
            log.info("%s[%d] was given to another process; it may do some of it again", *tp)


class _Listener(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, consumer: Any, placed: Placed, revoked: Revoked) -> None:
        self._consumer = consumer
        self._placed = placed
        self._revoked = revoked

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        await self._revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        await self._placed(self._consumer, assigned)
