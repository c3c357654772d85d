"""The cases: what happens to brokers, topics, clocks, disks, and workers."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

from kafka.admin import ConfigResource, ConfigResourceType

from bench.brokers import COUNT, no_more_writes, writes_again
from bench.cluster.stage import SERVICES, Result, Stage
from bench.cluster.watched import Watched
from bench.faults.built_in import CLOCK
from bench.faults.house import House, NotSo
from bus.admin import Admin
from bus.settings import BusSettings

KILLED, FROZEN, LONG_FROZEN, TWO_GONE, ALL_GONE = 20.0, 40.0, 100.0, 25.0, 60.0
"""Seconds for which brokers are down."""

ONE_LOST = 15.0
"""Maximum seconds of standstill without one broker, and after all have returned."""

RESTARTED = 5.0
"""Maximum seconds of standstill while brokers or workers are restarted one by one."""

WRONG_FOR = 8.0
"""Seconds for which the broker refuses records, or a clock is wrong."""

AHEAD = 7_200.0

Case = Callable[[Stage], AsyncIterator[Result]]


async def restarted(stage: Stage) -> AsyncIterator[Result]:
    """Restart the brokers cleanly, one after the other."""

    async def act(stage: Stage) -> None:
        for number in range(COUNT):
            await asyncio.to_thread(stage.brokers.stop, number)
            stage.brokers.start(number)
            await stage.brokers.in_sync()

    yield await stage.judged("brokers restarted one by one", act, RESTARTED)


async def killed(stage: Stage) -> AsyncIterator[Result]:
    """Each broker."""

    async def act(number: int, stage: Stage) -> None:
        stage.brokers.kill(number)
        await asyncio.sleep(KILLED)
        stage.brokers.start(number)

    for number in range(COUNT):
        case = f"broker {number + 1} of {COUNT} killed, back after {KILLED:.0f} s"
        yield await stage.judged(case, partial(act, number), ONE_LOST)


async def frozen(stage: Stage) -> AsyncIterator[Result]:
    """Each broker."""
    for number in range(COUNT):
        case = f"broker {number + 1} of {COUNT} frozen for {FROZEN:.0f} s"
        yield await stage.judged(case, partial(_freeze, number, FROZEN), ONE_LOST)


async def leader_frozen(stage: Stage) -> AsyncIterator[Result]:
    """Freeze a broker for a long time."""
    topic = stage.house.cluster.settings.catalogue["raw"].name
    number = await asyncio.to_thread(stage.brokers.leader, topic, 0)
    yield await stage.judged(
        f"a leader frozen for {LONG_FROZEN:.0f} s", partial(_freeze, number, LONG_FROZEN), ONE_LOST
    )


async def _freeze(number: int, seconds: float, stage: Stage) -> None:
    stage.brokers.freeze(number)
    try:
        await asyncio.sleep(seconds)
    finally:
        stage.brokers.thaw(number)


async def two_killed(stage: Stage) -> AsyncIterator[Result]:
    """Kill two brokers: no partition accepts records, and the pipeline must continue once they are back."""
    yield await stage.judged(f"two killed, back after {TWO_GONE:.0f} s", partial(_gone, (0, 1), TWO_GONE), ONE_LOST)


async def all_killed(stage: Stage) -> AsyncIterator[Result]:
    """Do the same with all brokers."""
    case = f"all killed, back after {ALL_GONE:.0f} s"
    yield await stage.judged(case, partial(_gone, tuple(range(COUNT)), ALL_GONE), ONE_LOST)


async def _gone(numbers: tuple[int, ...], seconds: float, stage: Stage) -> None:
    stage.brokers.kill(*numbers)
    await asyncio.sleep(seconds)
    stage.brokers.start(*numbers)
    await stage.back()


async def refused(stage: Stage) -> AsyncIterator[Result]:
    """Make the brokers refuse every record of a topic as too large."""

    async def act(topic: str, stage: Stage) -> None:
        entry = stage.house.cluster.settings.catalogue[topic]
        await asyncio.to_thread(_set_most_bytes, stage, entry.name, 60)
        await asyncio.sleep(WRONG_FOR)
        await asyncio.to_thread(_set_most_bytes, stage, entry.name, entry.max_message_bytes)

    case = f"every record of {stage.house.topic('raw')} refused for {WRONG_FOR:.0f} s"
    yield await stage.judged(case, partial(act, "raw"), ONE_LOST)


def _set_most_bytes(stage: Stage, topic: str, most: int) -> None:
    with Admin(stage.house.cluster.settings) as admin:
        change = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(most)})
        admin._client.alter_configs([change])


async def clocks(stage: Stage) -> AsyncIterator[Result]:
    """Start a process with a wrong clock: it must say so, and refuse to start until the clock is right."""

    async def act(name: str, stage: Stage) -> None:
        service = stage.house.cluster.services[name]
        sound = service.environment
        service.environment = {**sound, CLOCK: f"{AHEAD} {math.inf}"}
        stage.expected.add(name)
        try:
            with stage.watched.asked():
                await asyncio.to_thread(service.stop)
                service.start()
                await stage.house.until_ended(name, 60)
            if "TRACKLY_CLOCK_TOLERANCE" not in stage.house.log(name):
                raise NotSo(f"{name} says that its clock is wrong")
            await asyncio.sleep(WRONG_FOR)
        finally:
            service.environment = sound
        ended = stage.watched.crashes[name]
        await stage.house.until_ready()
        stage.remark = f"refused to start {ended + 1} times, with the remedy"

    for name in ("ingest", "streams-1"):
        yield await stage.judged(f"clock of {name} 2 h ahead, {WRONG_FOR:.0f} s", partial(act, name))


async def disks(stage: Stage) -> AsyncIterator[Result]:
    """Fill the disk of a broker, and of a streams worker."""

    async def of_broker(stage: Stage) -> None:
        stage.brokers.fill_disk(0)
        node = stage.brokers.nodes[0]
        took = await stage.house.until("the broker has ended", lambda: not node.is_alive(), 60)
        stage.remark = f"the broker ended itself after {took:.0f} s"
        await asyncio.sleep(KILLED)
        stage.brokers.kill(0)
        stage.brokers.start(0)

    async def of_worker(stage: Stage) -> None:
        service = stage.house.cluster.services["streams-1"]
        assert service.process is not None
        stage.expected.add("streams-1")
        began = time.monotonic()
        pid = service.process.pid
        no_more_writes(pid)
        while service.is_alive() and service.process.pid == pid and time.monotonic() - began < KILLED:
            await asyncio.sleep(0.1)
        if service.is_alive() and service.process.pid == pid:
            writes_again(pid)
        stage.remark = f"streams-1 ended itself {stage.watched.crashes['streams-1']} time(s)"

    yield await stage.judged("disk of a broker full", of_broker, ONE_LOST)
    yield await stage.judged("disk of a worker of streams full", of_worker)


async def workers(stage: Stage) -> AsyncIterator[Result]:
    """Restart the workers of streams and sinks, each once the previous one is ready."""

    async def act(stage: Stage) -> None:
        slowest = await restart_workers(stage.house, stage.watched, *SERVICES[1:])
        stage.remark = f"the slowest was ready after {slowest:.1f} s"

    yield await stage.judged("our workers restarted one by one", act, RESTARTED)


async def restart_workers(house: House, watched: Watched, *names: str) -> float:
    """Stop each like an orchestrator, and restart it; returns the longest time in seconds until all were ready."""
    slowest = 0.0
    with watched.asked():
        for name in names:
            began = time.monotonic()
            await asyncio.to_thread(house.cluster.stop, name)
            house.cluster.start(name)
            await asyncio.to_thread(house.cluster.wait_ready)
            slowest = max(slowest, time.monotonic() - began)
    return slowest


async def raw_raised(stage: Stage) -> AsyncIterator[Result]:
    """Add partitions to the raw topic, which has no keys: they must be used and read automatically."""
    topic = stage.house.cluster.settings.catalogue["raw"].name

    async def act(stage: Stage) -> None:
        await asyncio.to_thread(_raise, stage, topic)
        took = await stage.house.until("ingest uses the new partitions", lambda: _are_used(stage, topic), 90)
        stage.remark = f"the new partitions are used after {took:.0f} s"

    yield await stage.judged(f"{stage.house.topic('raw')} 4 -> 6 partitions", act, RESTARTED)


async def receipts_raised(stage: Stage) -> AsyncIterator[Result]:
    """Add partitions to a topic with state: every service must end and name the remedy, which is then applied."""
    cluster = stage.house.cluster
    old = cluster.settings
    moved = {"topic_prefix": f"{old.topic_prefix}v2.", "partitions": 6}
    new = BusSettings.model_validate({**old.model_dump(), **moved})  # a copy would keep the catalogue

    async def act(stage: Stage) -> None:
        stage.expected.update(SERVICES)
        services = cluster.services.values()
        with stage.watched.asked():
            await asyncio.to_thread(_raise, stage, old.catalogue["receipts"].name)
            took = await stage.house.until("all ended", lambda: not any(s.is_alive() for s in services), 120)
            silent = [name for name in SERVICES if "trackly topics grow" not in stage.house.log(name)]
            if silent:
                raise NotSo(f"{', '.join(silent)} named the remedy")
            await asyncio.to_thread(stage.house.events.look, cluster)
            remedy = ("topics", "grow", "--prefix", new.topic_prefix, "--partitions", "6", "--yes")
            done = await asyncio.to_thread(cluster.trackly, *remedy)
            if done.returncode:
                raise NotSo(f"the remedy helps: {done.stderr}")
            names = {"TRACKLY_TOPIC_PREFIX": new.topic_prefix, "TRACKLY_PARTITIONS": "6"}
            cluster.settings = new
            cluster.environment |= names
            for service in services:
                service.environment = {**service.environment, **names}
            cluster.start(*SERVICES)
        await stage.house.until_ready()
        stage.remark = f"all five ended with the remedy after {took:.0f} s; moved to a new prefix by it"

    yield await stage.judged(f"{stage.house.topic('receipts')} 4 -> 6 partitions by hand", act)


def _raise(stage: Stage, topic: str) -> None:
    with Admin(stage.house.cluster.settings) as admin:
        admin._client.create_partitions({topic: 6})


def _are_used(stage: Stage, topic: str) -> bool:
    with Admin(stage.house.cluster.settings) as admin:
        ends = admin.end_offsets(topic)
    return len(ends) == 6 and min(ends.values()) > 0


CASES: dict[str, Case] = {
    "restarted": restarted,
    "workers": workers,
    "killed": killed,
    "frozen": frozen,
    "leader-frozen": leader_frozen,
    "two-killed": two_killed,
    "all-killed": all_killed,
    "refused": refused,
    "clocks": clocks,
    "disks": disks,
    "raw-raised": raw_raised,
    "receipts-raised": receipts_raised,
}
"""In the order in which they run. The last one makes the stage's topics unusable."""
