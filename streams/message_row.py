"""A message's row (`account:provider:provider_message_id`), and its bytes in the table.

It holds the message's progress, however many others its contact is sent. Whether the contact may be texted is in the
contact's row, where the message is counted.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import orjson
from msgspec import Struct
from msgspec.structs import asdict, replace

from schemas.codec import MAGIC, Codec
from schemas.ids import recipient_key
from schemas.records import InboundMessage, MessageSent, Receipt
from streams.row import RowError

MAX_WAITING = 8
"""Reports of a message that may wait for its registration. A message has three or four; further ones do not wait."""

MAX_OPT_OUTS = 4
"""Opt-outs kept for a message's registration: more than the receivers that a person answers one message at."""

_HEAD = struct.Struct(">BqI")
_REGISTERED, _WAITING, _REPORTED = 5, 6, 7

_OLD_HEAD = struct.Struct(">Bq")
_OLD_REGISTERED, _OLD_WAITING, _OLD_RELEASED, _OLD_RELEASED_SENT = 1, 2, 3, 4
"""Row kinds from before rows held reports."""


class Report(NamedTuple):
    """What a report says about its message. Times are milliseconds.

    `rank` is the message's progress according to it. `occurred_at` is the provider's own time, if there is one;
    `local_at` is a carrier's time without a zone, which only orders two reports of one message. For a repeated report,
    `received_at` is the earliest receipt.
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
        """When it happened: the provider's time, but no later than the receipt."""
        return self.received_at if self.occurred_at is None else min(self.occurred_at, self.received_at)


class Removal(NamedTuple):
    """Why a message's report removes the contact, and when it happened (ms)."""

    reason: str
    at: int


class Waiting(NamedTuple):
    """A report that arrived before its message was registered, and the list that counts it until then."""

    list_number: str | None
    receipt: Receipt


class MessageRow(Struct, frozen=True, gc=False, kw_only=True):
    """What is known about a message, in one of three states.

    Registered: `message` is set. Waiting: reports came first, and `waiting` holds them in order of arrival. Otherwise,
    reports were sent under the provider's id, and later ones do not wait. `since` is when the row entered its state, in
    ms of our own clock. `sent`: the `sent` event was sent. `reports` are the distinct reports of the furthest progress,
    in order; the last one is the message's state. `removals` are the distinct reasons for which its reports removed the
    contact, and `list_number` is the list that counts it. `opt_outs` answered the message before it was registered.
    """

    since: int
    message: MessageSent | None = None
    waiting: tuple[Waiting, ...] = ()
    sent: bool = False
    reports: tuple[Report, ...] = ()
    removals: tuple[Removal, ...] = ()
    list_number: str | None = None
    opt_outs: tuple[InboundMessage, ...] = ()

    @property
    def state(self) -> Report | None:
        """The message's state; None before the first report."""
        return self.reports[-1] if self.reports else None


def message_key(account: str, provider: str, provider_message_id: str) -> bytes:
    """Return the key of a message's row: `account:provider:provider_message_id`."""
    return f"{account}:{provider}:{provider_message_id}".encode()


def to_wait(list_number: str | None, receipt: Receipt) -> Waiting:
    """Return a report as it waits: without the provider's own item, which may be long and is in `sms.receipts`."""
    return Waiting(list_number, replace(receipt, raw="", provider_text=None))


def to_keep(inbound: InboundMessage, keyword: str | None) -> InboundMessage:
    """Return an opt-out with this keyword as it is kept for a registration: without anything personal, because a row
    that is not registered belongs to nobody (`owners_of`)."""
    return replace(inbound, kind="opt_out", keyword=keyword, from_="", user_id=None, text=None, media=(), raw="")


def to_bytes(row: MessageRow, codec: Codec) -> bytes:
    """Return a row's bytes: its kind (1 byte), since when (8), the length (4) of the JSON of its progress, and that
    JSON; then the registered message in Avro, or the waiting reports in JSON."""
    opt_outs = [list(map(asdict, row.opt_outs))] if row.opt_outs else []
    reached = orjson.dumps((row.sent, row.reports, row.removals, row.list_number, *opt_outs), default=tuple)
    if row.message is not None:
        return _HEAD.pack(_REGISTERED, row.since, len(reached)) + reached + codec.encode(row.message)
    if row.waiting:
        waiting = orjson.dumps([(list_number, asdict(receipt)) for list_number, receipt in row.waiting])
        return _HEAD.pack(_WAITING, row.since, len(reached)) + reached + waiting
    return _HEAD.pack(_REPORTED, row.since, len(reached)) + reached


def from_bytes(data: bytes, codec: Codec) -> MessageRow:
    """Read a row written by `to_bytes`. Raises RowError. Rows from before they held reports can be read too."""
    try:
        if data[0] == MAGIC or data[0] < _REGISTERED:
            return _old(data, codec)
        kind, since, size = _HEAD.unpack_from(data)
        sent, reports, removals, list_number, *opt_outs = orjson.loads(data[_HEAD.size : _HEAD.size + size])
        body = data[_HEAD.size + size :]
        row = MessageRow(
            since=since,
            sent=sent,
            reports=tuple(map(Report._make, reports)),
            removals=tuple(map(Removal._make, removals)),
            list_number=list_number,
            opt_outs=tuple(InboundMessage(**{**kept, "media": ()}) for each in opt_outs for kept in each),
        )
        if kind == _REGISTERED:
            return replace(row, message=codec.decode_as(MessageSent, body))
        if kind == _WAITING:
            return replace(row, waiting=_waiting(body))
        if kind == _REPORTED and not body:
            return row
    except (struct.error, IndexError, TypeError, ValueError) as error:
        raise RowError(f"cannot be read as a message row: {error}") from error
    raise RowError(f"cannot be read as a message row: kind {kind} with {len(body)} bytes")


def since_of(data: bytes, codec: Codec) -> int:
    """Return when a row entered its state, without reading the rest if possible."""
    return from_bytes(data, codec).since if data[0] == MAGIC else int(_OLD_HEAD.unpack_from(data)[1])


def due_at(data: bytes, wait: int) -> int | None:
    """When a row's reports, which wait for `wait` ms, must be sent; None if none is waiting. Called on every write."""
    return int(_OLD_HEAD.unpack_from(data)[1]) + wait if data[0] in (_WAITING, _OLD_WAITING) else None


def owners_of(data: bytes, codec: Codec) -> set[bytes]:
    """Whom a row concerns, as in `recipient_key`, for its index. Unreadable rows concern nobody."""
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
    raise RowError(f"cannot be read as a message row: kind {kind} with {len(body)} bytes")
