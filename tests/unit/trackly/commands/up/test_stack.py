"""What `trackly up` needs before it starts anything."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.embedded.broker import free_port
from bus.settings import ADDRESSES
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


def test_a_directory_that_another_one_uses_is_refused_and_its_addresses_stay(tmp_path: Path) -> None:
    first = Stack(tmp_path, port=free_port())
    first._acquire()
    (tmp_path / ADDRESSES).write_text("{}")
    told = refusal(Stack(tmp_path, port=free_port()))
    assert told.startswith(f"{tmp_path} is in use by another `trackly up`")
    assert (tmp_path / ADDRESSES).exists()
    first.stop()
    assert not (tmp_path / ADDRESSES).exists()
