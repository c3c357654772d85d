"""Counts callbacks by provider and account, off the request path, and writes the counts to a topic every few seconds.

People use them when they set a provider up: has it called, and why was it refused?
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from bus.clock import now_ms
from bus.producer import KafkaError, Producer
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.ids import random_id
from schemas.records import CallbacksSeen
from schemas.topics import Topic

log = logging.getLogger(__name__)

EVERY = 10.0
"""Seconds between writes."""

LAST_WRITE = 3.0
"""Seconds allowed for the last write at shutdown."""

Key = tuple[str, str]
"""Account and provider. Both are known, so settings and files bound the number of keys."""


@dataclass(slots=True)
class _Seen:
    taken: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    last_taken_at: int | None = None
    last_refused_at: int | None = None
    last_refusal: str | None = None


class SeenCallbacks:
    """This process's counts since it started, by account and provider. `now` returns ms."""

    def __init__(self, now: Callable[[], int] = now_ms) -> None:
        self.instance = random_id("ing_")
        self._now = now
        self._seen: dict[Key, _Seen] = {}
        self._changed: set[Key] = set()

    def taken(self, account: str, provider: str) -> None:
        """Count a stored callback."""
        seen = self._of(account, provider)
        seen.taken += 1
        seen.last_taken_at = self._now()

    def refused(self, account: str, provider: str, cause: str) -> None:
        """Count a refused callback; `cause` is one of ingest's error codes."""
        seen = self._of(account, provider)
        seen.refused[cause] += 1
        seen.last_refused_at, seen.last_refusal = self._now(), cause

    def changes(self) -> Iterator[tuple[Key, CallbacksSeen]]:
        """Return records of what changed since the last call."""
        changed, self._changed = self._changed, set()
        for key in sorted(changed):
            account, provider = key
            seen = self._seen[key]
            yield (
                key,
                CallbacksSeen(
                    account=account,
                    provider=provider,
                    instance=self.instance,
                    taken=seen.taken,
                    refused=dict(seen.refused),
                    last_taken_at=seen.last_taken_at,
                    last_refused_at=seen.last_refused_at,
                    last_refusal=seen.last_refusal,
                    updated_at=self._now(),
                ),
            )

    def put_back(self, keys: Iterable[Key]) -> None:
        """Return records to the queue after a failed write; the next call of `changes` includes them."""
        self._changed.update(keys)

    def _of(self, account: str, provider: str) -> _Seen:
        self._changed.add((account, provider))
        return self._seen.setdefault((account, provider), _Seen())


class SeenWriter:
    """Writes the counts to their topic while the service runs, and once more at shutdown."""

    def __init__(self, seen: SeenCallbacks, producer: Producer, codec: Codec, topic: Topic) -> None:
        self._seen = seen
        self._producer = producer
        self._codec = codec
        self._topic = topic
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start writing."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what is left, within a short time limit."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(LAST_WRITE):
                await self.write()
        except TimeoutError:
            log.warning("the last callback counts were not written in time")

    async def write(self) -> None:
        """Write what changed. What Kafka does not take is retried next time."""
        sent: list[asyncio.Future[object]] = []
        changes = list(self._seen.changes())
        try:
            for _, record in changes:
                name = f"{record.account}/{record.provider}/{record.instance}".encode()
                value, headers = self._codec.encode(record), event_headers(record, random_id(), record.updated_at)
                sent.append(await self._producer.send(self._topic.name, value, key=name, headers=headers))
            await asyncio.gather(*sent)
        except (KafkaError, asyncio.CancelledError) as error:
            self._seen.put_back([key for key, _ in changes])
            for future in sent:
                future.add_done_callback(lambda done: done.cancelled() or done.exception())
            if isinstance(error, asyncio.CancelledError):
                raise
            log.warning("callback counts were not written: %s", type(error).__name__)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.write()
            except Exception:
                log.exception("callback counts were not written")
