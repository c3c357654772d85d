"""Kills the read model's writer at each step of its work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from sqlalchemy import func, select

from bench.faults.built_in import Fault
from bench.faults.case import Ground, Result
from bench.faults.house import House
from bench.faults.ledger import Books
from database.engine import open_engine
from database.tables import contacts, hourly_events, messages

NAME = "read-model"
STEPS = ("read-model: before the positions", "read-model: after the commit")


async def read_model(ground: Ground) -> AsyncIterator[Result]:
    """The tables contain each message, count each event once, and show no removed contact as active."""
    async with ground.house("ingest", "streams-1", "sinks-1", NAME) as house:
        for step in STEPS:
            yield await ground.judged(f"crash, {step}", partial(_crash, ground, house, step))


async def _crash(ground: Ground, house: House, step: str) -> Books:
    house.traffic.start()
    house.cluster.arm(NAME, Fault(step, nth=ground.chance(step).randrange(1, 6)))
    await house.until_ended(NAME)
    await house.until_ready()
    await house.traffic.more(40)
    found = await house.balance()
    await house.until("the read model says what Kafka does", partial(_is_right, house), 60)
    await asyncio.sleep(0.5)
    await house.until("the read model stays at that", partial(_is_right, house), 1)
    return found


def _is_right(house: House) -> bool:
    engine = open_engine(f"sqlite:///{house.directory / 'console.db'}", read_only=True)
    try:
        with engine.connect() as connection:
            known = set(connection.scalars(select(messages.c.provider_message_id)))
            out = set(connection.scalars(select(contacts.c.contact).where(contacts.c.active.is_(False))))
            counted = connection.scalar(
                select(func.sum(hourly_events.c.count)).where(hourly_events.c.event == "delivery")
            )
    finally:
        engine.dispose()
    told = sum(map(len, house.events.told.values()))
    return house.traffic.messages <= known and house.traffic.removed <= out and counted == told
