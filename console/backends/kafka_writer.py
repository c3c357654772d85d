"""Writes a request's records, and waits until all in-sync replicas acknowledge them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from bus.logs import repetitive_logger
from bus.producer import KafkaError, Producer
from console.errors import not_available
from schemas.cloudevents import Headers, event_headers
from schemas.codec import Codec
from schemas.records import Record
from schemas.topics import Catalogue

log = repetitive_logger(__name__)


class Entry(NamedTuple):
    """A record with its key and event id; `at` is in milliseconds. None deletes the key."""

    key: bytes | None
    record: Record | None
    event_id: str
    at: int


class Writer(Protocol):
    """Where routes put their records."""

    async def write(self, topic: str, entries: Sequence[Entry]) -> list[Any]:
        """Write durably. `topic` is the catalogue's short name. Raises ApiError (503)."""


class KafkaWriter:
    """Appends to Kafka. Returns the metadata (partition, offset) of each record."""

    def __init__(self, producer: Producer, codec: Codec, catalogue: Catalogue, timeout: float) -> None:
        self._producer = producer
        self._codec = codec
        self._catalogue = catalogue
        self._timeout = timeout

    async def write(self, topic: str, entries: Sequence[Entry]) -> list[Any]:
        """Write durably. Raises ApiError (503); some records may be stored then, or later."""
        name = self._catalogue[topic].name
        encoded = [(entry, *self._encoded(entry)) for entry in entries]
        sent: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(self._timeout):
                for entry, value, headers in encoded:
                    sent.append(await self._producer.send(name, value, key=entry.key, headers=headers))
                return await asyncio.shield(asyncio.gather(*sent))
        except (TimeoutError, KafkaError) as error:
            log.warning("%d records for %s were not acknowledged: %s", len(entries), name, type(error).__name__)
            raise not_available(
                "Kafka did not acknowledge the request in time. Send it again with the same Idempotency-Key: whatever "
                "is already stored is not done twice."
            ) from error
        finally:
            for future in sent:
                # Retrieve the error of a record whose request has been answered, or asyncio reports it as never
                # retrieved.
                future.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _encoded(self, entry: Entry) -> tuple[bytes | None, Headers | None]:
        if entry.record is None:
            return None, None
        return self._codec.encode(entry.record), event_headers(entry.record, entry.event_id, entry.at)
