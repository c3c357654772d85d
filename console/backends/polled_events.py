"""An endpoint's events, read from Kafka when its receiver polls for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from accounts.model import config_key
from bus.admin import Admin, BrokerUnavailable, Partition
from bus.clock import now_ms
from bus.errors import KafkaError
from bus.layout import Identity
from bus.reading.ranges import READ, Bounds, Range, open_to_end, place_of
from bus.settings import BusSettings
from console.errors import not_available, rate_limited
from console.queries.polled_events import (
    ALERTS,
    Cursor,
    EventPage,
    PolledEvent,
    begin_of,
    may_hold,
    polled,
    topics_of,
)
from operations.replays import EVENTS
from schemas.codec import Codec, CodecError
from schemas.records import EndpointConfig

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Pages read from Kafka at once; more wait."""

SECONDS = 3.0
"""Seconds to search for an endpoint's events among others; then the page is sent as it is."""

TIMEOUT = 10.0
"""Seconds for a page, including its time in the queue."""

CLOCK_MS = 60_000
"""Assumed clock difference: events that an endpoint newly subscribes to begin that much earlier."""

IDENTITIES_SECONDS = 30.0
"""Seconds to remember Kafka's topic ids."""


class PolledEvents(Protocol):
    """The source of events."""

    async def read(self, endpoint: EndpointConfig, cursor: Cursor | None, since: int | None, limit: int) -> EventPage:
        """Return events after the cursor, or else from `since` (ms) on, or else all that are kept. Raises ApiError
        (503)."""


class KafkaEvents:
    """Reads each page with a consumer of its own, without a group."""

    def __init__(self, settings: BusSettings, codec: Codec) -> None:
        self._settings = settings
        self._codec = codec
        self._names = {settings.catalogue[short].name: short for short in (*EVENTS, ALERTS)}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._reading: set[str] = set()
        self._identities: Mapping[str, Identity] = {}
        self._identified_at = float("-inf")

    async def read(self, endpoint: EndpointConfig, cursor: Cursor | None, since: int | None, limit: int) -> EventPage:
        """Return events after the cursor, or else from `since` (ms) on, or else all that are kept. Raises ApiError: 429
        while another page of the endpoint is being read, so that nobody takes every turn; 503."""
        name = config_key(endpoint)
        if name in self._reading:
            raise rate_limited(1)
        self._reading.add(name)
        try:
            async with asyncio.timeout(TIMEOUT), self._turn:
                return await self._read(endpoint, cursor, since, limit)
        except (TimeoutError, KafkaError, BrokerUnavailable) as error:
            log.warning("cannot read events of endpoint %s: %s", name, type(error).__name__)
            raise not_available("Kafka does not answer, or there are too many requests at once. Try again.") from None
        finally:
            self._reading.discard(name)

    async def _read(self, endpoint: EndpointConfig, cursor: Cursor | None, since: int | None, limit: int) -> EventPage:
        now = now_ms()
        topics = await self._topics(topics_of(endpoint))
        places = [
            (self._settings.catalogue[short].name, number)
            for short, identity in topics.items()
            for number in range(identity.partitions)
        ]
        missed = False

        def begins_at(place: Partition, bounds: Bounds) -> int:
            nonlocal missed
            short = self._names[place[0]]
            known = begin_of(cursor, short, topics[short].id, place[1])
            if known is None:
                return bounds.since
            missed |= 0 < known < bounds.begin
            return known

        at = since if cursor is None else cursor.at
        async with open_to_end(self._settings, places, at, begins_at) as source:
            events = await self._events(source, endpoint, limit)
        following = {
            short: (identity.id, tuple(self._positions(source, short, identity))) for short, identity in topics.items()
        }
        after = Cursor(config_key(endpoint), now - CLOCK_MS, following).encode()
        return EventPage(events, after, more=source.left > 0, missed=missed)

    async def _events(self, source: Range, endpoint: EndpointConfig, limit: int) -> list[PolledEvent]:
        found: list[PolledEvent] = []
        loop = asyncio.get_running_loop()
        until = loop.time() + SECONDS
        while len(found) < limit and loop.time() < until:
            records = await source.batch(READ)
            if records is None:
                break
            for record in records:
                source.passed(record)
                event = self._event(record, endpoint)
                if event is not None:
                    found.append(event)
                if len(found) == limit:
                    break
        return found

    def _event(self, record: Any, endpoint: EndpointConfig) -> PolledEvent | None:
        if not may_hold(self._names[record.topic], record.key, endpoint.account):
            return None
        try:
            return polled(self._codec.decode(record.value), endpoint)
        except CodecError:
            return None  # sinks rejects it

    def _positions(self, source: Range, short: str, identity: Identity) -> Sequence[int]:
        topic = self._settings.catalogue[short].name
        return [source.positions[place_of(topic, number)] for number in range(identity.partitions)]

    async def _topics(self, names: Sequence[str]) -> dict[str, Identity]:
        """Return topics' metadata by short name, omitting missing ones."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._identified_at > IDENTITIES_SECONDS:
            self._identities = await asyncio.to_thread(self._identified)
            self._identified_at = loop.time()
        named = {short: self._identities.get(self._settings.catalogue[short].name) for short in names}
        return {short: identity for short, identity in named.items() if identity is not None}

    def _identified(self) -> Mapping[str, Identity]:
        with Admin(self._settings) as admin:
            return admin.identities(self._names)
