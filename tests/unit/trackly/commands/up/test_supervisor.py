"""`trackly up` restarts processes that have died, and those that run but do nothing useful."""

from __future__ import annotations

import http.server
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.alive import Patience
from trackly.commands.up import supervisor
from trackly.commands.up.supervisor import Service, Supervisor


@pytest.fixture
def not_ready() -> Iterator[int]:
    """The port of something that answers 503 for ever."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_service_that_is_never_ready_is_killed_and_started_again(
    not_ready: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(supervisor, "BACKOFF", (0.0,))
    monkeypatch.setattr(supervisor, "Patience", lambda: Patience(limit=0.3))
    # A process that hangs does not hear SIGTERM either.
    hanging = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    monkeypatch.setattr(supervisor, "dying_with_parent", lambda _: [sys.executable, "-c", hanging])
    said: list[str] = []
    watched = Supervisor(said.append)
    service = watched.add(Service("streams-1", ["streams"], {}, tmp_path / "log", not_ready))
    first = service.process
    until = time.monotonic() + 15
    while service.process is first and time.monotonic() < until:
        watched.tend()
        time.sleep(0.02)
    assert service.process is not None
    assert service.process is not first
    service.signal(signal.SIGKILL)
    watched.stop()
    assert said[0] == "streams-1 has not been ready for a long time; killing it"
    # It may be looked at again while it is dying.
    assert "killed by signal 9" in next(each for each in said if each != said[0])


def test_the_reason_why_a_service_ended_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ending = "import sys; print('starting'); sys.exit('TRACKLY_PORT=x is not a port')"
    monkeypatch.setattr(supervisor, "dying_with_parent", lambda _: [sys.executable, "-c", ending])
    said: list[str] = []
    watched = Supervisor(said.append)
    service = watched.add(Service("ingest", ["ingest"], {}, tmp_path / "log", 1))
    assert service.process is not None
    service.process.wait(15)
    watched.tend()
    watched.stop()
    assert said == [
        f"ingest ended (exit code 1); starting it again in 0.5 s. Its log, {tmp_path / 'log'}, ends with: "
        "TRACKLY_PORT=x is not a port"
    ]
