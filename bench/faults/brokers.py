"""Brokers that are down for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from bench.brokers import COUNT, ThreeBrokers
from bench.faults.case import Ground, Result
from bench.faults.house import House
from bench.faults.ledger import Books
from bus.embedded.broker import EmbeddedKafka

SERVICES = ("ingest", "streams-1", "sinks-1")


async def brokers(ground: Ground) -> AsyncIterator[Result]:
    """Stop the only broker, then one of three."""
    with EmbeddedKafka(ground.directory / "one-broker") as broker:

        async def back() -> None:
            await asyncio.to_thread(broker.start, timeout=120.0)

        async with ground.house(*SERVICES, servers=broker.bootstrap_servers) as house:
            case = f"the only broker gone for {ground.away:.0f} s"
            yield await ground.judged(case, partial(_away, house, ground.away, broker.kill, back))
    with ThreeBrokers(ground.directory / "three-brokers") as three:
        number = ground.chance("broker").randrange(COUNT)

        async def one_back() -> None:
            await asyncio.to_thread(three.start, number)

        options = {"servers": three.servers, "settings": {"replication": COUNT}, "TRACKLY_REPLICATION": str(COUNT)}
        async with ground.house(*SERVICES, **options) as house:
            case = f"one of three brokers gone for {ground.away:.0f} s"
            yield await ground.judged(case, partial(_away, house, ground.away, partial(three.kill, number), one_back))


async def _away(house: House, seconds: float, kill: Callable[[], None], back: Callable[[], Awaitable[None]]) -> Books:
    kill()
    gone_until = time.monotonic() + seconds
    await house.until("the broker is back", lambda: time.monotonic() > gone_until, seconds + 60, revive=True)
    await back()
    await house.traffic.more(40)
    await house.until_ready()
    return await house.balance()
