"""Deletes and recreates topics behind the pipeline's back."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from functools import partial

from bench.faults.case import Ground, Result
from bench.faults.house import House, NotSo
from bench.faults.ledger import Books
from tests.cluster import made_anew

SERVICES = ("ingest", "streams-1", "sinks-1")

CHANGELOG = "table_contacts"

INPUTS = ("raw", "receipts", "inbound", "delivery")
"""Topics whose offsets are committed. All their records have been processed when they are recreated."""


async def topics(ground: Ground) -> AsyncIterator[Result]:
    """Recreate the changelog of contacts, which streams must refuse, and inputs, which are read from their start."""
    async with ground.house(*SERVICES) as house:
        for topic in INPUTS:
            yield await ground.judged(f"{house.topic(topic)} made anew", partial(_input, house, topic))
    async with ground.house(*SERVICES) as house:
        yield await ground.judged(f"{house.topic(CHANGELOG)} made anew: refused", partial(_changelog, house))


async def _input(house: House, topic: str) -> Books:
    """Committed offsets refer to the old topic's records: none of the new ones may be skipped."""
    await _processed(house)
    await asyncio.to_thread(made_anew, house.cluster.settings, topic)
    house.cluster.start(*SERVICES)
    await house.until_ready()
    house.traffic.start()
    await house.traffic.more(120)
    return await house.balance()


async def _changelog(house: House) -> Books:
    """Streams refuses and names the remedy, after which every removed contact is still removed."""
    await _processed(house)
    await asyncio.to_thread(made_anew, house.cluster.settings, CHANGELOG)
    house.cluster.start("streams-1")
    code = await house.until_ended("streams-1")
    if code != 1 or "trackly tables rebuild-from-contacts" not in house.log("streams-1"):
        raise NotSo(f"streams refuse a changelog that was made anew (it ended with {code})")
    done = await asyncio.to_thread(house.cluster.trackly, "tables", "rebuild-from-contacts", "--yes")
    if done.returncode:
        raise NotSo(f"suppressions come back: {done.stderr}")
    shutil.rmtree(house.directory / "streams")
    house.cluster.start(*SERVICES)
    await house.until_ready()
    house.traffic.start()
    await house.traffic.more(120)
    return await house.balance()


async def _processed(house: House) -> None:
    """Finish everything posted, and stop all processes."""
    house.traffic.start()
    await house.traffic.more(40)
    found = await house.balance()
    if not found.ok:
        raise NotSo(f"the books balance before: {found.wrong}")
    for name in SERVICES:
        await asyncio.to_thread(house.cluster.stop, name)
