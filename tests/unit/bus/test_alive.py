"""When a running service counts as dead."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bus.alive import Patience, ReadinessAnswer, ask, children_of_init, main, memory_of_this_start, probe
from bus.health import Health

READY, NOT_READY = ReadinessAnswer(True), ReadinessAnswer(False)


@contextmanager
def service(status: int, body: bytes) -> Iterator[int]:
    """Yield the port of a server that always gives this answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answers", "dead"),
    [
        ([(0, READY), (500, READY)], False),
        ([(0, NOT_READY), (179, NOT_READY)], False),
        ([(0, NOT_READY), (100, NOT_READY), (180, NOT_READY)], True),
        ([(0, NOT_READY), (100, READY), (180, NOT_READY), (359, NOT_READY)], False),
        (
            [(0, ReadinessAnswer(False, 1.0)), (100, ReadinessAnswer(False, 2.0)), (279, ReadinessAnswer(False, 2.0))],
            False,
        ),
        (
            [(0, ReadinessAnswer(False, 1.0)), (100, ReadinessAnswer(False, 2.0)), (280, ReadinessAnswer(False, 2.0))],
            True,
        ),
        # What it has read before it stopped answering is not progress.
        (
            [
                (0, ReadinessAnswer(False, 7.0)),
                (100, NOT_READY),
                (170, ReadinessAnswer(False, 7.0)),
                (180, ReadinessAnswer(False, 7.0)),
            ],
            True,
        ),
    ],
)
def test_a_service_is_dead_when_it_was_neither_ready_nor_moving_for_three_minutes(
    answers: list[tuple[int, ReadinessAnswer]], dead: bool, tmp_path: Path
) -> None:
    memory = tmp_path / "memory"
    patience = Patience()
    for at, answer in answers:
        over = patience.is_over(answer, at)
        # Each health check of a container is a process of its own.
        remembered = Patience.remembered(memory)
        assert remembered.is_over(answer, at) == over
        remembered.remember(memory)
    assert over == dead


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"since": "x"}', '{"since": 1, "progress": null}'])
def test_a_memory_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "memory").write_text(text)
    assert not Patience.remembered(tmp_path / "memory").is_over(READY, 10_000.0)


def test_what_readyz_says_is_understood() -> None:
    health = Health("streams")
    health.progress.append(lambda: 5.0)
    status, body = health.readiness()
    with service(status, body) as port:
        assert ask(port) == ReadinessAnswer(False, 5.0)
    health.ready = True
    status, body = health.readiness()
    with service(status, body) as port:
        assert ask(port) == READY


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"progress": "much"}'])
def test_a_service_that_answers_something_else_is_not_ready(body: bytes) -> None:
    with service(503, body) as port:
        assert ask(port) == NOT_READY


def test_a_service_that_does_not_answer_is_not_ready() -> None:
    with service(200, b"") as port:
        pass
    assert ask(port) == NOT_READY


def test_a_health_check_says_by_its_exit_code_whether_the_service_is_ready(tmp_path: Path) -> None:
    with service(200, b"{}") as port:
        assert main(port, tmp_path / "memory") == 0
    with service(503, b"{}") as port:
        assert main(port, tmp_path / "memory") == 1


def test_a_probe_fails_only_where_the_service_counts_as_dead(tmp_path: Path) -> None:
    with service(503, b'{"progress": 1}') as port:
        assert probe(port, tmp_path / "patient") == 0
        assert probe(port, tmp_path / "memory", limit=0.0) == 1
    with service(200, b"{}") as port:
        assert probe(port, tmp_path / "memory", limit=0.0) == 0


def test_a_probe_remembers_nothing_of_the_container_before(tmp_path: Path) -> None:
    memories = set()
    for started in ("4711", "4712"):
        (tmp_path / "1").mkdir(exist_ok=True)
        (tmp_path / "1" / "stat").write_text(f"1 (a (strange) name) S 0 {' '.join('0' * 17)} {started} 0\n")
        memories.add(memory_of_this_start(tmp_path))
    assert sorted(path.name for path in memories) == ["trackly-health-4711.json", "trackly-health-4712.json"]


def test_the_service_is_the_child_of_the_first_process(tmp_path: Path) -> None:
    for pid, parent in ((1, 0), (7, 1), (8, 7), (900, 0), (os.getpid(), 1)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a (strange) name) S {parent} 1 1 0 -1\n")
    (tmp_path / "meminfo").write_text("no process")
    (tmp_path / "11").mkdir()
    assert children_of_init(tmp_path) == [7]


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="makes a process namespace of its own")
def test_in_a_container_a_dead_service_is_killed_and_the_container_ends(tmp_path: Path) -> None:
    # The first process stands for Docker's init, which ends with its child; the service hangs and ignores SIGTERM.
    program = f"""
import subprocess, sys, time
hang = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
service = subprocess.Popen([sys.executable, "-c", hang])
check = "import sys; from pathlib import Path; from bus.alive import main; main(9, Path({str(tmp_path / "m")!r}), 0.2)"
until = time.monotonic() + 20
while service.poll() is None and time.monotonic() < until:
    subprocess.run([sys.executable, "-c", check])
    time.sleep(0.1)
print(service.returncode)
"""
    namespace = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*namespace, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine makes no process namespaces")
    ended = subprocess.run([*namespace, sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == "-9", ended
