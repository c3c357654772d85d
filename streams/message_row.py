"""The row kept for one message (`account:provider:provider_message_id`), and its bytes in the table.

It holds what the message has reached, however many others its contact is sent. Whether the contact may be texted is in
the contact's row, where the message is counted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import NamedTuple

import orjson

from schemas.codec import MAGIC, Codec
from schemas.ids import recipient_key
from schemas.records import MessageSent, Receipt
from streams.row import RowError

MAX_WAITING = 8
"""Reports of one message that wait for its registration. A message has three or four; more than that do not wait."""

_HEAD = struct.Struct(">BqI")
_REGISTERED, _WAITING, _REPORTED = 5, 6, 7

_OLD_HEAD = struct.Struct(">Bq")
_OLD_REGISTERED, _OLD_WAITING, _OLD_RELEASED, _OLD_RELEASED_SENT = 1, 2, 3, 4
"""Kinds of rows as they were before they held reports."""


class Report(NamedTuple):
    """What a report says of its message. Times are milliseconds.

    `rank` is how far the message has come by it. `occurred_at` is the provider's own time, where it is one; `local_at`
    a carrier's time without its zone, which says no more than which of two reports of one message is the later. Of a
    report that is repeated, `received_at` is the earliest receipt.
    """

    status: str
    detail: str
    status_class: str
    rank: int
    provider_code: str | None
    occurred_at: int | None
    local_at: int | None
    received_at: int

    @property
    def at(self) -> int:
        """When it happened: what the provider says, at the latest when it was received."""
        return self.received_at if self.occurred_at is None else min(self.occurred_at, self.received_at)


class Removal(NamedTuple):
    """For what a report of a message removes the contact, and when it happened (ms)."""

    reason: str
    at: int


class Waiting(NamedTuple):
    """A report that came before its message was registered, and the list that it is counted for until then."""

    list_number: str | None
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """What is known of one message, one of three.

    Registered: `message` is there. Waiting: reports came first, `waiting` holds them in order of arrival. Otherwise
    reports have gone out under the provider's id, and no further one waits.
    `since` is when the row became what it is, in ms by our own clock. `sent`: the message's `sent` event is out.
    `reports` are the different ones that say that the message has come as far as it has, in order, so that the last one
    is its state. `removals` is for what its reports have removed the contact, each reason once, and `list_number` the
    list on which it is counted.
    """

    since: int
    message: MessageSent | None = None
    waiting: tuple[Waiting, ...] = ()
    sent: bool = False
    reports: tuple[Report, ...] = ()
    removals: tuple[Removal, ...] = ()
    list_number: str | None = None

    @property
    def state(self) -> Report | None:
        """What the message has reached; None before the first report."""
        return self.reports[-1] if self.reports else None


def message_key(account: str, provider: str, provider_message_id: str) -> bytes:
    """Key of a message's row: `account:provider:provider_message_id`."""
    return f"{account}:{provider}:{provider_message_id}".encode()


def to_wait(list_number: str | None, receipt: Receipt) -> Waiting:
    """A report as it waits: without the provider's own item, which may be long and is in `sms.receipts`."""
    return Waiting(list_number, replace(receipt, raw="", provider_text=None))


def to_bytes(row: MessageRow, codec: Codec) -> bytes:
    """A row: what it is (1 byte), since when (8), the length (4) of the JSON of what it has reached, and that; then the
    registered message in Avro, or the reports that wait in JSON."""
    reached = orjson.dumps((row.sent, row.reports, row.removals, row.list_number), default=tuple)
    if row.message is not None:
        return _HEAD.pack(_REGISTERED, row.since, len(reached)) + reached + codec.encode(row.message)
    if row.waiting:
        waiting = orjson.dumps(row.waiting, default=tuple)
        return _HEAD.pack(_WAITING, row.since, len(reached)) + reached + waiting
    return _HEAD.pack(_REPORTED, row.since, len(reached)) + reached


def from_bytes(data: bytes, codec: Codec) -> MessageRow:
    """The row that `to_bytes` wrote. Raises RowError. Rows as they were before they held reports are read too."""
    try:
        if data[0] == MAGIC or data[0] < _REGISTERED:
            return _old(data, codec)
        kind, since, size = _HEAD.unpack_from(data)
        sent, reports, removals, list_number = orjson.loads(data[_HEAD.size : _HEAD.size + size])
        body = data[_HEAD.size + size :]
        row = MessageRow(
            since=since,
            sent=sent,
            reports=tuple(map(Report._make, reports)),
            removals=tuple(map(Removal._make, removals)),
            list_number=list_number,
        )
        if kind == _REGISTERED:
            return replace(row, message=codec.decode_as(MessageSent, body))
        if kind == _WAITING:
            return replace(row, waiting=_waiting(body))
        if kind == _REPORTED and not body:
            return row
    except (struct.error, IndexError, TypeError, ValueError) as error:
        raise RowError(f"does not read as a message row: {error}") from error
    raise RowError(f"does not read as a message row: kind {kind} with {len(body)} bytes")


def since_of(data: bytes, codec: Codec) -> int:
    """When a row became what it is, without reading the rest where it can be helped."""
    return from_bytes(data, codec).since if data[0] == MAGIC else int(_OLD_HEAD.unpack_from(data)[1])


def due_at(data: bytes, wait: int) -> int | None:
    """When the reports of a row go out that wait for `wait` ms, or None where none waits. Every write is asked."""
    return int(_OLD_HEAD.unpack_from(data)[1]) + wait if data[0] in (_WAITING, _OLD_WAITING) else None


def owners_of(data: bytes, codec: Codec) -> set[bytes]:
    """Whom a row is about, as `recipient_key` has it, for its index. What does not read is about nobody."""
    if data and data[0] == _REPORTED:
        return set()
    try:
        row = from_bytes(data, codec)
    except RowError:
        return set()
    waiting = {recipient_key(receipt.account, receipt.to) for _, receipt in row.waiting if receipt.to is not None}
    return waiting if row.message is None else {recipient_key(row.message.account, row.message.to)}


def _waiting(body: bytes) -> tuple[Waiting, ...]:
    return tuple(Waiting(list_number, Receipt(**receipt)) for list_number, receipt in orjson.loads(body))


def _old(data: bytes, codec: Codec) -> MessageRow:
    if data[0] == MAGIC:
        message = codec.decode_as(MessageSent, data)
        return MessageRow(since=message.sent_at, message=message, sent=True)
    kind, since = _OLD_HEAD.unpack_from(data)
    body = data[_OLD_HEAD.size :]
    if kind == _OLD_REGISTERED:
        return MessageRow(since=since, message=codec.decode_as(MessageSent, body), sent=True)
    if kind == _OLD_WAITING:
        return MessageRow(since=since, waiting=_waiting(body))
    if kind in (_OLD_RELEASED, _OLD_RELEASED_SENT) and not body:
        return MessageRow(since=since, sent=kind == _OLD_RELEASED_SENT)
    raise RowError(f"does not read as a message row: kind {kind} with {len(body)} bytes")
