"""`python -m bench sizing`: the size of message and contact rows on disk, in memory, and in the changelog.

Uses real stores with production settings, written in batches of a worker's size, without a broker.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random
from uuid import UUID

import lz4.frame

from bench.measure import resident_bytes
from bus.tables.store import RocksStore
from bus.tables.versions import pack
from bus.worker.batches import BATCH_RECORDS
from schemas.codec import Codec
from schemas.ids import contact_key
from schemas.records import Link, MessageSent
from schemas.registry import registry_for
from streams import message_row, row
from streams.message_row import MessageRow, Report, message_key
from streams.row import ContactRow, Counted

STORES = 4
LIST = "+18005551234"
START = 1_763_600_000_000
READS = 20_000
LONGEST = "contact, 32 messages"
Row = tuple[bytes, bytes]

_CODEC = Codec(registry_for(None))


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes per row, `held` in memory while the stores are open; MB added by many reads; microseconds per read."""

    name: str
    rows: int
    value: float
    changelog: float
    disk: float
    held: float
    cached_mb: float
    read_us: float


def message(number: int, full: bool) -> Row:
    """Return a registered message; `full`: with a callback URL, two arguments, and a link."""
    random = Random(number)
    sent = MessageSent(
        message_id=f"order-{number}",
        account="acme",
        provider="infobip",
        provider_message_id=_uuid(random),
        list_number=LIST,
        to=f"+1555{number:07d}",
        part_count=1,
        unique_args={"campaign": f"{number % 50}", "user": _uuid(random)} if full else {},
        callback_url="https://crm.example.com/hooks/sms/acme" if full else None,
        links=(Link(_uuid(random), f"https://shop.example.com/offer/{number % 50}"),) if full else (),
        sent_at=START + number,
    )
    value = message_row.to_bytes(_delivered(START + number, sent), _CODEC)
    return message_key(sent.account, sent.provider, sent.provider_message_id), value


def reported(number: int) -> Row:
    """Return an unregistered message with a report."""
    key = message_key("acme", "infobip", _uuid(Random(number)))
    return key, message_row.to_bytes(_delivered(START + number, None), _CODEC)


def _delivered(at: int, sent: MessageSent | None) -> MessageRow:
    report = Report("delivered", "DELIVERED_TO_HANDSET", "delivered", 3, "3,5", at, None, at + 1_000)
    return MessageRow(since=at, message=sent, sent=True, reports=(report,), list_number=LIST)


def contact(number: int, messages: int) -> Row:
    """Return a contact after this many messages, one per week, one in ten not delivered."""
    random = Random(number)
    counted = []
    for week in range(messages):
        at = START + week * 604_800_000 + random.randrange(36_000_000)
        counted.append(Counted(f"infobip:{_uuid(random)}", at, random.random() >= 0.9))
    value = row.to_bytes(ContactRow(since=counted[0].at, counted=tuple(counted)))
    return contact_key("acme", LIST, f"+1555{number:07d}").encode(), value


SHAPES: dict[str, Callable[[int], Row]] = {
    "message, not registered": reported,
    "message": lambda number: message(number, full=False),
    "message, callback and link": lambda number: message(number, full=True),
    "contact, 4 messages": lambda number: contact(number, 4),
    LONGEST: lambda number: contact(number, 32),
}


def measure(directory: Path, count: int) -> Iterator[Size]:
    """Return the sizes of each shape of row with `count` rows; a tenth of them for the longest."""
    for name, make in SHAPES.items():
        rows = count // 10 if name == LONGEST else count
        print(f"{name}: {rows:,} rows", file=sys.stderr)
        yield _measure(directory / name.replace(" ", "-").replace(",", ""), name, rows, make)


def show(sizes: Iterator[Size]) -> None:
    """Print a line per shape."""
    print(f"{'bytes a row':28} {'row':>6} {'changelog':>10} {'disk':>6} {'held':>6} {'cached MB':>9} {'read us':>8}")
    for size in sizes:
        print(
            f"{size.name:28} {size.value:6.0f} {size.changelog:10.0f} {size.disk:6.0f}"
            f" {size.held:6.1f} {size.cached_mb:9.1f} {size.read_us:8.1f}",
            flush=True,
        )


def _measure(directory: Path, name: str, count: int, make: Callable[[int], Row]) -> Size:
    stores = [RocksStore(directory / str(number)) for number in range(STORES)]
    value_bytes = packed_bytes = 0
    for first in range(0, count, BATCH_RECORDS):
        rows: list[dict[bytes, bytes | None]] = [{} for _ in stores]
        batch = []
        for number in range(first, min(first + BATCH_RECORDS, count)):
            key, value = make(number)
            rows[number % STORES][key] = pack(START << 2, value)
            value_bytes += len(key) + len(value)
            batch.append(key + value)
        packed_bytes += len(lz4.frame.compress(b"".join(batch)))
        for store, its_rows in zip(stores, rows, strict=True):
            store.write(its_rows, first)
    for store in stores:
        store.close()
    disk = sum(path.stat().st_size for path in directory.rglob("*.sst"))
    # In a separate process: this one would reuse freed memory, which would not be measured.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        held, cached, read_us = pool.submit(_read, directory, name, count).result()
    return Size(
        name, count, value_bytes / count, packed_bytes / count, disk / count, held / count, cached / 1e6, read_us
    )


def _read(directory: Path, name: str, count: int) -> tuple[int, int, float]:
    """Return the memory of open stores, the increase by many reads, and microseconds per read."""
    keys = [(number % STORES, SHAPES[name](number)[0]) for number in Random(1).sample(range(count), min(READS, count))]
    before = resident_bytes(os.getpid())
    stores = [RocksStore(directory / str(number)) for number in range(STORES)]
    for store in stores:
        store.get(keys[0][1])
    held = resident_bytes(os.getpid()) - before
    started = time.perf_counter()
    for number, key in keys:
        stores[number].get(key)
    read_us = 1e6 * (time.perf_counter() - started) / len(keys)
    return held, resident_bytes(os.getpid()) - before - held, read_us


def _uuid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128)))
