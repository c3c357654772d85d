"""`trackly tables`: repairs after the changelog of the contacts table, or `sms.contacts`, was lost."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from bus.admin import Admin
from bus.reading.topic import BEGINNING
from bus.settings import BusSettings
from bus.tables.store import RocksStore
from bus.tables.versions import Row, keep_newest, pack, unpack, version_header, version_in
from bus.worker.context import Context
from schemas.codec import Codec, CodecError
from schemas.records import COMMAND_PROVIDER, ContactState
from schemas.registry import registry_for
from streams.row import ContactRow, Counted, Held, RowError, to_bytes
from trackly.commands.tables.published import states
from trackly.commands.topics.growing import wait_for_the_end
from trackly.commands.topics.placing import of_contact
from trackly.errors import Failed, check_topics
from trackly.output import Json, Yes, confirm, json_line, say
from trackly.progress import Progress
from trackly.reading import open_topic, read_accounts
from trackly.writing import Unacknowledged, producing

_ROWS_AT_ONCE = 2_000

tables = typer.Typer(no_args_is_help=True, add_completion=False)


@tables.callback()
def _tables() -> None:
    """Repair the contacts table or `sms.contacts` after one of them was lost, from the other one."""


@tables.command("rebuild-from-contacts")
def rebuild_from_contacts(yes: Yes = False, as_json: Json = False) -> None:
    """Write the state of every contact on `sms.contacts` into the changelog of the contacts table.

    Use this for a changelog that was deleted or lost: removed contacts stay removed, with the reason, and failure
    counts continue. Rows that are already in the changelog are newer and win. Registered messages are not restored:
    reports about them are published under the provider's ID. Streams must not run; delete its tables' directories
    before it starts.
    """
    settings = BusSettings()
    names = [settings.catalogue[key].name for key in ("contacts", "table_contacts")]
    with Admin(settings) as admin:
        check_topics(names, admin.identities(names))
        wait_for_the_end(admin, settings, "streams")
        count = sum(admin.end_offsets(names[0]).values()) - sum(admin.begin_offsets(names[0]).values())
    if not yes:
        confirm(f"Write about {count:,} states of contacts into {names[1]}?")
    counts = asyncio.run(_rebuild(settings, count))
    if as_json:
        json_line({"states": counts["states"], "removed": counts["removed"], "unreadable": counts["unreadable"]})
    else:
        say(f"{counts['states']:,} states are in the changelog, {counts['removed']:,} of them for removed contacts.")
        say(
            "Now delete the tables' directories of streams (streams/INSTANCE_ID in TRACKLY_DATA_DIR), and start "
            "streams."
        )
    if counts["unreadable"]:
        raise Failed(f"{counts['unreadable']:,} records could not be read; `trackly tap {names[0]}` shows them.")


@tables.command("publish-contacts")
def publish_contacts(yes: Yes = False, as_json: Json = False) -> None:
    """Write the state of every contact in the changelog of the contacts table to `sms.contacts`.

    Use this if `sms.contacts` was deleted or truncated: without it, removed contacts seem to be active to everyone who
    reads that topic, until something happens to them. You may repeat it. Streams must not run.
    """
    settings = BusSettings()
    names = [settings.catalogue[key].name for key in ("table_contacts", "contacts")]
    with Admin(settings) as admin:
        check_topics(names, admin.identities(names))
        wait_for_the_end(admin, settings, "streams")
    if not yes:
        confirm(f"Write the states of all contacts in {names[0]} to {names[1]}?")
    with tempfile.TemporaryDirectory(prefix="trackly-contacts-") as directory:
        counts = asyncio.run(_publish(settings, Path(directory)))
    if as_json:
        json_line({"states": counts["states"], "removed": counts["removed"]})
        return
    say(f"{counts['states']:,} states are on {names[1]}, {counts['removed']:,} of them of removed contacts.")
    say("Now start streams, and delete the consoles' copies if they ask for it (/readyz).")


async def _publish(settings: BusSettings, directory: Path) -> Counter[str]:
    codec = Codec(registry_for(settings.schema_registry_url))
    view = await read_accounts(settings, codec)
    counts: Counter[str] = Counter(states=0, removed=0)
    store = RocksStore(directory / "rows")
    try:
        await _gather(settings, store)
        topic, progress, sent = settings.catalogue["contacts"].name, Progress("contacts written"), Unacknowledged()
        async with producing(settings, linger_ms=20) as producer:
            for state in states(store, view.lists_of):
                headers = Context(state.last_event_id, state.since).headers(state)
                headers.append(version_header(state.version))
                key = state.contact.encode()
                await sent.add(await producer.send(topic, codec.encode(state), key=key, headers=headers))
                counts["states"] += 1
                counts["removed"] += not (state.active or state.held)
                progress.tell(counts["states"])
            await sent.wait()
        progress.end()
    except RowError as error:
        raise Failed(f"A later version has written a contact's row: use that version. ({error})") from None
    finally:
        store.close()
    return counts


async def _gather(settings: BusSettings, store: RocksStore) -> None:
    rows: list[tuple[bytes, Row]] = []
    async with open_topic(settings, settings.catalogue["table_contacts"].name, BEGINNING) as changelog:
        progress = Progress("rows read", changelog.size)
        async for record in changelog.rest():
            is_gone = record.value is None
            rows.append((record.key, (version_in(record.headers) or 0, None) if is_gone else unpack(record.value)))
            progress.add(1)
            if len(rows) >= _ROWS_AT_ONCE:
                keep_newest(store, rows)
                rows.clear()
        keep_newest(store, rows)
        progress.end()


async def _rebuild(settings: BusSettings, count: int) -> Counter[str]:
    codec = Codec(registry_for(settings.schema_registry_url))
    changelog = settings.catalogue["table_contacts"]
    counts: Counter[str] = Counter(states=0, removed=0, unreadable=0)
    sent = Unacknowledged()
    progress = Progress("contacts", count)
    async with producing(settings, linger_ms=20) as producer:
        async with open_topic(settings, settings.catalogue["contacts"].name, BEGINNING) as topic:
            async for record in topic.rest():
                progress.add(1)
                try:
                    rows = list(_rows(record, codec, changelog.partitions))
                except (CodecError, ValueError):
                    counts["unreadable"] += 1
                    continue
                counts["states"] += 1
                counts["removed"] += any(removed for *_, removed in rows)
                for partition, value, headers, _ in rows:
                    await sent.add(
                        await producer.send(changelog.name, value, key=record.key, partition=partition, headers=headers)
                    )
        await sent.wait()
    progress.end()
    return counts


def _rows(
    record: Any, codec: Codec, partitions: int
) -> Iterator[tuple[int, bytes | None, list[tuple[str, bytes]] | None, bool]]:
    """Return partition, row, headers, and whether the contact is removed, for a record of `sms.contacts`."""
    account, _, number = record.key.decode().split(":", 2)
    for partition in of_contact(account, number, partitions):
        if record.value is None:
            version = version_in(record.headers)
            yield partition, None, None if version is None else [version_header(version)], False
            continue
        state = codec.decode_as(ContactState, record.value)
        # One lower than what the table wrote, so that its own row wins if it still exists.
        yield (
            partition,
            pack(max(0, state.version - 1), to_bytes(row_of(state))),
            None,
            not (state.active or state.held),
        )


def row_of(state: ContactState) -> ContactRow:
    """Return the row for a state. The times of failures are unknown, so they count from the start of the state."""
    failed = tuple(Counted(f"restored:{number}", state.since, True) for number in range(state.failures))
    held = None
    if state.held:
        place, event = f"{state.account}:{state.list_number}", state.last_event_id
        held = Held(state.reason or "bad_response", state.since, event, event, COMMAND_PROVIDER, None, None, place, "")
    return ContactRow(
        active=state.active or state.held,
        reason=None if state.held else state.reason,
        since=state.since,
        removed_at=0 if state.active else state.since,
        counted=failed,
        names=() if state.known_as is None else (state.known_as,),
        held=held,
    )
