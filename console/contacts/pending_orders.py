"""Commands about contacts that are on Kafka but not in the copy of `sms.contacts` yet.

Until they are, the copy is not certain: an erased contact may have lost its state before the state under its pseudonym
arrives. A command counts as carried out once streams has committed past it, and everything written by then is in the
copy.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from bus.clock import Moment
from bus.reading.replica import Replica
from schemas.codec import Codec, CodecError
from schemas.ids import recipient_key
from schemas.records import ContactCommand

REASONS: Mapping[int, str] = {0: "unknown_state", 1: "removal_pending", 2: "erasure_pending"}
"""Why a contact is held, by its row. 0: the command is unknown."""

_KINDS: Mapping[str, int] = {"remove": 1, "erase": 2}
_ROW = struct.Struct(">IQB")
_PURGE_EVERY = 60.0
MAX_LOOKS = 600

Committed = Mapping[int, int]
"""Offsets up to which streams has carried out commands, by partition."""


class PendingOrders:
    """Follows commands. `replica` merges them by `row_of` and begins with new ones: the copy of contacts is only used
    once it has everything from before."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._looks: deque[tuple[Moment, Committed]] = deque(maxlen=MAX_LOOKS)
        self._carried_out: Committed = {}
        self._purging: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Follow the topic. Raises AdminError if there is no broker or no topic."""
        self._replica.wipe()
        await self._replica.start()
        self._purging = asyncio.create_task(self._purge())

    async def stop(self) -> None:
        """Stop following."""
        if self._purging is not None:
            self._purging.cancel()
        await self._replica.stop()

    def look(self, now: Moment, committed: Committed, as_of: Moment | None) -> None:
        """Record one observation: what was committed before `now`, and up to when the copy is complete."""
        self._looks.append((now, committed))
        while as_of is not None and self._looks and self._looks[0][0] <= as_of:
            self._carried_out = self._looks.popleft()[1]

    def is_clear(self) -> bool:
        """Whether the copy contains all commands about any contact."""
        at = self._replica.positions
        return bool(at) and all(self._carried_out.get(partition, 0) >= end for partition, end in at.items())

    def pending(self, account: str, number: str) -> str | None:
        """Return the pending command about a contact, or None."""
        return self.pending_of([recipient_key(account, number)])[0]

    def pending_of(self, recipients: Sequence[bytes]) -> list[str | None]:
        """Return those of contacts by key, in order."""
        rows = self._replica.get_many(recipients)
        return [None if row is None or self._is_carried_out(row) else REASONS[_ROW.unpack(row)[2]] for row in rows]

    def not_ready(self) -> str | None:
        """Return why commands are unknown, or None."""
        return self._replica.problem

    def _is_carried_out(self, row: bytes) -> bool:
        partition, offset, _ = _ROW.unpack(row)
        return bool(offset < self._carried_out.get(partition, 0))

    async def _purge(self) -> None:
        while True:
            await asyncio.sleep(_PURGE_EVERY)
            await self._replica.purge(self._is_carried_out)


def row_of(codec: Codec, row: bytes | None, record: Any) -> bytes | None:
    """Return what is kept of a contact's newest command that may remove it. A restore changes nothing."""
    try:
        kind = _KINDS.get(codec.decode_as(ContactCommand, record.value).command)
    except CodecError:
        kind = 0
    return row if kind is None else _ROW.pack(record.partition, record.offset, kind)
