from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from bus.admin import Admin
from bus.embedded.broker import EmbeddedKafka, EmbeddedKafkaError
from bus.settings import BusSettings
from schemas.topics import Catalogue
from tests.patience import PATIENCE

pytestmark = [pytest.mark.broker, pytest.mark.slow]


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    embedded = EmbeddedKafka(tmp_path / "kafka")
    yield embedded
    embedded.kill()


def create_topics(servers: str) -> Catalogue:
    settings = BusSettings(bootstrap_servers=servers, partitions=1)
    with Admin(settings, PATIENCE) as admin:
        admin.apply(settings.catalogue)
    return settings.catalogue


def produce(servers: str, topic: str, values: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=servers, acks="all")
    try:
        sent = [producer.send(topic, value) for value in values]
        for future in sent:
            future.get(timeout=PATIENCE)
    finally:
        producer.close()


def consume(servers: str, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        bootstrap_servers=servers, group_id=None, auto_offset_reset="earliest", enable_auto_commit=False
    )
    values: list[bytes] = []
    try:
        consumer.assign([TopicPartition(topic, 0)])
        deadline = time.monotonic() + PATIENCE
        while len(values) < count and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=500).values():
                values += [record.value for record in records]
    finally:
        consumer.close()
    return values


def test_records_survive_a_kill_at_the_same_address(kafka: EmbeddedKafka) -> None:
    told: list[str] = []
    servers = kafka.start(told.append)
    assert "starting the broker" in told
    topic = create_topics(servers)["receipts"].name
    produce(servers, topic, [b"one", b"two"])

    kafka.kill()
    assert not kafka.is_alive()
    assert kafka.pid is None

    assert kafka.start() == servers
    assert consume(servers, topic, 2) == [b"one", b"two"]


def test_records_survive_a_stop(kafka: EmbeddedKafka) -> None:
    servers = kafka.start()
    topic = create_topics(servers)["receipts"].name
    produce(servers, topic, [b"one"])

    kafka.stop()
    again = EmbeddedKafka(kafka.data_dir)
    with again:
        assert again.bootstrap_servers == servers
        assert consume(servers, topic, 1) == [b"one"]
    assert not again.is_alive()


def test_the_largest_record_of_the_catalogue_is_taken(kafka: EmbeddedKafka) -> None:
    servers = kafka.start()
    largest = max(create_topics(servers).values(), key=lambda topic: topic.max_message_bytes)
    value = os.urandom(largest.max_message_bytes - 1_000)
    producer = KafkaProducer(bootstrap_servers=servers, max_request_size=largest.max_message_bytes)
    try:
        assert producer.send(largest.name, value).get(timeout=PATIENCE).offset == 0
    finally:
        producer.close()


def test_a_directory_has_one_broker_at_a_time(kafka: EmbeddedKafka) -> None:
    kafka.start()
    with pytest.raises(EmbeddedKafkaError, match=f"in use by the embedded Kafka of process {os.getpid()}"):
        EmbeddedKafka(kafka.data_dir).start()
    assert kafka.is_alive()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the command of a process")
def test_it_starts_with_an_archive_of_its_classes_which_java_takes(kafka: EmbeddedKafka) -> None:
    for _ in range(2):
        kafka.start()
        command = Path(f"/proc/{kafka.pid}/cmdline").read_bytes().decode().split("\0")
        if any(option.startswith("-XX:AOTCache=") for option in command):
            break
        kafka.stop()  # another process made the archive meanwhile
    (option,) = [each for each in command if each.startswith("-XX:AOTCache=")]
    assert option.partition("=")[2] in Path(f"/proc/{kafka.pid}/maps").read_text()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedKafkaError, match=f"port {port} is taken"):
            EmbeddedKafka(tmp_path, port).start()


def test_a_jvm_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    kafka = EmbeddedKafka(tmp_path, jvm_options=["-XX:NoSuchOption"])
    with pytest.raises(EmbeddedKafkaError, match="NoSuchOption"):
        kafka.start()
    assert not kafka.is_alive()


def test_jars_that_cannot_be_fetched_are_reported_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path / "cache"))
    for proxy in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:1")
    with pytest.raises(EmbeddedKafkaError, match=r"Maven Central .*Try again.*KAFKA_BOOTSTRAP_SERVERS"):
        EmbeddedKafka(tmp_path / "kafka").start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_the_broker_dies_with_a_killed_parent(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time; from bus.embedded.broker import EmbeddedKafka\n"
        "kafka = EmbeddedKafka(pathlib.Path(sys.argv[1])); kafka.start()\n"
        "print(kafka.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        jvm = int(parent.stdout.readline())
        os.kill(jvm, 0)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + PATIENCE
    while _runs(jvm) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(jvm)


def _runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
