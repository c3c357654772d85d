"""Failures of one process: its store, disk, producer, or clock."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from functools import partial

from bench.faults.built_in import CLOCK, Fault
from bench.faults.case import Ground, Result
from bench.faults.house import House, NotSo
from bench.faults.ledger import Books

SERVICES = ("ingest", "streams-1", "sinks-1")

FULL_FOR = 20.0
"""Seconds for which the disk is full."""

DAY_AHEAD = 25 * 3_600.0
"""A clock further ahead than brokers (an hour) and we (a day) accept."""


async def stores(ground: Ground) -> AsyncIterator[Result]:
    """Make a store's files unreadable, and a store's disk full."""
    async with ground.house(*SERVICES) as house:
        yield await ground.judged("store, a row cannot be read", partial(_damage, ground, house))
    async with ground.house(*SERVICES) as house:
        yield await ground.judged(f"disk full for {FULL_FOR:.0f} s", partial(_full_disk, house))


async def _damage(ground: Ground, house: House) -> Books:
    nth = ground.chance("damage").randrange(20, 200)
    house.cluster.arm("streams-1", Fault("streams: a read of a row", nth=nth, does="damage"))
    code = await house.until_ended("streams-1")
    await house.until_ready()
    await house.traffic.more(40)
    found = await house.balance()
    if code != 1 or "is damaged and is being restored from Kafka" not in house.log("streams-1"):
        raise NotSo(f"streams set the damaged store aside (it ended with {code})")
    return found


async def _full_disk(house: House) -> Books:
    house.cluster.arm("streams-1", Fault("contacts: before the store", does="no space", seconds=FULL_FOR))
    full_until = time.monotonic() + FULL_FOR
    await house.until_ended("streams-1")
    await house.until("the disk has room", lambda: time.monotonic() > full_until, FULL_FOR + 60, revive=True)
    await house.until_ready()
    await house.traffic.more(40)
    return await house.balance()


async def producers(ground: Ground) -> AsyncIterator[Result]:
    """Fence the producer of each process."""
    async with ground.house(*SERVICES) as house:
        for name in SERVICES:
            yield await ground.judged(f"fenced producer, {name}", partial(_fence, ground, house, name))


_REFUSALS = ("ProducerFenced", "UnknownError")
"""aiokafka's names for the answers to records whose epoch is too old."""


async def _fence(ground: Ground, house: House, name: str) -> Books:
    service = name.partition("-")[0]
    house.traffic.start()

    def refusals() -> int:
        return sum(map(house.log(name).count, _REFUSALS))

    before = refusals()
    nth = ground.chance(name).randrange(1, 20)
    house.cluster.arm(name, Fault(f"{service}: a send", nth=nth, does="fence"))
    await house.until("the broker refused it", lambda: refusals() > before, 60)
    await house.until_ready()
    await house.traffic.more(40)
    return await house.balance()


CLOCKS = {
    "ingest 10 min ahead": ("ingest", 600.0, math.inf),
    "ingest 10 min behind": ("ingest", -600.0, math.inf),
    "one of two streams 10 min ahead": ("streams-1", 600.0, math.inf),
    "one of two streams 10 min behind": ("streams-1", -600.0, math.inf),
    "sinks 10 min behind": ("sinks-1", -600.0, math.inf),
    "ingest a day ahead for 10 s": ("ingest", DAY_AHEAD, 10.0),
    "streams a day ahead for 20 s": ("streams-1", DAY_AHEAD, 20.0),
}
"""Processes with a wrong clock, by how many seconds, and for how many."""


async def clocks(ground: Ground) -> AsyncIterator[Result]:
    """Run a process with a wrong wall clock."""
    left = list(CLOCKS)
    while left:
        # Services would refuse to start with such a clock; the tolerance lets them run with it.
        services = ("ingest", "streams-1", "streams-2", "sinks-1")
        async with ground.house(*services, TRACKLY_CLOCK_TOLERANCE=f"{DAY_AHEAD * 2:.0f}") as house:
            result = None
            while left and (result is None or result.ok):
                case = left.pop(0)
                result = await ground.judged(f"clock, {case}", partial(_shift, house, *CLOCKS[case]))
                yield result


async def _shift(house: House, name: str, seconds: float, lasts: float) -> Books:
    """Post while the clock is wrong; people opt out, return, and opt out again, each by a different clock."""
    service = house.cluster.services[name]
    sound, people = service.environment, [f"+1555{7_000_000 + house.next_number()}" for _ in range(5)]
    house.traffic.start()
    await house.traffic.say("STOP", people)
    service.environment = {**sound, CLOCK: f"{seconds} {time.monotonic() + lasts}"}
    try:
        await house.restart(name)
        await house.traffic.say("START", people)
        await house.traffic.more(120)
    finally:
        service.environment = sound
        await house.restart(name)
    await house.traffic.say("STOP", people)
    return await house.balance()
