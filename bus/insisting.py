"""Retries requests to Kafka until they succeed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from bus.errors import KafkaError, may_pass

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSE = 0.5
"""Seconds between attempts."""


async def insist(what: str, ask: Callable[[], Awaitable[T]]) -> T:
    """Retry until there is an answer: while brokers come and go, nothing that depends on it can be done.

    `what` is for the log. Raises errors that a retry cannot fix.
    """
    while True:
        try:
            return await ask()
        except KafkaError as error:
            if not may_pass(error):
                raise
            log.warning("%s: Kafka does not answer (%s); retrying", what, type(error).__name__)
            await asyncio.sleep(PAUSE)


async def bounds_of(consumer: Any, partitions: Iterable[Any]) -> tuple[dict[Any, int], dict[Any, int]]:
    """Return the first offsets that the logs of partitions still have, and the offsets after the last ones."""
    tps = list(partitions)
    begins = await insist("the beginnings of topics", lambda: consumer.beginning_offsets(tps))
    ends = await insist("the ends of topics", lambda: consumer.end_offsets(tps))
    return begins, ends
