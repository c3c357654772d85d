"""A cluster loses one broker, or all for a while: the pipeline soon recovers by itself, and loses nothing."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bench.brokers import COUNT, ThreeBrokers
from tests.broker.test_lossless import CONFIGS, Receiver, Sender
from tests.cluster import Cluster
from tests.patience import PATIENCE, Progress

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    # kafka-python leaves a socket behind for each connection that a broker does not take.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

SERVICES = ("ingest", "streams-1", "streams-2", "sinks-1", "sinks-2")

SOON = 60.0
"""Seconds in which the pipeline must run once the brokers that are there do. It does within five on an idle machine; a
client that waits for a broker that is lost stands as long as that is away."""


class Watch:
    """Counts that are sampled often, to find standstills."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._moves: list[float] = []
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        known = -1
        while True:
            if (count := self._count()) != known:
                known = count
                self._moves.append(time.monotonic())
            await asyncio.sleep(0.05)

    async def next_move(self, since: float, timeout: float) -> float:
        """Return the seconds from a moment to the first change after it."""
        async with asyncio.timeout(timeout):
            while not (later := [at for at in self._moves if at > since]):
                await asyncio.sleep(0.05)
        return later[0] - since


class Running:
    """The pipeline on three brokers, under load."""

    def __init__(self, brokers: ThreeBrokers, cluster: Cluster, sender: Sender, receiver: Receiver) -> None:
        self.brokers = brokers
        self._cluster = cluster
        self._sender = sender
        self._receiver = receiver
        self.stored = Watch(lambda: len(sender.stored))
        self.delivered = Watch(lambda: len(receiver.bodies))
        self._starts = {name: service.starts for name, service in cluster.services.items()}

    async def goes_on_without_each(self, lose: Callable[[int], None], bring_back: Callable[[int], None]) -> None:
        """Kill one broker after the other, while callbacks are stored and webhooks delivered."""
        for number in range(COUNT):
            await self.brokers.in_sync()
            lose(number)
            try:
                await self._goes_on_without(number)
            finally:
                bring_back(number)

    async def _goes_on_without(self, number: int) -> None:
        """Wait until callbacks are stored and webhooks delivered while a broker is down."""
        await self.brokers.given_up(number)
        await self.moves(f"while broker {number} is away")

    async def moves(self, when: str) -> None:
        """Wait until callbacks are stored and webhooks delivered."""
        now = time.monotonic()
        for what, watch in (("stored", self.stored), ("delivered", self.delivered)):
            try:
                await watch.next_move(now, SOON)
            except TimeoutError:
                raise AssertionError(f"nothing is {what} {when}\n{self._cluster.standstill()}") from None

    def check_alive(self) -> None:
        """Assert that no process has ended."""
        for service in self._cluster.services.values():
            assert service.is_alive(), f"{service.name} ended:\n{service.last_lines(300)}"

    async def check_ledger(self) -> None:
        """Assert that every callback answered 200 has its webhook."""
        progress = Progress()
        while missing := set(self._sender.stored) - self._receiver.delivered():
            try:
                progress.look(len(missing), "webhooks are")
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self._cluster.standstill()}") from None
            await asyncio.sleep(0.2)


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreeBrokers]:
    with ThreeBrokers(tmp_path_factory.mktemp("brokers")) as brokers:
        yield brokers
    gc.collect()  # while ResourceWarnings are ignored


@asynccontextmanager
async def running(brokers: ThreeBrokers, prefix: str, directory: Path) -> AsyncIterator[Running]:
    settings = brokers.settings(
        topic_prefix=prefix, partitions=4, retry_schedule=("1s", "2s", "4s"), data_dir=directory
    )
    async with Receiver() as receiver:
        with Cluster(settings, directory, TRACKLY_REPLICATION=str(COUNT)) as cluster:
            await cluster.configure([*CONFIGS, receiver.endpoint()])
            cluster.start(*SERVICES)
            await asyncio.to_thread(cluster.wait_ready)
            sender = Sender(cluster.ingest_port, rate=20)
            sending = asyncio.create_task(sender.run())
            run = Running(brokers, cluster, sender, receiver)
            await run.delivered.next_move(time.monotonic(), PATIENCE)
            await asyncio.sleep(3)
            yield run
            sender.stopping = True
            await sending
            run.check_alive()
            await run.check_ledger()


async def test_a_frozen_broker_stops_the_pipeline_for_a_moment(
    brokers: ThreeBrokers, topic_prefix: str, tmp_path: Path
) -> None:
    async with running(brokers, topic_prefix, tmp_path) as run:
        await run.goes_on_without_each(brokers.freeze, brokers.thaw)


async def test_a_killed_broker_stops_the_pipeline_for_a_moment(
    brokers: ThreeBrokers, topic_prefix: str, tmp_path: Path
) -> None:
    async with running(brokers, topic_prefix, tmp_path) as run:
        await run.goes_on_without_each(brokers.kill, brokers.start)


async def test_the_pipeline_runs_again_after_all_brokers_were_away(
    brokers: ThreeBrokers, topic_prefix: str, tmp_path: Path
) -> None:
    async with running(brokers, topic_prefix, tmp_path) as run:
        brokers.kill(*range(COUNT))
        try:
            await asyncio.sleep(60)
            run.check_alive()
        finally:
            brokers.start(*range(COUNT))
        await brokers.take_records()
        await run.moves("after all brokers were away")
