"""Three real Kafka brokers on this machine, to kill, freeze, and restart one or all of them."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import aiokafka
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.structs import PartitionMetadata

from bus.admin import Admin, AdminError
from bus.embedded.broker import HOST, EmbeddedKafka, EmbeddedKafkaError, free_port, new_cluster_id
from bus.settings import BusSettings

COUNT = 3

PROBE, PROBES = "probe", 6
"""A topic for testing whether brokers accept records, and its partitions."""

ANSWER_MS = 3_000
"""How long to wait for an answer. A broker that has just started may be slow on a machine that starts three."""

BACK = 300.0
"""Seconds within which brokers have to be back, however busy the machine is."""


class _Node(EmbeddedKafka):
    """One broker and controller of the cluster."""

    def __init__(
        self, number: int, directory: Path, controllers: list[int], cluster: str, properties: Mapping[str, str]
    ) -> None:
        super().__init__(directory, free_port(), jvm_options=("-Xmx384m", "-XX:+UseSerialGC"))
        self._number = number
        self._given = properties
        self._controllers = controllers
        self._cluster_id = cluster

    def _ports(self) -> tuple[int, int]:
        assert self._port is not None
        return self._port, self._controllers[self._number - 1]

    def _properties(self, port: int, controller: int) -> str:
        voters = ",".join(f"{number}@{HOST}:{port}" for number, port in enumerate(self._controllers, 1))
        own = {
            "node.id": str(self._number),
            "controller.quorum.voters": voters,
            "offsets.topic.replication.factor": str(COUNT),
            "transaction.state.log.replication.factor": str(COUNT),
            # Default settings: the results must hold without tuning the brokers.
            "broker.session.timeout.ms": "9000",
            "broker.heartbeat.interval.ms": "2000",
            **self._given,
        }
        lines = super()._properties(port, controller).splitlines()
        known = dict(line.split("=", 1) for line in lines)
        return "".join(f"{name}={value}\n" for name, value in {**known, **own}.items())

    def _wait(self, port: int, deadline: float) -> None:
        """Start the broker; the others must be running."""

    def listens(self) -> bool:
        """Whether it accepts connections."""
        try:
            socket.create_connection((HOST, self._port or 0), timeout=1).close()
        except OSError:
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        assert self.pid is not None
        os.kill(self.pid, number)


class ThreeBrokers:
    """A cluster in which every partition has three copies, of which two must be in sync.

    `properties`: broker settings that differ from the defaults.
    """

    def __init__(self, directory: Path, properties: Mapping[str, str] | None = None) -> None:
        controllers = []
        while len(controllers) < COUNT:
            port = free_port()
            if port not in controllers:
                controllers.append(port)
        cluster = new_cluster_id()
        self.nodes = [
            _Node(n, directory / f"broker-{n}", controllers, cluster, properties or {}) for n in range(1, COUNT + 1)
        ]

    def __enter__(self) -> ThreeBrokers:
        try:
            for node in self.nodes:
                node.start()
            self.wait()
        except BaseException:
            self.kill(*range(COUNT))
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill(*range(COUNT))

    @property
    def servers(self) -> str:
        """Return the addresses of all brokers."""
        return ",".join(node.bootstrap_servers for node in self.nodes)

    def settings(self, **other: object) -> BusSettings:
        """Return the settings of a service on this cluster."""
        return BusSettings(bootstrap_servers=self.servers, replication=COUNT, **other)  # type: ignore[arg-type]

    def wait(self, timeout: float = 60.0) -> None:
        """Wait until all brokers are in the cluster."""
        deadline = time.monotonic() + timeout
        for node in self.nodes:
            # kafka-python leaks a socket for each refused connection.
            while not node.listens() and time.monotonic() < deadline:
                time.sleep(0.1)
        while time.monotonic() < deadline:
            try:
                with Admin(self.settings(), timeout=5.0) as admin:
                    if len(admin._client.describe_cluster()["brokers"]) == COUNT:
                        admin._client.create_topics(
                            {PROBE: {"num_partitions": PROBES, "replication_factor": COUNT, "configs": {}}},
                            raise_errors=False,
                        )
                        return
            except AdminError:
                pass
            time.sleep(0.2)
        raise EmbeddedKafkaError("the brokers form no cluster")

    async def in_sync(self, timeout: float = BACK) -> None:
        """Wait until all replicas of every partition are in sync: until then, the cluster cannot lose a broker."""
        await self.take_records(timeout)
        await self._until(lambda p: len(p.isr) == len(p.replicas), timeout)

    async def given_up(self, number: int, timeout: float = BACK) -> None:
        """Wait until the other brokers lead every partition of a lost one, and accept records."""
        await self._until(lambda p: p.leader != number + 1, timeout)
        await self.take_records(timeout)

    async def _until(self, holds: Callable[[PartitionMetadata], bool], timeout: float) -> None:
        """Wait until this holds for every partition."""
        async with asyncio.timeout(timeout):
            while not ((known := await self._partitions()) and all(map(holds, known))):
                await asyncio.sleep(0.2)

    async def _partitions(self) -> list[PartitionMetadata]:
        """Return every partition as described by the asked broker; nothing if it does not answer."""
        client = AIOKafkaClient(bootstrap_servers=self.servers, request_timeout_ms=ANSWER_MS)
        try:
            await client.bootstrap()
            cluster = await client.fetch_all_metadata()
            return [partition for topic in cluster._partitions.values() for partition in topic.values()]
        except KafkaError:
            return []
        finally:
            await client.close()

    async def take_records(self, timeout: float = BACK) -> None:
        """Wait until the brokers accept records from a new client."""
        async with asyncio.timeout(timeout):
            while True:
                producer = aiokafka.AIOKafkaProducer(
                    bootstrap_servers=self.servers, acks="all", request_timeout_ms=ANSWER_MS
                )
                try:
                    await producer.start()
                    for partition in range(PROBES):
                        await producer.send_and_wait(PROBE, b"", partition=partition)
                except KafkaError:
                    await asyncio.sleep(0.2)
                else:
                    return
                finally:
                    await producer.stop()

    def kill(self, *numbers: int) -> None:
        """Send SIGKILL to brokers, by index."""
        for number in numbers:
            self.nodes[number].kill()

    def stop(self, number: int) -> None:
        """Send SIGTERM to one broker, which hands over its partitions, and wait until it has ended."""
        self.nodes[number].stop(60)

    def start(self, *numbers: int) -> None:
        """Restart brokers, with their records."""
        for number in numbers:
            self.nodes[number].start()

    def fill_disk(self, number: int) -> None:
        """Make all file writes of a broker fail, as on a full disk, until it is restarted."""
        pid = self.nodes[number].pid
        assert pid is not None
        no_more_writes(pid)

    def leader(self, topic: str, partition: int) -> int:
        """Return the index of the broker that leads a partition."""
        with Admin(self.settings()) as admin:
            (found,) = admin._client.describe_topics([topic])
        return int(next(p["leader_id"] for p in found["partitions"] if p["partition_index"] == partition)) - 1

    def freeze(self, number: int) -> None:
        """Send SIGSTOP: the process and its connections exist, but nothing is answered."""
        self.nodes[number].signal(signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        """SIGCONT."""
        self.nodes[number].signal(signal.SIGCONT)


def no_more_writes(pid: int) -> None:
    """Make every file write of a process fail with EFBIG, which does no harm to the disk.

    JVMs and Python ignore the signal that comes with it.
    """
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))


def writes_again(pid: int) -> None:
    """Undo `no_more_writes`."""
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
