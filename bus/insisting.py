"""Retries requests to Kafka until they succeed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

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
