"""The receivers of docs/receivers, started unchanged, get what we sign."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bus.embedded.broker import free_port
from outbound.signing import Signer
from tests.patience import PATIENCE
from tests.unit.docs.test_verification_snippets import NEXT, SECRET, snippet_of

ROOT = Path(__file__).parents[2]
RECEIVERS = ROOT / "docs" / "receivers"
BODY = '{"event":"reply","body":"Grüße, 100 %"}'.encode()
IN_FLIGHT = 16
"""Requests that sinks make at once to one endpoint."""

STARTS_WITHIN = 60.0
"""Seconds, on a machine that does much else."""


@dataclass(frozen=True)
class Receiver:
    """One of docs/receivers. `{port}` in its command is the port to listen on."""

    language: str
    verification: tuple[str, str]
    command: tuple[str, ...]
    build: tuple[str, ...] = ()


LANGUAGES = (
    Receiver("python", ("python", "webhooks.py"), (sys.executable, "receiver.py")),
    Receiver("node", ("javascript", "webhooks.js"), ("node", "receiver.js")),
    Receiver("go", ("go", "webhooks.go"), ("./receiver",), ("go", "build", "-o", "receiver", ".")),
    Receiver("java", ("java", "Webhooks.java"), ("java", "Receiver"), ("javac", "Receiver.java", "Webhooks.java")),
    Receiver("php", ("php", "webhooks.php"), ("php", "-S", "127.0.0.1:{port}", "receiver.php")),
    Receiver("ruby", ("ruby", "webhooks.rb"), ("puma", "--quiet", "--bind", "tcp://127.0.0.1:{port}", "config.ru")),
)


@contextmanager
def started(receiver: Receiver, folder: Path) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    """Yield a client of a receiver that answers, and its process."""
    port = free_port()
    environment = {**os.environ, "WEBHOOK_SECRET": SECRET, "INBOX": str(folder / "inbox"), "PORT": str(port)}
    command = [part.format(port=port) for part in receiver.command]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False) as client:
            _wait(process, client, folder / "log")
            yield client, process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait(process: subprocess.Popen[bytes], client: httpx.Client, log: Path) -> None:
    late = time.monotonic() + STARTS_WITHIN
    while True:
        assert process.poll() is None, log.read_text()
        try:
            client.post("/", content=b"")
        except httpx.TransportError:
            assert time.monotonic() < late, log.read_text()
            time.sleep(0.1)
        else:
            return


@pytest.mark.parametrize("receiver", LANGUAGES, ids=lambda receiver: receiver.language)
def test_a_receiver_keeps_each_event_of_ours_once_and_nothing_else(receiver: Receiver, tmp_path: Path) -> None:
    for program in (receiver.command[0], *receiver.build[:1]):
        if shutil.which(program) is None and not program.startswith("./"):
            pytest.skip(f"{program} is not installed: the {receiver.language} receiver was NOT run")
    folder = tmp_path / receiver.language
    shutil.copytree(RECEIVERS / receiver.language, folder)
    # A customer's own project around it, in which files of JavaScript are modules.
    (tmp_path / "package.json").write_text('{"type": "module"}')
    if receiver.build:
        built = subprocess.run(receiver.build, cwd=folder, capture_output=True, text=True, timeout=240)
        assert built.returncode == 0, built.stderr
    inbox, now, signer = folder / "inbox", int(time.time()), Signer(SECRET)

    with started(receiver, folder) as (client, _):

        def post(headers: dict[str, str], body: bytes = BODY) -> int:
            return client.post("/", content=body, headers=headers).status_code

        def kept() -> dict[str, bytes]:
            return {path.name: path.read_bytes() for path in inbox.iterdir() if path.is_file()}

        headers = signer.headers("evt_1", BODY, now)
        assert post(headers) == 204
        assert post(signer.headers("evt_1", BODY, now + 60)) == 204  # it came again
        assert kept() == {"evt_1": BODY}

        (inbox / "evt_1").rename(inbox / "done" / "evt_1")  # a worker has done it
        assert post(headers) == 204
        assert kept() == {}

        assert post(Signer(NEXT, SECRET).headers("evt_2", BODY, now)) == 204  # while the secret changes
        refused = [
            post(headers, BODY + b" "),
            post(Signer(NEXT).headers("evt_3", BODY, now)),
            post(signer.headers("evt_3", BODY, now - 360)),
            post(signer.headers("../evt_3", BODY, now)),
            post({}),
        ]
        assert refused == [401] * len(refused)
        assert post(signer.headers("evt_3", b"x" * 1_000_001, now), b"x" * 1_000_001) == 413
        assert kept() == {"evt_2": BODY}


def test_a_receiver_that_is_busy_takes_as_many_connections_as_we_open(tmp_path: Path) -> None:
    """Beyond its backlog, a connection waits for a second. Other languages' servers have a longer one by default."""
    folder = tmp_path / "python"
    shutil.copytree(RECEIVERS / "python", folder)
    with started(LANGUAGES[0], folder) as (client, process), ExitStack() as connections:
        process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(IN_FLIGHT):
                address = "127.0.0.1", client.base_url.port
                connections.enter_context(socket.create_connection(address, timeout=0.9))
        finally:
            process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("receiver", LANGUAGES, ids=lambda receiver: receiver.language)
def test_a_receiver_verifies_as_the_page_says(receiver: Receiver) -> None:
    fence, file = receiver.verification
    snippet = snippet_of(fence).replace("package webhooks\n", "package main\n")
    assert snippet.strip() in (RECEIVERS / receiver.language / file).read_text("utf-8")
