"""How far this machine's clock is off Kafka's. Kafka tells its time only with a record that it has just taken."""

from __future__ import annotations

from importlib import metadata

from bus.clock import now_seconds
from bus.producer import Producer
from bus.settings import BusSettings

VERSION = "version"
"""Header of what a process asks with: the version of trackly that it runs (`trackly doctor` reads it)."""

_CREATE_TIME = 0


class ClockWrong(RuntimeError):
    """This machine's clock is further off Kafka's than it may be. The message says what to do."""


async def seconds_ahead(producer: Producer, settings: BusSettings, name: str) -> float:
    """By how many seconds the wall clock is ahead of Kafka's, for certain; below 0: behind. `name` is who asks.

    0 too where the topic was made by somebody else and tells no time. Raises KafkaError.
    """
    before = now_seconds()
    headers = [(VERSION, metadata.version("trackly").encode())]
    told = await (await producer.send(settings.catalogue["clocks"].name, None, key=name.encode(), headers=headers))
    after = now_seconds()
    if told.timestamp_type == _CREATE_TIME:
        return 0.0
    kafkas = float(told.timestamp) / 1_000
    return max(0.0, before - kafkas) or min(0.0, after - kafkas)


def clock_problem(ahead: float, tolerance: float) -> str | None:
    """What to tell of a clock that is so far ahead (seconds), or None while that is tolerated."""
    if abs(ahead) <= tolerance:
        return None
    return f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Kafka's"


async def check_clock(settings: BusSettings, name: str) -> None:
    """Raises ClockWrong, KafkaError."""
    producer = Producer(settings, delivery_timeout=30.0)
    await producer.start()
    try:
        await seconds_ahead(producer, settings, name)  # finds the leader, which may take its time
        ahead = await seconds_ahead(producer, settings, name)
    finally:
        await producer.stop()
    if (problem := clock_problem(ahead, settings.clock_tolerance)) is not None:
        raise ClockWrong(
            f"{problem[0].upper()}{problem[1:]}, more than the {settings.clock_tolerance:g} s of"
            " TRACKLY_CLOCK_TOLERANCE: Kafka would refuse records, and times of callbacks and orders would be wrong."
            " Set the clock of the machine that is wrong (NTP), then start again."
        )
