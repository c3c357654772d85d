"""The services as separate processes on the tests' broker, started, killed, and stopped by a test."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from accounts.keys import new_key
from accounts.model import Config
from accounts.store import write_configs, write_key
from bus.admin import Admin
from bus.alive import ask
from bus.embedded.broker import free_port
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import Record
from tests.commands import run_trackly
from tests.fork_server import can_fork, forked, prepare
from tests.patience import PATIENCE
from trackly.commands.up.supervisor import Service

CODEC = Codec(FolderRegistry())
R = TypeVar("R", bound=Record)
LINES = 300
"""Lines of a service's log in the message of a failed test: its end, and what led to it."""


class ForkedService(Service):
    """A service that need not import anything, if that makes no difference."""

    @property
    def is_forked(self) -> bool:
        """Whether it starts as a fork."""
        return self.module == "trackly" and can_fork(self.arguments, self.environment)

    def launch(self, environment: dict[str, str], output: IO[bytes]) -> Any:
        """Return a new process with this output."""
        if self.is_forked:
            return forked(self.arguments, environment, output.fileno())
        return super().launch(environment, output)


class Cluster:
    """Processes of one test. Use it in a `with` block, which kills at its end whatever still runs."""

    def __init__(self, settings: BusSettings, directory: Path, **environment: str) -> None:
        self.settings = settings
        self.ingest_port = free_port()
        self._directory = directory
        self.environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "TRACKLY_TOPIC_PREFIX": settings.topic_prefix,
            "TRACKLY_PARTITIONS": str(settings.partitions),
            "TRACKLY_RETRY_SCHEDULE": ",".join(settings.retry_schedule),
            "TRACKLY_DATA_DIR": str(directory),
            "TRACKLY_INGEST_PORT": str(self.ingest_port),
            "TRACKLY_ALLOW_HTTP": "true",
            "TRACKLY_ALLOW_SUBNETS": "127.0.0.0/8",
            **environment,
        }
        self.services: dict[str, ForkedService] = {}

    def __enter__(self) -> Self:
        with Admin(self.settings, PATIENCE) as admin:
            admin.apply(self.settings.catalogue)
        return self

    def __exit__(self, *error: object) -> None:
        for service in self.services.values():
            if service.process is not None and service.is_alive():
                service.process.kill()
                service.process.wait()
            service.stop()

    def console(self, name: str) -> str:
        """Return the base URL of a started console."""
        return f"http://127.0.0.1:{self.services[name].health_port}"

    async def make_key(self, account: str | None) -> str:
        """Return a new API key for an account, or for all."""
        key, text = new_key(account, f"{account or 'all'} key")
        producer = Producer(self.settings)
        await producer.start()
        await write_key(producer, self.settings, CODEC, key)
        await producer.stop()
        return text

    async def configure(self, configs: list[Config]) -> None:
        """Write accounts, lists, and endpoints."""
        producer = Producer(self.settings)
        await producer.start()
        await write_configs(producer, self.settings, CODEC, configs)
        await producer.stop()

    def start(self, *names: str) -> None:
        """Start services: `ingest`, `streams-1`, `console-2`... The part before the number names the service."""
        services = [self.services.get(name) or self._service(name) for name in names]
        self.services.update(zip(names, services, strict=True))
        # All of them import at the same time.
        prepare(service.arguments[0] for service in services if service.is_forked)
        for service in services:
            service.start()

    def command(self, *arguments: str) -> list[str]:
        """The command `trackly` as a process; run it with `environment`."""
        return [sys.executable, "-m", "trackly", *arguments]

    def trackly(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end, with changes of its environment."""
        return run_trackly(arguments, {**self.environment, **changes})

    def kill(self, name: str) -> None:
        """Send SIGKILL, and wait for the end."""
        self._end(name, signal.SIGKILL)

    def freeze(self, name: str) -> None:
        """Send SIGSTOP: the process exists but does nothing, as on an overloaded machine."""
        self.services[name].signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        self.services[name].signal(signal.SIGCONT)

    def stop(self, name: str) -> None:
        """Send SIGTERM, and wait until it has finished its work."""
        self._end(name, signal.SIGTERM)
        code = self.services[name].process.returncode  # type: ignore[union-attr]
        assert code in (0, -signal.SIGTERM), f"{name} ended with {code}:\n{self.services[name].last_lines(LINES)}"

    def revive(self) -> None:
        """Restart processes that ended by themselves, as an orchestrator does."""
        for service in self.services.values():
            if not service.is_alive():
                service.start()

    def standstill(self) -> str:
        """Return the health of each running service and what its tasks wait for, for an error message."""
        running = {name: service for name, service in self.services.items() if service.is_alive()}
        for service in running.values():
            service.signal(signal.SIGUSR2)
        time.sleep(2)
        return "\n".join(f"{name}: {ask(s.health_port)}\n{s.last_lines(80)}" for name, s in running.items())

    def wait_ready(self, timeout: float = PATIENCE) -> None:
        """Wait until all running services are ready."""
        deadline = time.monotonic() + timeout
        waiting = list(self.services.values())
        while waiting:
            waiting = [service for service in waiting if not service.is_ready()]
            late = time.monotonic() > deadline
            for service in waiting:
                if not service.is_alive():
                    self.died(service)
                assert not late, f"{service.name} is not ready:\n{service.last_lines(LINES)}"
            time.sleep(0.1)

    def died(self, service: Service) -> None:
        """Handle a service that has ended by itself before it was ready."""
        raise AssertionError(f"{service.name} died:\n{service.last_lines(LINES)}")

    def records(self, topic: str) -> list[Record]:
        """Return all records of a topic (catalogue short name), partition by partition."""
        return [CODEC.decode(record.value) for record in self.stored(topic)]

    def stored(self, topic: str) -> list[Any]:
        """Everything on a topic (catalogue short name) as Kafka has it, partition by partition."""
        return stored(self.settings, topic)

    def send(self, topic: str, record: Record, key: bytes, partition: int | None = None) -> None:
        """Write a record to a topic (catalogue short name), acknowledged; by default to its key's partition."""

        async def write() -> None:
            producer = Producer(self.settings)
            await producer.start()
            name, value = self.settings.catalogue[topic].name, CODEC.encode(record)
            await (await producer.send(name, value, key=key, partition=partition))
            await producer.stop()

        asyncio.run(write())

    def wait_for(self, topic: str, kind: type[R], about: str, count: int = 1, timeout: float = PATIENCE) -> list[R]:
        """Wait for `count` records of a topic that contain a text, and return them in order."""
        deadline = time.monotonic() + timeout
        while True:
            found = [r for r in self.records(topic) if isinstance(r, kind) and about in repr(r)]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"{len(found)} of {count} records on {topic}{self.ended()}"
            time.sleep(0.2)

    def ended(self) -> str:
        """Return the last lines of ended services, for the message of a test that waits in vain."""
        gone = [service for service in self.services.values() if not service.is_alive()]
        return "".join(f"\n{service.name} has ended:\n{service.last_lines(LINES)}" for service in gone)

    def _service(self, name: str) -> ForkedService:
        kind = re.sub(r"-\d+$", "", name)
        own = {"TRACKLY_INSTANCE_ID": name}
        port = self.ingest_port
        if kind != "ingest":
            port = free_port()
            own[f"TRACKLY_{kind.upper().replace('-', '_')}_PORT"] = str(port)
        return ForkedService(name, [kind], {**self.environment, **own}, self._directory / f"{name}.log", port)

    def _end(self, name: str, number: signal.Signals) -> None:
        service = self.services[name]
        assert service.process is not None
        assert service.is_alive(), f"{name} died by itself:\n{service.last_lines(LINES)}"
        os.kill(service.process.pid, number)
        service.process.wait(PATIENCE)


def stored(settings: BusSettings, topic: str) -> list[Any]:
    """Everything on a topic (catalogue short name) as Kafka has it, partition by partition."""
    from kafka import KafkaConsumer, TopicPartition

    entry = settings.catalogue[topic]
    consumer = KafkaConsumer(**settings.kafka_python(), auto_offset_reset="earliest")
    tps = [TopicPartition(entry.name, number) for number in range(entry.partitions)]
    consumer.assign(tps)
    ends = consumer.end_offsets(tps)
    found: list[Any] = []
    while any(consumer.position(tp) < ends[tp] for tp in tps):
        for batch in consumer.poll(timeout_ms=500).values():
            found += batch
    consumer.close()
    return found


def made_anew(settings: BusSettings, topic: str) -> None:
    """Delete and recreate a topic (catalogue short name)."""
    name = settings.catalogue[topic].name
    with Admin(settings, PATIENCE) as admin:
        client: Any = admin._client
        client.delete_topics([name])
        until = time.monotonic() + PATIENCE
        while name in admin.list_topics():
            assert time.monotonic() < until
            time.sleep(0.1)
        admin.apply(settings.catalogue)


@contextmanager
def running(
    broker: str, directory: Path, prefix: str, configs: Sequence[Config], *services: str, **environment: str
) -> Iterator[Cluster]:
    """Yield a cluster with its own topics and these settings, once these services are ready."""
    settings = BusSettings(
        bootstrap_servers=broker, topic_prefix=f"{prefix}{free_port()}.", partitions=4, data_dir=directory
    )
    with Cluster(settings, directory, **environment) as cluster:
        asyncio.run(cluster.configure(list(configs)))
        cluster.start(*services)
        cluster.wait_ready()
        yield cluster
