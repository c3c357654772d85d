"""Carries out replay commands in the one sinks process that owns their topic.

A command is a record on `webhooks_replays`, which has one partition. Its owner reads all commands and their progress,
and runs those that have not ended; the next owner continues them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from accounts.model import Accounts
from bus.clock import Clock
from bus.insisting import bounds_of
from bus.producer import Producer
from bus.reading.group import group_consumer
from operations.replays import ENDED
from schemas.codec import Codec, CodecError
from schemas.records import ReplayCommand, ReplayProgress
from sinks.replays.replay import Replay
from sinks.settings import SinksSettings

log = logging.getLogger(__name__)


class ReplayRunner:
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
