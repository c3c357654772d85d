"""The environment and results of cases of the cluster bench."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.brokers import COUNT, ThreeBrokers
from bench.cluster.watched import TWILIO, Twilio, Watched
from bench.faults.house import House, running
from bench.faults.ledger import Books

SERVICES = ("ingest", "streams-1", "streams-2", "sinks-1", "sinks-2")

IN_SYNC = 300.0
"""Seconds within which the brokers must be in sync, on a busy machine."""

CALM = 5.0
"""Seconds of traffic before and after each case's action."""


@dataclass(frozen=True)
class Result:
    """The result of a case, in seconds. `since_back`: from the moment when the brokers accepted records again until
    callbacks were stored and webhooks delivered.
    """

    case: str
    seconds: float
    stored_still: float
    delivered_still: float
    since_back: float | None
    twilio: Counter[int]
    twilio_slowest: float
    answers: Counter[int]
    crashes: Counter[str]
    books: Books
    bound: float | None
    remark: str = ""
    trouble: str = ""

    @property
    def ok(self) -> bool:
        """Whether the books balance, nothing ended unexpectedly, and no standstill was too long."""
        return self.books.ok and not self.trouble and not self.crashes and not self.is_late

    @property
    def is_late(self) -> bool:
        """Whether the standstill was too long, counted from the brokers' return if all were down."""
        stood = max(self.stored_still, self.delivered_still) if self.since_back is None else self.since_back
        return self.bound is not None and stood > self.bound

    def figures(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "case": self.case,
            "seconds": round(self.seconds, 1),
            "stored_still_s": round(self.stored_still, 1),
            "delivered_still_s": round(self.delivered_still, 1),
            "since_back_s": None if self.since_back is None else round(self.since_back, 1),
            "bound_s": self.bound,
            "stored": self.books.stored,
            "repeated": self.books.webhooks_repeated,
            "twilio_503": self.twilio[503],
            "twilio_unanswered": self.twilio[0],
            "twilio_slowest_s": round(self.twilio_slowest, 1),
            "infobip_503": self.answers[503],
            "crashes": dict(self.crashes),
            "books": self.books.wrong,
            "remark": self.remark,
            "trouble": self.trouble,
            "ok": self.ok,
        }


@dataclass
class Stage:
    """Three brokers, the pipeline on them under traffic, and its observers."""

    brokers: ThreeBrokers
    house: House
    watched: Watched
    twilio: Twilio
    back_at: float | None = None
    remark: str = ""
    expected: set[str] = field(default_factory=set)
    """Services that must end by themselves in a case."""

    async def back(self) -> None:
        """Wait until the returned brokers accept records, and note the time."""
        await self.brokers.take_records(IN_SYNC)
        self.back_at = time.monotonic()

    async def judged(self, case: str, act: Callable[[Stage], Awaitable[None]], bound: float | None = None) -> Result:
        """Run a case under traffic; its figures end before the traffic does."""
        house, watched, twilio = self.house, self.watched, self.twilio
        self.back_at, self.remark, self.expected = None, "", set()
        trouble, found = "", Books()
        began = ended = time.monotonic()
        try:
            house.traffic.start()
            await house.traffic.more(60)
            await self.brokers.in_sync(IN_SYNC)
            await asyncio.sleep(CALM)
            twilio.forget()
            watched.crashes.clear()
            house.traffic.answers.clear()
            began = time.monotonic()
            await act(self)
            await self._flows()
            await self.brokers.in_sync(IN_SYNC)
            await asyncio.sleep(CALM)
            ended = time.monotonic()
            found = await house.balance()
        except (AssertionError, TimeoutError, BaseExceptionGroup) as error:
            trouble = str(error) or type(error).__name__
            ended = max(ended, time.monotonic())
        since: list[float | None] = (
            [moves.next(self.back_at) for moves in (watched.stored, watched.delivered)] if self.back_at else []
        )
        return Result(
            case,
            time.monotonic() - began,
            watched.stored.longest(began, ended),
            watched.delivered.longest(began, ended),
            max((each for each in since if each is not None), default=None),
            Counter(twilio.answers),
            twilio.slowest,
            Counter(house.traffic.answers),
            Counter({name: n for name, n in watched.crashes.items() if name not in self.expected}),
            found,
            bound,
            self.remark,
            trouble,
        )

    async def _flows(self) -> None:
        """Wait until callbacks are stored and webhooks delivered."""
        now = time.monotonic()
        async with asyncio.timeout(300):
            while None in (self.watched.stored.next(now), self.watched.delivered.next(now)):
                await asyncio.sleep(0.1)


@asynccontextmanager
async def staged(brokers: ThreeBrokers, directory: Path, prefix: str, seed: int, rate: float) -> AsyncIterator[Stage]:
    """Yield a stage with its own topics."""
    options: dict[str, Any] = {"settings": {"replication": COUNT}, "TRACKLY_REPLICATION": str(COUNT)}
    async with running(brokers.servers, directory, prefix, seed, *SERVICES, rate=rate, **options) as house:
        await house.cluster.configure(TWILIO)
        await house.traffic.more(60)
        watched, twilio = Watched(house), Twilio(house.cluster.ingest_port)
        try:
            yield Stage(brokers, house, watched, twilio)
        finally:
            await twilio.stop()
            await watched.stop()
