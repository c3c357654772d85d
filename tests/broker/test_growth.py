"""Partitions added by hand while everything runs, wrong clocks, and a silent broker."""

from __future__ import annotations

import asyncio
import math
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import bus.kafka_time
from bench.faults.built_in import CLOCK
from bench.faults.house import FaultyCluster
from bus.admin import Admin
from bus.clock import now_seconds
from bus.embedded.broker import EmbeddedKafka
from bus.kafka_time import ClockWrong, check_clock
from bus.producer import Producer
from bus.settings import BusSettings
from schemas.records import RawCallback, Receipt
from tests.broker.test_layout import CONFIGS, raise_partitions
from tests.cluster import CODEC, Cluster
from tests.patience import PATIENCE

pytestmark = pytest.mark.broker

REPORT = (
    b'{"results": [{"messageId": "%d", "to": "15551230077", "from": "18005550001",'
    b' "status": {"groupId": 3, "id": 5, "name": "DELIVERED_TO_HANDSET"}}]}'
)


@pytest.fixture
def cluster(bus_settings: BusSettings, tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(bus_settings, tmp_path, TRACKLY_PSEUDONYM_KEY="a key of the tests") as cluster:
        asyncio.run(cluster.configure([*CONFIGS]))
        yield cluster


def until(what: Callable[[], bool], timeout: float = PATIENCE) -> float:
    """Wait until a condition holds; returns the seconds."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < timeout
        time.sleep(0.2)
    return time.monotonic() - began


def problems(cluster: Cluster, name: str) -> list[str]:
    """Return the text of a service's `/readyz`."""
    answer = httpx.get(f"http://127.0.0.1:{cluster.services[name].health_port}/readyz", timeout=5)
    assert (answer.status_code == 200) is (answer.json()["problems"] == [])
    return list(answer.json()["problems"])


def test_every_service_stops_with_the_remedy_when_one_topic_is_raised_by_hand(cluster: Cluster) -> None:
    names = ("ingest", "streams-1", "sinks-1", "console-1", "read-model", "mirror")
    cluster.start(*names)
    cluster.wait_ready()
    raise_partitions(cluster, 6, "inbound")
    until(lambda: not any(cluster.services[name].is_alive() for name in names))
    for name in names:
        service = cluster.services[name]
        assert service.process is not None
        log = service.log_path.read_text()
        assert (name, service.process.returncode) == (name, 1)
        assert "sms.inbound has 6" in log
        assert "trackly topics grow" in log
        assert "Traceback" not in log


async def test_what_is_keyed_goes_where_it_went_before_partitions_were_added(cluster: Cluster) -> None:
    topic, keys = cluster.settings.catalogue["inbound"].name, [b"acme:+1555100%04d" % number for number in range(30)]
    producer = Producer(cluster.settings)
    await producer.start()

    async def places() -> list[int]:
        return [(await (await producer.send(topic, b"", key=key))).partition for key in keys]

    before = await places()
    await asyncio.to_thread(raise_partitions, cluster, 6, "inbound")
    async with asyncio.timeout(PATIENCE):
        while (await producer.counts())[topic] != 6 or await producer.partitions(topic) != 6:
            await asyncio.sleep(0.2)
    assert await places() == before
    await producer.stop()


def test_new_partitions_of_raw_callbacks_are_written_and_read_after_a_rolling_restart_of_static_members(
    cluster: Cluster,
) -> None:
    names = ("streams-1", "streams-2")
    cluster.start("ingest", *names)
    cluster.wait_ready()
    for name in names:
        cluster.stop(name)
        cluster.start(name)
        cluster.wait_ready()
    raise_partitions(cluster, 6, "raw")
    for number in range(6):
        write_raw(cluster, number)
    found = cluster.wait_for("receipts", Receipt, "DELIVERED", count=6, timeout=PATIENCE)
    assert {receipt.provider_message_id for receipt in found} == {str(number) for number in range(6)}
    until(lambda: [problems(cluster, name) for name in names] == [[], []])
    before = raw_ends(cluster)
    until(lambda: all(end > before[partition] for partition, end in after_some_callbacks(cluster).items()))


def after_some_callbacks(cluster: Cluster) -> dict[int, int]:
    """Return the end offsets of the raw topic after more callbacks."""
    url = f"http://127.0.0.1:{cluster.ingest_port}/api/webhook-feedbacks/infobip?account=acme"
    with httpx.Client() as client:
        for number in range(100):
            assert client.post(url, content=REPORT % number).status_code == 200
    return raw_ends(cluster)


def raw_ends(cluster: Cluster) -> dict[int, int]:
    with Admin(cluster.settings, PATIENCE) as admin:
        return admin.end_offsets(cluster.settings.catalogue["raw"].name)


def write_raw(cluster: Cluster, partition: int) -> None:
    from kafka import KafkaProducer

    raw = RawCallback(
        f"evt_{partition}", "infobip", "acme", "POST", "/", "", {}, "application/json", REPORT % partition, "", 1
    )
    producer = KafkaProducer(**cluster.settings.kafka_python())
    topic = cluster.settings.catalogue["raw"].name
    producer.send(topic, CODEC.encode(raw), partition=partition).get(timeout=PATIENCE)
    producer.close()


@pytest.mark.parametrize(
    ("off", "told"), [(7_200.0, r"7\d{3} s ahead of"), (-7_200.0, r"7\d{3} s behind"), (20.0, None)]
)
async def test_a_clock_is_compared_with_the_brokers(
    bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch, off: float, told: str | None
) -> None:
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
    monkeypatch.setattr(bus.kafka_time, "now_seconds", lambda: now_seconds() + off)
    if told is None:
        await check_clock(bus_settings, "tests")
        return
    with pytest.raises(ClockWrong, match=told):
        await check_clock(bus_settings, "tests")


def test_a_service_whose_clock_is_wrong_says_so_and_does_not_start(bus_settings: BusSettings, tmp_path: Path) -> None:
    with FaultyCluster(bus_settings, tmp_path, **{CLOCK: f"7200 {math.inf}"}) as cluster:
        cluster.start("ingest")
        process = cluster.services["ingest"].process
        assert process is not None
        assert process.wait(PATIENCE) == 1
        log = cluster.services["ingest"].log_path.read_text()
        assert re.search(r"clock is 7\d{3} s ahead of Kafka's", log)
        assert "TRACKLY_CLOCK_TOLERANCE" in log
        assert "Traceback" not in log


@contextmanager
def frozen(broker: EmbeddedKafka) -> Iterator[None]:
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


def test_services_say_within_15_seconds_that_no_broker_answers(tmp_path: Path) -> None:
    names = ("ingest", "streams-1", "console-1")
    with EmbeddedKafka(tmp_path / "kafka") as broker:
        settings = BusSettings(bootstrap_servers=broker.bootstrap_servers, partitions=4, data_dir=tmp_path)
        with Cluster(settings, tmp_path) as cluster:
            asyncio.run(cluster.configure([*CONFIGS]))
            cluster.start(*names)
            cluster.wait_ready()
            with frozen(broker):
                began = time.monotonic()
                until(lambda: all(problems(cluster, name) for name in names))
                assert time.monotonic() - began < 30  # 15, and what this machine does beside
                assert all("answer" in " ".join(problems(cluster, name)) for name in names)
            until(lambda: not any(problems(cluster, name) for name in names))
            assert all(cluster.services[name].is_alive() for name in names)
