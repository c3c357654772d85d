"""`trackly contact export`: what is recorded of the contacts of an account, as a file.

`sms.contacts` may hold several states of a contact until Kafka compacts it, and more contacts than fit into memory. So
the newest states are gathered in a store on disk first.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from bus.settings import BusSettings
from bus.stores import RocksStore, Store
from schemas.records import ContactState
from trackly.decoding import Decoder, time_text
from trackly.progress import Progress
from trackly.reading import BEGINNING, account_named, open_topic, read_accounts
from trackly.suppressions import Format

COLUMNS = ("number", "reason", "since", "list_number", "active", "failures")
"""Of both formats. `trackly contact import` reads the first two."""

_BATCH = 5_000


async def export_contacts(
    account: str, list_number: str | None, removed: bool, file_format: Format, out: Path | None
) -> int:
    """Write the contacts of an account, or of one of its lists, to a file or standard output; returns how many.

    Raises Failed for an unknown account.
    """
    settings = BusSettings()
    decoder = Decoder(settings)
    account_named(await read_accounts(settings, decoder.codec), account)
    wanted = f"{account}:" if list_number is None else f"{account}:{list_number}:"
    with tempfile.TemporaryDirectory(prefix="trackly-export-") as directory, _output(out) as file:
        store = RocksStore(Path(directory) / "contacts")
        try:
            await _gather(settings, wanted.encode(), store)
            return _write(decoder, store, removed, _writer(file, file_format))
        finally:
            store.close()


async def _gather(settings: BusSettings, wanted: bytes, store: Store) -> None:
    progress, read = Progress("records read"), 0
    rows: dict[bytes, bytes | None] = {}
    async with open_topic(settings, settings.catalogue["contacts"].name, BEGINNING) as topic:
        async for record in topic.rest():
            read += 1
            if record.key is not None and record.key.startswith(wanted):
                rows[record.key] = record.value
            if len(rows) == _BATCH:
                store.write(rows, None)
                rows = {}
            progress.tell(read)
    store.write(rows, None)
    progress.end()


def _write(decoder: Decoder, store: Store, removed: bool, write: Callable[[dict[str, Any]], None]) -> int:
    progress, count = Progress("contacts written"), 0
    for _, value in store.items():
        state = decoder.codec.decode_as(ContactState, value)
        if removed and state.active:
            continue
        write(
            {
                "number": state.phone_number,
                "reason": state.reason,
                "since": time_text(state.since),
                "list_number": state.list_number,
                "active": state.active,
                "failures": state.failures,
            }
        )
        count += 1
        progress.tell(count)
    progress.end()
    return count


def _writer(file: TextIO, file_format: Format) -> Callable[[dict[str, Any]], None]:
    if file_format == "jsonl":
        return lambda row: print(json.dumps(row), file=file)
    table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    table.writeheader()
    return lambda row: table.writerow({**row, "active": "true" if row["active"] else "false"})


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that gets its name once it is complete: half a list must not pass for a whole one."""
    if out is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    part = out.with_name(out.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        yield file
    part.replace(out)
