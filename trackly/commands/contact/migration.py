"""`trackly contacts migrate`: moves contacts from old spellings of their numbers to the canonical one.

Contacts are first removed under the canonical spelling; once streams has done that, the old rows are deleted. So at no
moment may a removed contact be texted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from bus.admin import Admin, Partition
from bus.clock import now_ms
from bus.reading.topic import BEGINNING
from bus.settings import BusSettings
from bus.tables.versions import version_in
from schemas.ids import random_id
from schemas.numbering import canonical
from schemas.records import DROP, ContactCommand, ContactState
from trackly.audit import issuer, write_down
from trackly.decoding import Decoder
from trackly.errors import Failed
from trackly.reading import open_topic
from trackly.writing import producing, send_order

WAIT = 60.0
"""Seconds for streams to carry out the commands."""


async def old_contacts(settings: BusSettings, decoder: Decoder, account: str) -> list[ContactState]:
    """Return the newest states of an account's contacts under old spellings, sorted by number and list."""
    found: dict[bytes, tuple[int, bytes | None]] = {}
    async with open_topic(settings, settings.catalogue["contacts"].name, BEGINNING) as topic:
        async for record in topic.rest():
            key = record.key or b""
            number = key.rpartition(b":")[2].decode(errors="replace")
            if key.startswith(f"{account}:".encode()) and canonical(number) != number:
                version = version_in(record.headers) or 0
                if version >= found.get(key, (0, None))[0]:
                    found[key] = version, record.value
    states = [decoder.codec.decode_as(ContactState, value) for _, value in found.values() if value]
    return sorted(states, key=lambda state: (state.phone_number, state.list_number))


async def migrate(settings: BusSettings, decoder: Decoder, account: str, states: list[ContactState]) -> None:
    """Move contacts to the canonical spelling. Raises Failed if streams does not carry it out; it can be repeated
    safely."""
    removals = [_order("remove", state, canonical(state.phone_number)) for state in states if not state.active]
    drops = [_order(DROP, state, state.phone_number) for state in states]
    async with producing(settings, linger_ms=5) as producer:
        await write_down(producer, settings, decoder.codec, "contacts.migrate", "", account, contacts=len(states))
        sent = [await send_order(producer, settings, decoder.codec, order) for order in removals]
        await asyncio.to_thread(_until_carried_out, settings, _ends(await asyncio.gather(*sent)))
        # The key uses the number as written, not the recipient's, because that is where the old row is.
        dropped = [
            await send_order(producer, settings, decoder.codec, order, key=f"{account}:{order.phone_number}".encode())
            for order in drops
        ]
        await asyncio.to_thread(_until_carried_out, settings, _ends(await asyncio.gather(*dropped)))


def _order(command: str, state: ContactState, number: str) -> ContactCommand:
    order = ContactCommand(
        event_id=random_id(),
        command=command,
        account=state.account,
        list_number=state.list_number,
        phone_number=number,
        issued_by=issuer() or "trackly",
        issued_at=now_ms(),
    )
    return order if command == DROP or state.reason == "manual" else replace(order, reason=state.reason)


def _ends(stored: Iterable[Any]) -> dict[Partition, int]:
    ends: dict[Partition, int] = {}
    for each in stored:
        place = (each.topic, each.partition)
        ends[place] = max(ends.get(place, 0), each.offset + 1)
    return ends


def _until_carried_out(settings: BusSettings, wanted: dict[Partition, int]) -> None:
    deadline = time.monotonic() + WAIT
    with Admin(settings) as admin:
        while True:
            done = admin.group_offsets(settings.group("streams"))
            if all(done.get(place, 0) >= offset for place, offset in wanted.items()):
                return
            if time.monotonic() > deadline:
                raise Failed(
                    f"streams had not carried it out after {WAIT:g} s. Is `trackly streams` running? Run the same "
                    "command to continue."
                )
            time.sleep(0.2)
