"""Replays: sends webhooks again on command, from events on Kafka or from dead letters.

A command is a record on `webhooks_replays`. The sinks process that owns the topic's only partition carries it out: it
writes tasks to the topic of due webhooks, at a pace that leaves room for new events, and records its progress next to
the command once the tasks are acknowledged. So a killed process repeats at most CHUNK webhooks, with the same ids, and
the topic's next owner continues.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from msgspec.structs import replace

from accounts.model import Accounts
from bus.admin import BrokerUnavailable
from bus.clock import Clock
from bus.errors import KafkaError
from bus.insisting import bounds_of
from bus.producer import Producer
from bus.reading.group import group_consumer
from bus.reading.ranges import FAR_AHEAD_MS, READ, Range, offsets_between, open_range, place_of
from bus.settings import BusSettings
from operations.replays import ENDED
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


class Replays:
    """Carries out commands while this process owns their topic. `crash` is called when it cannot continue."""

    def __init__(
        self,
        settings: SinksSettings,
        accounts: Accounts,
        *,
        codec: Codec,
        producer: Producer,
        clock: Clock,
        crash: Callable[[BaseException], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._accounts = accounts
        self._codec = codec
        self._producer = producer
        self._clock = clock
        self._crash = crash
        self._commands: dict[str, ReplayCommand] = {}
        self._progress: dict[str, ReplayProgress] = {}
        self._running: dict[str, tuple[Replay, asyncio.Task[None]]] = {}
        self._ends: dict[Any, int] = {}
        self._consumer: Any = None
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> int:
        """Number of replays in progress in this process."""
        return sum(not task.done() for _, task in self._running.values())

    async def start(self) -> None:
        """Start."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop; the next owner continues from the last recorded progress."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def let_go(self, revoked: Iterable[Any]) -> None:
        """Abandon all replays; the next owner continues from the last recorded progress."""
        running, self._running = self._running, {}
        for _, task in running.values():
            task.cancel()
        await asyncio.gather(*(task for _, task in running.values()), return_exceptions=True)
        self._commands.clear()
        self._progress.clear()
        self._ends.clear()

    async def _read_all(self, consumer: Any, assigned: Iterable[Any]) -> None:
        """Read all commands from the beginning of their topic."""
        tps = list(assigned)
        if tps:
            begins, self._ends = await bounds_of(consumer, tps)
            for tp, begin in begins.items():
                consumer.seek(tp, begin)

    async def _run(self) -> None:
        settings = self._settings
        try:
            async with group_consumer(
                settings,
                settings.group("replays"),
                [settings.catalogue["webhooks_replays"].name],
                placed=self._read_all,
                revoked=self.let_go,
                session_timeout_ms=10_000,
                heartbeat_interval_ms=3_000,
            ) as self._consumer:
                try:
                    while True:
                        for records in (await self._consumer.getmany(timeout_ms=1_000)).values():
                            for record in records:
                                self._apply(record)
                        await self._carry_out()
                finally:
                    await self.let_go(())
        except Exception as error:
            log.critical("replays stop: %s: %s", type(error).__name__, error)
            await self._crash(error)

    def _apply(self, record: Any) -> None:
        try:
            found = self._codec.decode(record.value)
        except CodecError as error:
            log.error("cannot read a replay record: %s", error)
            return
        if isinstance(found, ReplayCommand):
            self._commands[found.replay_id] = found
        elif isinstance(found, ReplayProgress):
            known = self._progress.get(found.replay_id)
            # A process that was frozen may say "running" after its successor has said "done".
            if known is None or known.state not in ENDED:
                self._progress[found.replay_id] = found

    async def _carry_out(self) -> None:
        for tp, end in self._ends.items():
            if await self._consumer.position(tp) < end:
                return
        for replay_id, command in self._commands.items():
            known = self._progress.get(replay_id)
            running = self._running.get(replay_id)
            if known is not None and known.state in ENDED:
                self._running.pop(replay_id, None)
            elif command.stopped_at is not None:
                await self._stop(replay_id, command)
            elif running is None or _broke_off(*running):
                replay = self._replay(command)
                self._running[replay_id] = (replay, asyncio.create_task(replay.run()))

    async def _stop(self, replay_id: str, command: ReplayCommand) -> None:
        replay, task = self._running.pop(replay_id, (None, None))
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await (replay or self._replay(command)).note("stopped")

    def _replay(self, command: ReplayCommand) -> Replay:
        return Replay(
            command,
            self._progress.get(command.replay_id),
            self._settings,
            self._accounts,
            codec=self._codec,
            producer=self._producer,
            clock=self._clock,
        )


def _broke_off(replay: Replay, task: asyncio.Task[None]) -> bool:
    """Whether a replay ended without recording it, because Kafka did not accept the record."""
    if not task.done() or replay.progress.state in ENDED:
        return False
    log.warning("replay %s restarts from its last recorded progress: %r", replay.command.replay_id, task.exception())
    return True
