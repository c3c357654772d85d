"""Kills every process at every step of its work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from functools import partial

from bench.faults.built_in import Fault
from bench.faults.case import Ground, Result
from bench.faults.house import House
from bench.faults.ledger import Books

STEPS = {
    "ingest: before the record": "ingest",
    "ingest: before the answer": "ingest",
    "normalize: amid events": "streams-1",
    "normalize: after events": "streams-1",
    "contacts: amid events": "streams-1",
    "contacts: after events": "streams-1",
    "contacts: before the store": "streams-1",
    "contacts: after changelog": "streams-1",
    "streams: before offsets": "streams-1",
    "streams: after offsets": "streams-1",
    "sinks: after the answer": "sinks-1",
    "sinks: after the retry is written": "sinks-1",
    "sinks: after the release": "sinks-1",
    "sinks: before offsets": "sinks-1",
}
"""Step (`bench.faults.built_in`) -> its process."""

SERVICES = ("ingest", "streams-1", "sinks-1")


async def crashes(ground: Ground, steps: Collection[str] = tuple(STEPS)) -> AsyncIterator[Result]:
    """Kill at each step. All share one house, until its books do not balance."""
    left = list(steps)
    while left:
        async with ground.house(*SERVICES) as house:
            result = None
            while left and (result is None or result.ok):
                step = left.pop(0)
                result = await ground.judged(f"crash, {step}", partial(_crash, ground, house, step))
                yield result


async def _crash(ground: Ground, house: House, step: str) -> Books:
    """Kill the process at a step under traffic, and restart it; returns the books after that."""
    name = STEPS[step]
    house.traffic.start()
    house.cluster.arm(name, Fault(step, nth=ground.chance(step).randrange(1, 6)))
    await house.until_ended(name)
    await house.until_ready()
    await house.traffic.more(40)
    return await house.balance()
