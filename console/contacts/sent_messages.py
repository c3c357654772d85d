"""How many messages each contact got in the last 24 hours, from a copy of the registrations.

It is only read once an account has a cap, beginning with the registrations of the last day.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from bus.admin import AdminError
from bus.clock import Moment, now_ms
from bus.layout import TopicMadeAnew
from bus.reading.replica import Replica
from console.contacts.freshness import Stage
from hours.policy import CAP_MS, MOST_CAP
from schemas.codec import Codec, CodecError
from schemas.ids import recipient_key
from schemas.records import MessageSent

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
PURGE_EVERY = 3_600.0
CLOCK_SKEW_MS = 5 * 60_000
"""How far a producer's clock may be behind ours."""

_ENTRY = struct.Struct(">Q8s")

Ends = Mapping[tuple[str, int], int]
"""Offsets by topic name and partition."""


class SentMessages:
    """Follows registered messages while an account counts them. `replica` merges them by `row_of` and begins at
    `a_day_ago`; `is_wanted` says whether any account does."""

    def __init__(self, replica: Replica, is_wanted: Callable[[], bool]) -> None:
        self._replica = replica
        self._is_wanted = is_wanted
        self._stage = Stage()
        self._follows = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Wait in the background until messages are to be counted."""
        self._tasks.append(asyncio.create_task(self._watch()))

    async def stop(self) -> None:
        """Stop following."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._replica.stop()

    def look(self, now: Moment, ends: Ends) -> None:
        """Record one observation: what was written before `now` is below these ends."""
        if self._follows:
            name = self._replica.topic.name
            self._stage.mark(now, {place: end for place, end in ends.items() if place[0] == name})
            self._stage.advance({(name, partition): at for partition, at in self._replica.positions.items()})

    @property
    def as_of(self) -> Moment | None:
        """The newest moment such that everything registered before it is counted. None: not known yet."""
        return self._stage.passed

    def times(self, account: str, number: str, now: int) -> list[int]:
        """Return when messages were sent to a contact in the 24 hours before `now` (ms), sorted."""
        return self.times_of([recipient_key(account, number)], now)[0]

    def times_of(self, recipients: Sequence[bytes], now: int) -> list[list[int]]:
        """Return those of contacts by key, in order."""
        rows = self._replica.get_many(recipients)
        return [[] if row is None else [at for at, _ in _ENTRY.iter_unpack(row) if now - CAP_MS < at] for row in rows]

    def not_ready(self) -> str | None:
        """Return why messages are not counted, or None."""
        if self._replica.problem is not None:
            return self._replica.problem
        if not self._follows:
            return "the messages of the last 24 hours have not been counted yet"
        left = self._replica.left
        return f"counting the messages of the last 24 hours: {left} records left" if left else None

    async def _watch(self) -> None:
        while not self._is_wanted():
            await asyncio.sleep(LOOK_EVERY)
        while not self._follows:
            try:
                await self._follow()
            except AdminError as error:
                log.warning("cannot count registered messages right now: %s", error)
                await asyncio.sleep(LOOK_EVERY)
        while True:
            await asyncio.sleep(PURGE_EVERY)
            await self._replica.purge(is_old)

    async def _follow(self) -> None:
        try:
            await self._replica.start()
        except TopicMadeAnew:
            self._replica.wipe()
            await self._replica.start()
        self._follows = True


def a_day_ago() -> int:
    """Return the time (ms) from which registrations may count."""
    return now_ms() - CAP_MS - CLOCK_SKEW_MS


def row_of(codec: Codec, row: bytes | None, record: Any) -> bytes | None:
    """Return a contact's row after another registration: when each message was sent, sorted, with a hash of its id.

    A repeated message replaces the earlier one. Anything but a registration is skipped, and no message counts as sent
    after its registration.
    """
    try:
        message = codec.decode_as(MessageSent, record.value)
    except CodecError:
        return row
    name = f"{message.provider}:{message.provider_message_id}".encode()
    identity = hashlib.blake2b(name, digest_size=8).digest()
    at = max(0, min(message.sent_at, record.timestamp))
    known = [] if row is None else [entry for entry in _ENTRY.iter_unpack(row) if entry[1] != identity]
    recent = sorted(entry for entry in (*known, (at, identity)) if record.timestamp - CAP_MS < entry[0])
    return b"".join(_ENTRY.pack(*entry) for entry in recent[-MOST_CAP:]) or None


def is_old(row: bytes) -> bool:
    """Whether none of a row's messages counts anymore."""
    newest = max((at for at, _ in _ENTRY.iter_unpack(row)), default=0)
    return bool(newest < now_ms() - CAP_MS)
