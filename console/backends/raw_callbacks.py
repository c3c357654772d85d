"""Reads one raw callback from Kafka on demand. The database only stores its position."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from bus.errors import KafkaError
from bus.reading.outside import TopicPartition, value_at
from bus.settings import BusSettings
from console.errors import ApiError, not_available, not_found
from console.queries.rows import At
from providers.bodies import MARK, codec_of
from schemas.codec import Codec, CodecError
from schemas.records import RawCallback

AT_ONCE = 4
"""Callbacks read from Kafka at once; more wait."""

TIMEOUT = 5.0
"""Seconds for one, including its time in the queue."""

SHOWN_BYTES = 64 << 10
"""Bytes of a body that are shown."""

FETCH_BYTES = 64 << 10
"""The broker sends at least one whole batch of records, and no second one."""

_REPLACED = "\ufffd"
"""What stands for bytes that are none of a charset."""


class RawCallbacks(Protocol):
    """The source of raw callbacks."""

    async def read(self, topic: str, partition: int, offset: int) -> RawCallback | None:
        """Return the callback at a position, or None if it does not exist or is gone. Raises ApiError (503)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCallback:
    """A raw callback for display. `body` is text, or hex if `encoding` says so, cut at 64 KiB of `size` bytes."""

    provider: str
    method: str
    path: str
    query: str
    headers: dict[str, str] = field(repr=False)
    content_type: str | None
    body: str = field(repr=False)
    encoding: str
    size: int
    remote_ip: str
    received_at: At


class KafkaRawCallbacks:
    """Reads single records of `sms.raw`, each with a consumer of its own, without a group."""

    def __init__(self, settings: BusSettings, codec: Codec) -> None:
        self._settings = settings
        self._codec = codec
        self._topic = settings.catalogue["raw"].name
        self._partitions = settings.catalogue["raw"].partitions
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def read(self, topic: str, partition: int, offset: int) -> RawCallback | None:
        """Return the callback at a position, or None. Raises ApiError (503)."""
        if topic != self._topic:
            return None
        try:
            async with asyncio.timeout(TIMEOUT), self._turn:
                value = await self._value(partition, offset)
            return None if value is None else self._codec.decode_as(RawCallback, value)
        except CodecError:
            return None
        except (TimeoutError, KafkaError):
            raise not_available("Kafka does not answer. Try again.") from None

    async def _value(self, partition: int, offset: int) -> bytes | None:
        if partition >= self._partitions:
            return None
        place = TopicPartition(self._topic, partition)
        return await value_at(self._settings, place, offset, max_partition_fetch_bytes=FETCH_BYTES)


async def shown_callback(raw: RawCallbacks, account: str, topic: str, partition: int, offset: int) -> ShownCallback:
    """Return an account's callback. Raises ApiError: 404 if it is gone or belongs to another account, 503."""
    callback = await raw.read(topic, partition, offset) if 0 <= offset < 2**63 and 0 <= partition < 2**31 else None
    if callback is None or callback.account != account:
        raise no_longer()
    body, encoding = as_text(callback.body, callback.content_type)
    return ShownCallback(
        provider=callback.provider,
        method=callback.method,
        path=callback.path,
        query=callback.query,
        headers=dict(callback.headers),
        content_type=callback.content_type,
        body=body,
        encoding=encoding,
        size=len(callback.body),
        remote_ip=callback.remote_ip,
        received_at=callback.received_at,
    )


def no_longer() -> ApiError:
    """Return the error for a position without a callback that this account may see."""
    return not_found("Kafka has no callback of this account at this position, or has deleted it (after 7 days).")


def as_text(body: bytes, content_type: str | None = None) -> tuple[str, str]:
    """Return the beginning of a body as text, and its encoding, by byte order mark or content type, or else `utf-8`;
    `hex` if it is not text."""
    head = body[:SHOWN_BYTES]
    codec = codec_of(head, content_type) or "utf-8"
    if codec != "utf-8":
        text = head.decode(codec, "replace").removeprefix(MARK).rstrip(_REPLACED)
        return (text, codec) if _REPLACED not in text and _is_shown(text) else (head.hex(), "hex")
    head = head.removeprefix(MARK.encode())
    # A character cut in two is dropped.
    for end in range(len(head), max(len(head) - 4, -1), -1):
        try:
            text = head[:end].decode()
        except UnicodeDecodeError:
            if len(body) <= SHOWN_BYTES:
                break
            continue
        if _is_shown(text):
            return text, "utf-8"
        break
    return head.hex(), "hex"


def _is_shown(text: str) -> bool:
    return all(character.isprintable() or character in "\t\r\n" for character in text)
