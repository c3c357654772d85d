"""The pipeline as processes that can have faults, under traffic, and its books."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from bench.faults.built_in import FILE, MODULE, Fault
from bench.faults.ledger import SETTINGS, Books, Events, Receiver, Traffic, books
from bus.settings import BusSettings
from tests.cluster import Cluster, ForkedService

RETRIES = ("1s", "2s", "4s", "8s")
READY = 120.0
"""Seconds within which services must be ready; a busy machine is slow."""


BALANCED = 120.0
"""Seconds within which the books must balance once nothing more is posted."""


class NotSo(AssertionError):
    """A case's condition was not met."""


class FaultyCluster(Cluster):
    """A cluster whose services have built-in faults, which are armed one by one."""

    def arm(self, name: str, fault: Fault) -> None:
        """Arm a fault in a service."""
        fault.arm(self._file(name))

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.fault"

    def _service(self, name: str) -> ForkedService:
        service = super()._service(name)
        service.module = MODULE
        service.environment = {**service.environment, FILE: str(self._file(name))}
        return service


class House:
    """A cluster, its traffic, and the endpoint of its webhooks."""

    def __init__(self, cluster: FaultyCluster, directory: Path, traffic: Traffic, receiver: Receiver) -> None:
        self.cluster = cluster
        self.directory = directory
        self.traffic = traffic
        self.receiver = receiver
        self.events = Events()
        self._before = Books()
        self._numbers = count()

    async def until(self, what: str, condition: Callable[[], bool], timeout: float, *, revive: bool = False) -> float:
        """Wait until a condition holds; returns the seconds. Raises NotSo. `revive` restarts ended processes."""
        began = time.monotonic()
        while not await asyncio.to_thread(condition):
            if time.monotonic() - began > timeout:
                raise NotSo(f"not so after {timeout:.0f} s: {what}")
            if revive:
                self.cluster.revive()
            await asyncio.sleep(0.2)
        return time.monotonic() - began

    async def until_ended(self, name: str, timeout: float = 60.0) -> int:
        """Wait until a service has ended by itself. Returns its exit code."""
        service = self.cluster.services[name]
        await self.until(f"{name} has ended", lambda: not service.is_alive(), timeout)
        assert service.process is not None
        return int(service.process.returncode)

    async def until_ready(self) -> None:
        """Restart ended processes until everything is ready."""
        services = self.cluster.services.values()
        await self.until("all services are ready", lambda: all(s.is_ready() for s in services), READY, revive=True)

    def topic(self, name: str) -> str:
        """Return the name of a topic (catalogue short name) without this house's prefix."""
        settings = self.cluster.settings
        return settings.catalogue[name].name.removeprefix(settings.topic_prefix)

    def log(self, name: str) -> str:
        """Return a service's log so far."""
        return self.cluster.services[name].last_lines(100_000)

    async def restart(self, name: str) -> None:
        """Stop a service like an orchestrator, however it ends, and restart it."""
        await asyncio.to_thread(self.cluster.services[name].stop)
        self.cluster.start(name)
        await self.until_ready()

    def next_number(self) -> int:
        """Return the next number, from 0, each once."""
        return next(self._numbers)

    async def balance(self, timeout: float = BALANCED) -> Books:
        """Stop posting, and return the books once they balance, or after `timeout` seconds.

        They cover everything ever posted; only counts that are not faults start at the last balance.
        """
        await self.traffic.stop()
        deadline = time.monotonic() + timeout
        while True:
            self.cluster.revive()
            found = await asyncio.to_thread(books, self.cluster, self.events, self.traffic, self.receiver)
            if found.ok or time.monotonic() > deadline:
                earlier, self._before = self._before, found
                return found.since(earlier)
            await asyncio.sleep(0.5)


@asynccontextmanager
async def running(
    servers: str,
    directory: Path,
    prefix: str,
    seed: int,
    *services: str,
    rate: float = 40.0,
    settings: dict[str, Any] | None = None,
    **environment: str,
) -> AsyncIterator[House]:
    """Yield a house with its own topics, ready and under traffic."""
    directory.mkdir(parents=True)
    given = {"partitions": 4, "retry_schedule": RETRIES, **(settings or {})}
    bus = BusSettings(bootstrap_servers=servers, topic_prefix=prefix, data_dir=directory, **given)
    async with Receiver(seed) as receiver:
        with FaultyCluster(bus, directory, **environment) as cluster:
            await cluster.configure([*SETTINGS, receiver.endpoint()])
            cluster.start(*services)
            house = House(cluster, directory, Traffic(cluster.ingest_port, rate, seed), receiver)
            try:
                await house.until_ready()
                house.traffic.start()
                await house.traffic.more(40)
                yield house
            finally:
                with contextlib.suppress(asyncio.CancelledError):
                    await house.traffic.cancel()
