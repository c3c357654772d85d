"""What is said where no broker answers."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from bus import admin
from bus.admin import BrokerUnavailable, connect
from bus.up_files import DEFAULT_SERVERS


@pytest.mark.parametrize(("server", "is_told"), [(DEFAULT_SERVERS, True), ("kafka.example:9092", False)])
def test_where_nothing_names_a_broker_the_data_directory_is_named(
    server: str, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(admin.socket, "create_connection", refuse)
    with pytest.raises(BrokerUnavailable) as caught:
        connect({"bootstrap_servers": [server]}, timeout=0)
    assert ("TRACKLY_DATA_DIR" in str(caught.value)) is is_told


def a_connection() -> Any:
    """Return a connection that only closes."""
    return SimpleNamespace(close=lambda: None)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "SAYS_AFTER", 0.05)
    monkeypatch.setattr(admin, "_said", threading.Event())


def unavailable(monkeypatch: pytest.MonkeyPatch, timeout: float) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(admin.socket, "create_connection", refuse)
    with pytest.raises(BrokerUnavailable):
        connect({"bootstrap_servers": ["kafka.example:9092", "other.example:9092"]}, timeout=timeout)


@pytest.mark.usefixtures("impatient")
def test_a_wait_for_a_broker_is_said_once_while_it_lasts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    unavailable(monkeypatch, 0.5)
    unavailable(monkeypatch, 0.5)
    assert caplog.messages == ["waiting up to 0.5 s for a Kafka broker at kafka.example:9092,other.example:9092"]


@pytest.mark.usefixtures("impatient")
def test_a_connection_that_is_made_at_once_is_not_mentioned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(admin.socket, "create_connection", lambda *_, **__: a_connection())
    monkeypatch.setattr(admin, "KafkaAdminClient", lambda **_: "a client")
    assert connect({"bootstrap_servers": ["kafka.example:9092"]}, timeout=5) == "a client"
    time.sleep(0.2)  # longer than it would have taken to say it
    assert caplog.messages == []


@pytest.mark.usefixtures("impatient")
def test_a_broker_that_accepts_connections_and_says_nothing_is_mentioned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(admin.socket, "create_connection", lambda *_, **__: a_connection())
    monkeypatch.setattr(admin, "SAYS_IF_SILENT_AFTER", 0.05)

    def answer_late(**_: Any) -> str:
        time.sleep(0.3)
        return "a client"

    monkeypatch.setattr(admin, "KafkaAdminClient", answer_late)
    connect({"bootstrap_servers": ["kafka.example:9092"]}, timeout=5)
    assert caplog.messages == ["waiting up to 5 s for a Kafka broker at kafka.example:9092"]
