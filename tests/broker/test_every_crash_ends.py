"""However a service crashes, and whatever hangs then, its process ends, and soon.

Each case is a real service with one built-in fault. The deadlines are shortened; the real ones are checked first.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from bus.admin import Admin
from bus.ending import CRASH_SECONDS, STOP_SECONDS
from bus.settings import BusSettings
from tests.cluster import Cluster
from tests.patience import PATIENCE

SHORT = 2.0

BUSY = 30.0
"""Seconds that a busy machine may add. What is wrong here ends a minute later, or never."""

HEAD = f"""
import asyncio, os, signal, sys, threading, time
import bus.worker.app, bus.worker.run, bus.worker.consumer, trackly.http, ingest.app
for module in (bus.worker.app, bus.worker.run, trackly.http, ingest.app):
    module.CRASH_SECONDS = module.STOP_SECONDS = {SHORT}

async def hang(*arguments, **options):
    await asyncio.Event().wait()

async def fail(*arguments, **options):
    tell()
    raise RuntimeError("made to fail")

def tell():
    print(time.monotonic(), flush=True)
"""

STREAMS = """
from streams.app import create_app
from streams.settings import StreamsSettings
worker = create_app(StreamsSettings())

async def when_it_runs():
    while worker.health.problems():
        await asyncio.sleep(0.05)
    hang_now()
    tell()
    await crash()

async def crash():
    await worker.crash(RuntimeError("made to crash"))

start = worker.on_start
async def on_start():
    await start()
    worker.add_future(when_it_runs())
worker.on_start = on_start

def hang_now():
    pass
"""

WAYS = {
    "nothing hangs": "",
    "an inner service crashes": """
        async def crash():
            await worker.consumer.crash(RuntimeError("made to crash"))""",
    "the last commit waits": """
        def hang_now():
            worker.consumer.force_commit = hang""",
    "the consumer's thread does not answer": """
        def hang_now():
            worker.consumer._thread.call_thread = hang""",
    "work in progress does not end": """
        def hang_now():
            worker.before_revoke.append(hang)""",
    "the producer cannot flush": """
        def hang_now():
            worker.records_producer.stop = hang""",
    "the event loop is blocked": """
        async def crash():
            await worker.crash(RuntimeError("made to crash"))
            time.sleep(60)""",
    "a thread does not end": """
        def hang_now():
            threading.Thread(target=time.sleep, args=(60,)).start()""",
    "it cannot start, and not stop": """
        worker.accounts.start = fail
        worker.accounts.stop = worker.records_producer.stop = hang""",
    "it is told to stop, and cannot": """
        def hang_now():
            worker.consumer.force_commit = hang
        async def crash():
            os.kill(os.getpid(), signal.SIGTERM)""",
}

INGEST = """
from ingest.app import Ingest, create_app, server
from ingest.settings import IngestSettings
settings = IngestSettings()
service = Ingest(settings)
"""

HTTP_WAYS = {
    "it cannot start, and not stop": """
        service.accounts.start = fail
        service.producer.stop = hang""",
    "it is told to stop, and cannot": """
        start = service.accounts.start
        async def started():
            await start()
            asyncio.get_running_loop().call_later(0.5, stop)
        def stop():
            tell()
            os.kill(os.getpid(), signal.SIGTERM)
        service.accounts.start = started
        service.producer.stop = hang""",
}


@pytest.fixture
def cluster(bus_settings: BusSettings, tmp_path: Path) -> Cluster:
    with Admin(bus_settings, PATIENCE) as admin:
        admin.apply(bus_settings.catalogue)
    return Cluster(bus_settings, tmp_path)


def seconds_to_the_end(cluster: Cluster, *parts: str) -> float:
    """Run a service until it ends with a failure; returns the seconds since it reported the crash."""
    program = HEAD + "".join(textwrap.dedent(part) for part in parts)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=cluster.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, log = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"it does not end:\n{process.communicate()[1][-3_000:]}")
    ended = time.monotonic()
    assert process.returncode == 1, log[-3_000:]
    assert out, log[-3_000:]
    return ended - float(out.splitlines()[0])


def test_a_crash_ends_within_30_seconds_and_a_stop_before_an_orchestrator_kills() -> None:
    assert CRASH_SECONDS + 5 <= 30
    assert STOP_SECONDS < 60


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_worker_that_crashes_ends(cluster: Cluster, way: str) -> None:
    end = "\nfrom bus.worker.run import run_worker\nsys.exit(run_worker(worker))"
    assert seconds_to_the_end(cluster, STREAMS, way, end) < SHORT + BUSY


@pytest.mark.parametrize("way", HTTP_WAYS.values(), ids=HTTP_WAYS)
def test_a_service_with_a_web_server_that_cannot_go_on_ends(cluster: Cluster, way: str) -> None:
    end = """
        import uvicorn
        app = create_app(settings, service)
        trackly.http.run_http("ingest", uvicorn.Server(uvicorn.Config(app, port=settings.port, log_config=None)))"""
    assert seconds_to_the_end(cluster, INGEST, way, end) < SHORT + BUSY
