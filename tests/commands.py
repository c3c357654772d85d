"""What tests of the command share: its output, and records for it to find."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Iterable
from typing import Any

from bus.producer import Producer
from bus.settings import BusSettings
from schemas.cloudevents import event_headers
from schemas.codec import Codec
from schemas.records import Record
from schemas.registry import FolderRegistry

NOW = time.time_ns() // 1_000_000
Trackly = Callable[..., subprocess.CompletedProcess[str]]
"""Runs the command with these arguments to its end."""


def lines_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def write(settings: BusSettings, topic: str, *records: tuple[bytes, Record | bytes | None]) -> None:
    asyncio.run(_write(settings, topic, records))


async def _write(settings: BusSettings, topic: str, records: Iterable[tuple[bytes, Record | bytes | None]]) -> None:
    codec = Codec(FolderRegistry())
    producer = Producer(settings)
    await producer.start()
    for key, record in records:
        is_record = record is not None and not isinstance(record, bytes)
        await (
            await producer.send(
                settings.catalogue[topic].name,
                codec.encode(record) if is_record else record,  # type: ignore[arg-type]
                key=key,
                headers=event_headers(record, "evt_1", NOW) if is_record else None,  # type: ignore[arg-type]
            )
        )
    await producer.stop()
