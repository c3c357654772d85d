"""`python -m bench recovery`: how soon a streams worker with a million contacts is ready.

Starts one worker three times: with an empty disk (everything is restored from the changelog), after a clean stop, and
after a kill. Each row has four messages, like a contact after a month of weekly campaigns.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from random import Random
from uuid import UUID

from bench.measure import resident_bytes
from bus.admin import Admin
from bus.embedded.broker import EmbeddedKafka, free_port
from bus.producer import Producer
from bus.settings import BusSettings
from bus.tables.versions import pack
from schemas.ids import contact_key
from streams.row import ContactRow, Counted, to_bytes
from trackly.commands.up.supervisor import Service

LIST = "+18005551234"
MESSAGES = 4
START = 1_763_600_000_000
"""Time of the first campaign, in ms."""


def contact_row(number: int) -> bytes:
    """Return a contact whose messages were delivered."""
    random = Random(number)
    counted = []
    for week in range(MESSAGES):
        at = START + week * 604_800_000 + random.randrange(36_000_000)
        key = f"infobip:{UUID(int=random.getrandbits(128))}"
        counted.append(Counted(key, at, False))
    return to_bytes(ContactRow(since=counted[0].at, counted=tuple(counted)))


async def fill(settings: BusSettings, count: int) -> int:
    """Write the rows of `count` contacts to the changelog; returns their bytes."""
    producer = Producer(settings, linger_ms=20)
    await producer.start()
    changelog = settings.catalogue["table_contacts"].name
    size = 0
    for first in range(0, count, 10_000):
        sent = []
        for number in range(first, min(first + 10_000, count)):
            key, value = contact_key("acme", LIST, f"+1555{number:07d}").encode(), pack(1, contact_row(number))
            size += len(key) + len(value)
            sent.append(await producer.send(changelog, value, key=key, partition=number % settings.partitions))
        await asyncio.gather(*sent)
    await producer.stop()
    return size


class Worker:
    """The streams worker that is started repeatedly."""

    def __init__(self, settings: BusSettings, directory: Path) -> None:
        port = free_port()
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "TRACKLY_PARTITIONS": str(settings.partitions),
            "TRACKLY_DATA_DIR": str(directory),
            "TRACKLY_INSTANCE_ID": "streams-1",
            "TRACKLY_STREAMS_PORT": str(port),
        }
        self.tables = directory / "streams"
        self._service = Service("streams-1", ["streams"], environment, directory / "streams.log", port)

    def start(self) -> tuple[float, float]:
        """Start it and wait until it is ready; returns the seconds in all, and those for taking over its tables."""
        started = last = time.monotonic()
        reading = 0.0
        self._service.start()
        while not self._service.is_ready():
            if not self._service.is_alive():
                raise RuntimeError(f"the worker died:\n{self._service.last_lines(20)}")
            time.sleep(0.05)
            now = time.monotonic()
            if "tables" in self._problems():
                reading += now - last
            last = now
        return time.monotonic() - started, reading

    def end(self, number: int) -> float:
        """Send a signal and wait for the end; returns the seconds."""
        begun = time.monotonic()
        process = self._service.process
        assert process is not None
        os.kill(process.pid, number)
        process.wait(60)
        return time.monotonic() - begun

    def resident_mb(self) -> int:
        """Return the process's memory."""
        assert self._service.process is not None
        return resident_bytes(self._service.process.pid) >> 20

    def _problems(self) -> str:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self._service.health_port}/readyz", timeout=1).close()
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError:
            pass
        return ""


def measure(directory: Path, count: int) -> dict[str, object]:
    """Return the seconds of each start, rows per second from an empty disk, and bytes on disk."""
    with EmbeddedKafka(directory / "kafka", fast_start=False) as kafka:
        settings = BusSettings(bootstrap_servers=kafka.bootstrap_servers, partitions=4, data_dir=directory)
        with Admin(settings) as admin:
            admin.apply(settings.catalogue)
        print(f"writing {count:,} rows", file=sys.stderr)
        size = asyncio.run(fill(settings, count))
        worker = Worker(settings, directory)
        print("starting with an empty disk", file=sys.stderr)
        lost, reading = worker.start()
        resident = worker.resident_mb()
        stop = worker.end(signal.SIGTERM)
        clean, _ = worker.start()
        worker.end(signal.SIGKILL)
        killed, _ = worker.start()
        worker.end(signal.SIGTERM)
        on_disk = sum(path.stat().st_size for path in worker.tables.rglob("*") if path.is_file())
        shutil.rmtree(worker.tables)
        return {
            "rows": count,
            "bytes_a_row": round(size / count),
            "disk_bytes_a_row": round(on_disk / count),
            "empty_disk_ready_s": round(lost, 1),
            "rows_per_second": round(count / reading) if reading else None,
            "resident_mb": resident,
            "stop_s": round(stop, 1),
            "clean_stop_ready_s": round(clean, 1),
            "killed_ready_s": round(killed, 1),
        }


def show(result: dict[str, object], as_json: bool) -> None:
    """Print the figures, one per line or as a JSON object."""
    if as_json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"  {name:20} {value}")
