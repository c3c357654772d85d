"""The row kept for one message (`account:provider:provider_message_id`), and its bytes in the table.

Its state is not in here: that is in the row of its contact, where it is counted.
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

_HEAD = struct.Struct(">Bq")
_REGISTERED, _WAITING, _RELEASED, _RELEASED_SENT = 1, 2, 3, 4


class Waiting(NamedTuple):
    """A report that came before its message was registered, and the list that it is counted for until then."""

    list_number: str | None
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """What is known of one message, one of three.

    Registered: `message` is there. Waiting: reports came first, `waiting` holds them in order of arrival. Released:
    neither is there, reports have gone out under the provider's id, and no further one waits.
    `since` is when the row became what it is, in ms by our own clock. `sent`: the message's `sent` event is out.
    """

    since: int
    message: MessageSent | None = None
    waiting: tuple[Waiting, ...] = ()
    sent: bool = False


def message_key(account: str, provider: str, provider_message_id: str) -> bytes:
    """Key of a message's row: `account:provider:provider_message_id`."""
    return f"{account}:{provider}:{provider_message_id}".encode()


def to_wait(list_number: str | None, receipt: Receipt) -> Waiting:
    """A report as it waits: without the provider's own item, which may be long and is in `sms.receipts`."""
    return Waiting(list_number, replace(receipt, raw="", provider_text=None))


def to_bytes(row: MessageRow, codec: Codec) -> bytes:
    """A row: what it is (1 byte), since when (8 bytes), then the registered message in Avro or the reports in JSON."""
    if row.message is not None:
        return _HEAD.pack(_REGISTERED, row.since) + codec.encode(row.message)
    if row.waiting:
        return _HEAD.pack(_WAITING, row.since) + orjson.dumps(row.waiting, default=tuple)
    return _HEAD.pack(_RELEASED_SENT if row.sent else _RELEASED, row.since)


def from_bytes(data: bytes, codec: Codec) -> MessageRow:
    """The row that `to_bytes` wrote. Raises RowError.

    A registered message alone, as rows were before they had a head, is read too.
    """
    try:
        if data[0] == MAGIC:
            message = codec.decode_as(MessageSent, data)
            return MessageRow(since=message.sent_at, message=message, sent=True)
        kind, since = _HEAD.unpack_from(data)
        body = data[_HEAD.size :]
        if kind == _REGISTERED:
            return MessageRow(since=since, message=codec.decode_as(MessageSent, body), sent=True)
        if kind == _WAITING:
            reports = orjson.loads(body)
            waiting = tuple(Waiting(list_number, Receipt(**receipt)) for list_number, receipt in reports)
            return MessageRow(since=since, waiting=waiting)
        if kind in (_RELEASED, _RELEASED_SENT) and not body:
            return MessageRow(since=since, sent=kind == _RELEASED_SENT)
    except (struct.error, IndexError, TypeError, ValueError) as error:
        raise RowError(f"does not read as a message row: {error}") from error
    raise RowError(f"does not read as a message row: kind {kind} with {len(body)} bytes")


def since_of(data: bytes, codec: Codec) -> int:
    """When a row became what it is, without reading the rest where it can be helped."""
    return from_bytes(data, codec).since if data[0] == MAGIC else int(_HEAD.unpack_from(data)[1])


def due_at(data: bytes, wait: int) -> int | None:
    """When the reports of a row go out that wait for `wait` ms, or None where none waits. Every write is asked."""
    return int(_HEAD.unpack_from(data)[1]) + wait if data[0] == _WAITING else None


def owners_of(data: bytes, codec: Codec) -> set[bytes]:
    """Whom a row is about, as `recipient_key` has it, for its index. What does not read is about nobody."""
    try:
        row = from_bytes(data, codec)
    except RowError:
        return set()
    waiting = {recipient_key(receipt.account, receipt.to) for _, receipt in row.waiting if receipt.to is not None}
    return waiting if row.message is None else {recipient_key(row.message.account, row.message.to)}
