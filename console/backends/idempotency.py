"""Idempotency keys: requests that were sent twice are known as one, on every console process, for 24 hours.

A request with an `Idempotency-Key` first writes a claim to `sms.api.requests`, acknowledged, and reads that topic up
to it. The first claim of a key in the topic is the one that counts, so that all processes agree, whoever asked first.
A repeat does the same work again with the time and the event ids of the first: whatever a crash left undone is done,
and what was done already is written once more and changes nothing.
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
"""How long a repeat is known as one."""

PURGE_EVERY = 3_600.0
MAX_KEY = 255


class Accepted(NamedTuple):
    """What a request writes its records with: the same for each repeat. `at` is in milliseconds."""

    at: int
    seed: str

    def event_id(self, index: int) -> str:
        """Event id of the n-th record of the request."""
        return derived_id(self.seed, index)


class Claims(Protocol):
    """Knows requests that were made before."""

    async def claim(self, scope: str, key: str, body: bytes) -> Accepted:
        """Take a request in, or find out that it is a repeat. `scope`: the account and the route.

        Raises ApiError: 422 for a key that came with another body, 503.
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
        """Follow the topic; it need not be read to its end before the first request."""
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
            raise validation_failed(["Idempotency-Key: came with another body before; use a new one"])
        return Accepted(first.accepted_at, f"{first.id}:{first.claim}")

    async def _written(self, request: ApiRequest) -> ApiRequest:
        entry = Entry(request.id.encode(), request, request.claim, request.accepted_at)
        (metadata,) = await self._writer.write("api_requests", [entry])
        try:
            async with asyncio.timeout(self._timeout):
                await self._replica.reach(metadata.partition, metadata.offset)
        except TimeoutError:
            raise not_available(
                "It cannot be told whether this Idempotency-Key was used before. Send the request again."
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
    """Row of a key after one more claim: the first stays for as long as it is valid. What is not a claim is passed
    over."""
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
