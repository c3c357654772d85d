"""Idempotency keys: a repeated request is recognized by every console process for 24 hours.

A request with an `Idempotency-Key` first writes a claim to `sms.api.requests`, acknowledged, and reads that topic up to
it. The first claim of a key in the topic counts, so all processes agree. A repeat does the same work again, with the
first request's time and event ids: work lost in a crash gets done, and work already done is written again without
effect.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, NamedTuple, Protocol

from bus.clock import now_ms
from bus.layout import TopicMadeAnew
from bus.reading.replica import Replica
from console.backends.kafka_writer import Entry, Writer
from console.errors import not_available, validation_failed
from schemas.codec import Codec, CodecError
from schemas.ids import derived_id, random_id
from schemas.records import ApiRequest

VALID_MS = 24 * 3_600_000
"""Milliseconds for which a repeat is recognized."""

PURGE_EVERY = 3_600.0
MAX_KEY = 255


class Accepted(NamedTuple):
    """Time and ids for a request's records, the same for each repeat. `at` is in milliseconds."""

    at: int
    seed: str

    def event_id(self, index: int) -> str:
        """Return the event id of the request's n-th record."""
        return derived_id(self.seed, index)


class Claims(Protocol):
    """Recognizes repeated requests."""

    async def claim(self, scope: str, key: str, body: bytes) -> Accepted:
        """Accept a request, or find that it is a repeat. `scope`: the account and the route.

        Raises ApiError: 422 for a key used with another body, 503.
        """


class KafkaClaims:
    """Claims by a copy of `sms.api.requests`."""

    def __init__(self, replica: Replica, codec: Codec, writer: Writer, timeout: float) -> None:
        self._replica = replica
        self._codec = codec
        self._writer = writer
        self._timeout = timeout
        self._purging: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Follow the topic; the first request need not wait for its end."""
        try:
            await self._replica.start()
        except TopicMadeAnew:
            self._replica.wipe()
            await self._replica.start()
        self._purging = asyncio.create_task(self._purge())

    async def stop(self) -> None:
        """Stop following."""
        if self._purging is not None:
            self._purging.cancel()
        await self._replica.stop()

    async def claim(self, scope: str, key: str, body: bytes) -> Accepted:
        """See `Claims`."""
        if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
            raise validation_failed([f"Idempotency-Key: must be 1 to {MAX_KEY} printable ASCII characters"])
        request = ApiRequest(
            id=derived_id("request", scope, key),
            claim=random_id(),
            digest=hashlib.sha256(body).hexdigest(),
            accepted_at=now_ms(),
        )
        first = self._first(request) or await self._written(request)
        if first.digest != request.digest:
            raise validation_failed(["Idempotency-Key: was used with another body; use a new one"])
        return Accepted(first.accepted_at, f"{first.id}:{first.claim}")

    async def _written(self, request: ApiRequest) -> ApiRequest:
        entry = Entry(request.id.encode(), request, request.claim, request.accepted_at)
        (metadata,) = await self._writer.write("api_requests", [entry])
        try:
            async with asyncio.timeout(self._timeout):
                await self._replica.reach(metadata.partition, metadata.offset)
        except TimeoutError:
            raise not_available(
                "The console cannot tell whether this Idempotency-Key was used before. Send the request again."
            ) from None
        return self._first(request) or request

    def _first(self, request: ApiRequest) -> ApiRequest | None:
        value = self._replica.get(request.id.encode())
        first = None if value is None else self._codec.decode_as(ApiRequest, value)
        return first if first is not None and is_valid(first, request.accepted_at) else None

    async def _purge(self) -> None:
        while True:
            await asyncio.sleep(PURGE_EVERY)
            await self._replica.purge(lambda row: not is_valid(self._codec.decode_as(ApiRequest, row), now_ms()))


def first_counts(codec: Codec, row: bytes | None, record: Any) -> bytes | None:
    """Return a key's row after another claim: the first one stays while it is valid. Anything but a claim is
    skipped."""
    try:
        claim = codec.decode_as(ApiRequest, record.value)
    except CodecError:
        return row
    if row is not None and is_valid(codec.decode_as(ApiRequest, row), claim.accepted_at):
        return row
    value: bytes = record.value
    return value


def is_valid(claim: ApiRequest, at: int) -> bool:
    """Whether a request at this time (milliseconds) is a repeat of the claim."""
    return at < claim.accepted_at + VALID_MS
