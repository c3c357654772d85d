"""What `trackly up` needs before it starts anything, and what it does about a broker that ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.embedded.broker import EmbeddedKafkaError, free_port
from bus.up_files import ADDRESSES
from trackly.commands.up import command
from trackly.commands.up.command import Stack
from trackly.errors import Failed


@pytest.fixture
def taken() -> Iterator[int]:
    """The port of somebody else."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def refusal(stack: Stack) -> str:
    said: list[str] = []
    try:
        with pytest.raises(Failed) as caught:
            stack.start(said.append)
    finally:
        stack.stop()
    assert "starting the broker" not in said
    return str(caught.value)


def test_a_port_for_callbacks_that_is_taken_is_refused_with_its_option(tmp_path: Path, taken: int) -> None:
    told = refusal(Stack(tmp_path, port=taken))
    assert told.startswith(f"ingest cannot listen on 127.0.0.1:{taken}: ")
    assert told.endswith("Choose another port with --port.")


def test_a_port_for_the_console_that_is_taken_is_refused_with_its_option(tmp_path: Path, taken: int) -> None:
    told = refusal(Stack(tmp_path, port=free_port(), console_port=taken))
    assert told.startswith(f"console cannot listen on 127.0.0.1:{taken}: ")
    assert told.endswith("Choose another port with --console-port.")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("TRACKLY_PUBLIC_URL", "sms.example.com", "is not a valid web address"),
        ("TRACKLY_LOG_LEVEL", "LOUD", "is not a known level"),
        ("TRACKLY_CHECK_MAX_AGE", "30s", "valid number"),
        ("OTEL_METRICS_EXPORTER", "abacus", "abacus"),
    ],
)
def test_a_value_that_a_service_refuses_is_refused_before_anything_starts(
    name: str, value: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    said = refusal(Stack(tmp_path, port=free_port()))
    assert said.startswith(name)
    assert told in said


def test_a_variable_that_no_service_reads_is_told(tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLY_PARTITONS", "3")
    said: list[str] = []
    stack = Stack(tmp_path, port=taken)
    with pytest.raises(Failed):
        stack.start(said.append)
    stack.stop()
    assert "TRACKLY_PARTITONS is not a setting; did you mean TRACKLY_PARTITIONS?" in said


def test_a_directory_that_another_one_uses_is_refused_and_its_addresses_stay(tmp_path: Path) -> None:
    first = Stack(tmp_path, port=free_port())
    first._acquire()
    first.environment = {"KAFKA_BOOTSTRAP_SERVERS": "localhost:1"}
    first._write_addresses()
    told = refusal(Stack(tmp_path, port=free_port()))
    assert told.startswith(f"{tmp_path} is in use by another `trackly up`")
    assert (tmp_path / ADDRESSES).exists()
    first.stop()
    assert not (tmp_path / ADDRESSES).exists()


def test_the_addresses_of_a_broker_that_keeps_the_stack_from_starting_stay(tmp_path: Path) -> None:
    stack = Stack(tmp_path, port=free_port())
    stack._acquire()
    (tmp_path / ADDRESSES).write_text("{}")
    stack.stop()
    assert (tmp_path / ADDRESSES).exists()


class Broker:
    """A broker that has ended, and starts only once there is room on the disk."""

    log_path = Path("kafka.log")

    def __init__(self) -> None:
        self.has_room = False
        self.runs = False

    def is_alive(self) -> bool:
        return self.runs

    def start(self, progress: object) -> None:
        if not self.has_room:
            raise EmbeddedKafkaError("the broker died while it started; kafka.log ends with:\nNo space left on device")
        self.runs = True

    def stop(self) -> None:
        self.runs = False


@pytest.fixture
def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Stack, Any, list[str]]]:
    """A stack whose broker has ended, the broker, and what the stack reports."""
    said: list[str] = []
    stack, broker = Stack(tmp_path, port=free_port()), Broker()
    held: Any = broker
    stack.broker, stack._report = held, said.append
    monkeypatch.setattr(command, "BROKER_WAIT", 0.0)
    yield stack, broker, said
    stack.stop()


def test_a_broker_that_has_ended_is_started_again(ended: tuple[Stack, Any, list[str]]) -> None:
    stack, broker, said = ended
    broker.has_room = True
    for _ in range(3):
        stack.tend()
    assert broker.runs
    assert said == ["the broker ended; starting it again in 0 s. Its log: kafka.log"]


def test_a_broker_that_cannot_start_is_tried_again_and_the_reason_told(ended: tuple[Stack, Any, list[str]]) -> None:
    stack, broker, said = ended
    for _ in range(3):
        stack.tend()
    assert said[1].startswith("the broker died while it started")
    assert "No space left on device" in said[1]
    broker.has_room = True
    stack.tend()
    assert broker.runs
