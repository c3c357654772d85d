"""Questions to Kafka that are asked until it answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bus.errors import KafkaError, may_pass

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSE = 0.5
"""Seconds between two tries."""


async def insist(what: str, ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer: while brokers come and go, nothing else can be done that needs it.

    `what` is for the log. Errors that asking again does not mend are raised.
    """
    while True:
        try:
            return await ask()
        except KafkaError as error:
            if not may_pass(error):
                raise
            log.warning("%s: Kafka does not answer (%s); asking again", what, type(error).__name__)
            await asyncio.sleep(PAUSE)
