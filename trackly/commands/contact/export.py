"""`trackly contact export`: an account's contacts with a record, as a file.

`sms.contacts` may hold several states of a contact until Kafka compacts it, and more contacts than fit in memory, so
the newest states are gathered in a store on disk first.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from heapq import merge
from pathlib import Path
from typing import Any, TextIO

from msgspec.structs import replace

from accounts.suppression import ALL_LISTS, WHOLE_ACCOUNT, effective_state, strictest, unrecorded
from bus.reading.topic import BEGINNING
from bus.settings import BusSettings
from bus.tables.store import RocksStore, Store
from bus.tables.versions import Row, keep_newest, unpack, version_in
from schemas.ids import contact_key, contact_names
from schemas.numbering import canonical
from schemas.records import ContactState
from schemas.spreadsheets import harmless
from trackly.commands.contact.suppressions import COLUMNS, Format
from trackly.decoding import Decoder, time_text
from trackly.progress import Progress
from trackly.reading import account_named, check_list, open_topic, read_accounts

_BATCH = 5_000


async def export_contacts(
    account: str, list_number: str | None, removed: bool, file_format: Format, out: Path | None
) -> int:
    """Write the contacts of an account, or of one of its lists, to a file or standard output; returns how many.

    Every state is combined with the number's account-wide state. The latter is in the file too: for list `all` or, if
    one list is requested, as the state on that list. Raises Failed for an unknown account or list: nobody must take an
    empty file for a list from which nobody is removed.
    """
    settings = BusSettings()
    decoder = Decoder(settings)
    view = await read_accounts(settings, decoder.codec)
    account_named(view, account)
    if list_number is not None:
        check_list(view, account, list_number)
    with tempfile.TemporaryDirectory(prefix="trackly-export-") as directory, _output(out) as file:
        store = RocksStore(Path(directory) / "contacts")
        try:
            await gather(settings, _prefixes(account, list_number), store)
            states = (
                _of_account(decoder, store) if list_number is None else _of_list(decoder, store, account, list_number)
            )
            return _write(states, removed, _writer(file, file_format))
        finally:
            store.close()


def _prefixes(account: str, list_number: str | None) -> tuple[bytes, ...]:
    if list_number is None:
        return (f"{account}:".encode(),)
    return tuple(contact_key(account, each, "").encode() for each in (list_number, WHOLE_ACCOUNT))


async def gather(settings: BusSettings, wanted: tuple[bytes, ...], store: Store) -> None:
    """Read the newest state of each contact whose name has one of these prefixes into a store."""
    progress, read = Progress("records read"), 0
    rows: list[tuple[bytes, Row]] = []
    async with open_topic(settings, settings.catalogue["contacts"].name, BEGINNING) as topic:
        async for record in topic.rest():
            read += 1
            if record.key is not None and record.key.startswith(wanted):
                rows.append((record.key, (version_in(record.headers) or 0, record.value)))
            if len(rows) == _BATCH:
                keep_newest(store, rows)
                rows.clear()
            progress.tell(read)
    keep_newest(store, rows)
    progress.end()


def states_in(decoder: Decoder, store: Store) -> Iterator[ContactState]:
    """Return the gathered states as recorded, sorted by list and number."""
    for _, row in store.items():
        _, value = unpack(row)
        if value:
            yield decoder.codec.decode_as(ContactState, value)


def _of_account(decoder: Decoder, store: Store) -> Iterator[ContactState]:
    """States of all lists, sorted by list and number, and account-wide ones."""
    for each in states_in(decoder, store):
        account, list_number, number = each.account, each.list_number, each.phone_number
        if _is_told_canonically(store, account, (list_number,), number):
            continue
        state = recorded_in(decoder, store, account, list_number, number) or each
        if list_number == WHOLE_ACCOUNT:
            yield replace(state, list_number=ALL_LISTS)
        else:
            yield effective_state(state, _whole(decoder, store, account, number))


def _of_list(decoder: Decoder, store: Store, account: str, list_number: str) -> Iterator[ContactState]:
    """States on one list, sorted by number."""
    last = None
    for name in merge(*(_numbers(store, prefix) for prefix in _prefixes(account, list_number))):
        if name == last:
            continue
        last, number = name, name.decode()
        if _is_told_canonically(store, account, (list_number, WHOLE_ACCOUNT), number):
            continue
        state = recorded_in(decoder, store, account, list_number, number)
        standing = effective_state(
            state or unrecorded(account, list_number, number), _whole(decoder, store, account, number)
        )
        if state is not None or not standing.active:
            yield standing


def _numbers(store: Store, prefix: bytes) -> Iterator[bytes]:
    return (key.removeprefix(prefix) for key, _ in store.own_items(prefix))


def _whole(decoder: Decoder, store: Store, account: str, number: str) -> ContactState | None:
    return recorded_in(decoder, store, account, WHOLE_ACCOUNT, number)


def recorded_in(decoder: Decoder, store: Store, account: str, list_number: str, number: str) -> ContactState | None:
    """Return a contact's record in a store of gathered states, under whichever spellings of its number; None: there is
    none."""
    rows = (store.get(name.encode()) for name in contact_names(account, list_number, number))
    values = [unpack(row)[1] for row in rows if row is not None]
    return strictest(decoder.codec.decode_as(ContactState, value) for value in values if value)


def _is_told_canonically(store: Store, account: str, list_numbers: Iterable[str], number: str) -> bool:
    """Whether a number is an old spelling, and its contact has a record under the canonical one."""
    if number == canonical(number):
        return False
    rows = (store.get(contact_key(account, each, number).encode()) for each in list_numbers)
    return any(row is not None and unpack(row)[1] for row in rows)


def _write(states: Iterable[ContactState], removed: bool, write: Callable[[dict[str, Any]], None]) -> int:
    progress, count = Progress("contacts written"), 0
    for state in states:
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
                "scope": state.scope,
                "held": state.held,
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

    def write(row: dict[str, Any]) -> None:
        cells = {name: harmless(value) for name, value in row.items()}
        table.writerow({**cells, **{name: str(row[name]).lower() for name in ("active", "held")}})

    return write


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO]:
    """Yield standard output, or a file that gets its name once complete: half a list must not be mistaken for a whole
    one."""
    if out is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    part = out.with_name(out.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        yield file
    part.replace(out)
