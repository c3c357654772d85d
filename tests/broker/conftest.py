"""The command and the sinks service as processes, with the environment of one test, and a receiver of webhooks."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import warnings
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from accounts.secrets import new_key
from bus.admin import Admin
from bus.settings import BusSettings
from tests import fork_server
from tests.commands import Trackly, run_trackly
from tests.fork_server import Process
from tests.patience import PATIENCE
from tests.sink_house import Kafka, Receiver, receiving

# What tests begin their topics with: letters, and random hex digits or a port.
_TEST_PREFIX = re.compile(r"[a-z]{1,4}[0-9a-f]{4,6}\.")


@pytest.fixture(scope="module", autouse=True)
def no_topics_left(broker: str) -> Iterator[None]:
    """Delete the topics that a file of tests created.

    Kafka maps two index files of every partition into memory. The topics of all tests together are more than a kernel
    allows one process to map (65,530 by default), and the broker would end in the middle of the run.
    """
    from kafka import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=broker)
    try:
        before = set(admin.list_topics())
        yield
        created = sorted(name for name in set(admin.list_topics()) - before if _TEST_PREFIX.match(name))
        for start in range(0, len(created), 50):
            admin.delete_topics(created[start : start + 50], timeout_ms=30_000)
    finally:
        admin.close()


@pytest.fixture(scope="module", autouse=True)
def no_sockets_left() -> Iterator[None]:
    """Close leaked sockets of kafka-python's refused connections here, and not while a test of another file runs."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment with a key for stored secrets."""
    return {**environment, "TRACKLY_SECRET_KEYS": new_key()}


@pytest.fixture
def trackly(environment: dict[str, str]) -> Trackly:
    """Runs the command to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_trackly(arguments, environment)

    return run


@pytest.fixture
def topics(bus_settings: BusSettings) -> None:
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with receiving("/{name}", receiver.handle) as receiver.url:
        yield receiver


@pytest.fixture
def settings(bus_settings: BusSettings) -> BusSettings:
    settings = bus_settings.model_copy(update={"retry_schedule": ("1s", "2s")})
    with Admin(settings, PATIENCE) as admin:
        admin.apply(settings.catalogue)
    return settings


@pytest.fixture
def start_sinks(settings: BusSettings) -> Iterator[Callable[..., Process]]:
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "TRACKLY_TOPIC_PREFIX": settings.topic_prefix,
        "TRACKLY_PARTITIONS": "4",
        "TRACKLY_DATA_DIR": str(settings.data_dir),
        "TRACKLY_RETRY_SCHEDULE": ",".join(settings.retry_schedule),
        "TRACKLY_ALLOW_HTTP": "true",
        "TRACKLY_ALLOW_SUBNETS": "127.0.0.0/8",
    }
    started: list[Process] = []

    def start(**more: str) -> Process:
        started.append(fork_server.start(["sinks"], {**environment, **more}, 2))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
async def kafka(settings: BusSettings) -> AsyncIterator[Kafka]:
    kafka = Kafka(settings)
    await kafka.producer.start()
    yield kafka
    await kafka.producer.stop()
