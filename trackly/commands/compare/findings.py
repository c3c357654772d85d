"""The findings of a comparison: counted, and written to a topic for inspection."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from msgspec.structs import asdict

from bus.clock import now_ms
from bus.producer import Producer
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.records import ComparedItem, Record
from trackly.commands.compare.comparison import Compared, Tally

UNDER_WAY = 2_000
"""Maximum records sent before their acknowledgments are awaited."""


class Findings:
    """Takes the comparisons of one run: counts them and, with a producer, writes them.

    `everything`: unchanged items are written too. `written` is the number written.
    """

    def __init__(
        self, run: str, tally: Tally, codec: Codec, topic: str, producer: Producer | None, everything: bool
    ) -> None:
        self.written = 0
        self._tally = tally
        self._run = run
        self._codec = codec
        self._topic = topic
        self._producer = producer
        self._everything = everything
        self._sent: list[asyncio.Future[Any]] = []

    async def add(self, compared: Compared) -> None:
        """Count one item, and write it if requested. Raises KafkaError."""
        self._tally.add(compared)
        if self._producer is None or (compared.verdict == "same" and not self._everything):
            return
        item = compared_item(self._run, compared, now_ms())
        value, headers = self._codec.encode(item), event_headers(item, item.event_id, item.compared_at)
        self._sent.append(await self._producer.send(self._topic, value, key=item.event_id.encode(), headers=headers))
        self.written += 1
        if len(self._sent) >= UNDER_WAY:
            await self.flush()

    async def flush(self) -> None:
        """Return once everything is acknowledged. Raises KafkaError."""
        sent, self._sent = self._sent, []
        await asyncio.gather(*sent)


def compared_item(run: str, compared: Compared, now: int) -> ComparedItem:
    """Return the record of a comparison."""
    known = compared.after or compared.before
    return ComparedItem(
        run=run,
        event_id=compared.event_id,
        account=getattr(known, "account", None),
        provider=getattr(known, "provider", None) or getattr(known, "network", None),
        verdict=compared.verdict,
        then=compared.kind.then,
        now=compared.kind.now,
        fields=compared.kind.fields,
        before=_as_json(compared.before),
        after=_as_json(compared.after),
        compared_at=now,
    )


def _as_json(record: Record | None) -> str | None:
    if record is None:
        return None
    values = {name.rstrip("_"): value for name, value in asdict(record).items()}
    return orjson.dumps(values, default=_plain).decode()


def _plain(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else dict(value)
