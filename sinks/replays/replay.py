"""One replay: sends webhooks again on command, from events on Kafka or from dead letters.

It writes tasks to the topic of due webhooks, at a pace that leaves room for new events, and records its progress next
to the command once the tasks are acknowledged. So a killed process repeats at most CHUNK webhooks, with the same ids,
and whoever carries the command out next continues (`sinks.replays.runner`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from msgspec.structs import replace

from accounts.model import Accounts
from bus.admin import BrokerUnavailable
from bus.clock import Clock
from bus.errors import KafkaError
from bus.producer import Producer
from bus.reading.ranges import FAR_AHEAD_MS, READ, Range, offsets_between, open_range, place_of
from bus.settings import BusSettings
from schemas.cloudevents import event_headers
from schemas.codec import Codec, CodecError
from schemas.records import EndpointConfig, Record, ReplayCommand, ReplayProgress, WebhookTask
from sinks.replays.selection import Selection, topics_of
from sinks.settings import SinksSettings
from sinks.webhooks.attempt_log import attempts_in
from sinks.webhooks.retry import TaskHeaders

log = logging.getLogger(__name__)

CHUNK = 50
"""Maximum webhooks between two records of progress."""

TURN = 50
"""Records after which other tasks get a turn."""

NOTE_SECONDS = 5.0
"""Seconds between records of progress while nothing matches."""

LOOK_SECONDS = 1.0
"""Seconds between checks of a paused endpoint."""

AGAIN_SECONDS = 5.0
"""Seconds after which a replay interrupted by Kafka continues."""

MOST_REMEMBERED = 500_000
"""Ids of dead webhooks remembered as sent, about 60 MB."""

MOST_FAILED = 500_000
"""Ids of failed webhooks kept in memory, about 60 MB."""


class ReplayFailed(Exception):
    """A replay cannot be carried out. The text says why."""


def progress_key(replay_id: str) -> bytes:
    """Return the key of a replay's progress; its command's key is the id."""
    return f"{replay_id}/progress".encode()


async def selected(
    settings: BusSettings, codec: Codec, source: Range, selection: Selection
) -> AsyncIterator[tuple[Any, WebhookTask | None]]:
    """Yield every record of a range, with its webhook if that is wanted. Raises aiokafka.errors.KafkaError.

    A webhook given up several times, after replays, is sent once.
    """
    dead: set[str] = set()
    while (records := await source.batch(READ)) is not None:
        for number, record in enumerate(records):
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)
            topic = settings.catalogue.named(record.topic)
            task = None
            if topic is not None and selection.may_hold(topic.id, record.key):
                try:
                    task = selection.task_of(codec.decode(record.value))
                except CodecError:
                    pass  # an unreadable record was never a webhook
            if task is not None and topic is not None and topic.id == "webhooks_dead":
                if task.event_id in dead:
                    task = None
                elif len(dead) < MOST_REMEMBERED:
                    dead.add(task.event_id)
            yield record, task


async def failed_ids(settings: BusSettings, codec: Codec, endpoint: str, from_ms: int) -> frozenset[str]:
    """Return the ids of events that an endpoint has never accepted since a time, by the log of attempts.

    Raises ReplayFailed if there are too many, aiokafka.errors.KafkaError.
    """
    taken: set[str] = set()
    failed: set[str] = set()
    positions, ends = await offsets_between(settings, ("webhooks_attempts",), from_ms, FAR_AHEAD_MS)
    async with open_range(settings, positions, ends) as source:
        async for attempt in attempts_in(source, codec, endpoint):
            (taken if attempt.error_class is None else failed).add(attempt.event_id)
            if len(failed) > MOST_FAILED:
                raise ReplayFailed(f"more than {MOST_FAILED:,} failed in that time; choose a shorter one")
    return frozenset(failed - taken)


class Replay:
    """One command in progress."""

    def __init__(
        self,
        command: ReplayCommand,
        progress: ReplayProgress | None,
        settings: SinksSettings,
        accounts: Accounts,
        *,
        codec: Codec,
        producer: Producer,
        clock: Clock,
    ) -> None:
        self.command = command
        self.progress = progress or ReplayProgress(
            replay_id=command.replay_id, state="running", positions={}, ends={}, sent=0, updated_at=0
        )
        self._settings = settings
        self._accounts = accounts
        self._codec = codec
        self._producer = producer
        self._clock = clock
        self._noted_at = float("-inf")

    async def run(self) -> None:
        """Carry it out from its current position to the end."""
        while True:
            try:
                await self._send_all()
                await self.note("done")
                return
            except ReplayFailed as error:
                await self.note("failed", error=str(error))
                return
            except (KafkaError, BrokerUnavailable) as error:
                log.warning("replay %s is waiting: %s", self.command.replay_id, type(error).__name__)
                await self._clock.sleep(AGAIN_SECONDS)
            except Exception as error:
                log.exception("replay %s failed", self.command.replay_id)
                await self.note("failed", error=f"{type(error).__name__}: {error}"[:500])
                return

    async def note(self, state: str, **changes: Any) -> None:
        """Record the progress, acknowledged."""
        self.progress = replace(self.progress, state=state, updated_at=self._clock.now_ms(), **changes)
        self._noted_at = self._clock.monotonic()
        await (await self._send("webhooks_replays", self.progress, progress_key(self.command.replay_id), []))

    async def _send_all(self) -> None:
        endpoint = self._endpoint()
        if not self.progress.ends:
            positions, ends = await offsets_between(
                self._settings, topics_of(self.command, endpoint), self.command.from_at, self.command.to_at
            )
            await self.note("running", positions=positions, ends=ends)
        failed = None
        if self.command.outcome == "failed":
            failed = await failed_ids(self._settings, self._codec, self.command.endpoint, self.command.from_at)
        selection = Selection(self.command, endpoint, failed)
        rate = self._rate(endpoint)
        chunk = max(1, min(CHUNK, int(rate / 4)))
        sent: list[Awaitable[Any]] = []
        await self._while_paused()
        async with open_range(self._settings, self.progress.positions, self.progress.ends) as source:
            async for record, task in selected(self._settings, self._codec, source, selection):
                if task is not None:
                    sent.append(await self._release(record, task))
                source.passed(record)
                if len(sent) >= chunk or self._clock.monotonic() - self._noted_at >= NOTE_SECONDS:
                    await self._acknowledge(source, sent)
                    await self._clock.sleep(len(sent) / rate)
                    sent.clear()
                    await self._while_paused()
            await self._acknowledge(source, sent)

    async def _acknowledge(self, source: Range, sent: list[Awaitable[Any]]) -> None:
        await asyncio.gather(*sent)
        await self.note("running", positions=dict(source.positions), sent=self.progress.sent + len(sent))

    async def _while_paused(self) -> None:
        """Wait until the endpoint accepts webhooks. Raises ReplayFailed if it is deleted."""
        while not self._endpoint().enabled:
            if self.progress.state != "waiting":
                await self.note("waiting")
            await self._clock.sleep(LOOK_SECONDS)

    async def _release(self, record: Any, task: WebhookTask) -> asyncio.Future[Any]:
        origin = f"{place_of(record.topic, record.partition)}/{record.offset}"
        headers = TaskHeaders(origin=origin, replayed=True).encode()
        return await self._send("webhooks_due", task, task.endpoint.encode(), headers)

    async def _send(
        self, topic: str, record: Record, key: bytes, headers: list[tuple[str, bytes]]
    ) -> asyncio.Future[Any]:
        event_id = record.event_id if isinstance(record, WebhookTask) else self.command.replay_id
        return await self._producer.send(
            self._settings.catalogue[topic].name,
            self._codec.encode(record),
            key=key,
            headers=event_headers(record, event_id, self._clock.now_ms()) + headers,
        )

    def _endpoint(self) -> EndpointConfig:
        endpoint = self._accounts.endpoints.get(self.command.endpoint)
        if endpoint is None:
            raise ReplayFailed("the endpoint does not exist")
        return endpoint

    def _rate(self, endpoint: EndpointConfig) -> float:
        wanted = self.command.rate or self._settings.replay_rate
        return wanted if endpoint.rate_limit is None else min(wanted, endpoint.rate_limit / 2)
