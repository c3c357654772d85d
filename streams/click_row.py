"""A click's row, and its bytes in the table."""

from __future__ import annotations

from typing import NamedTuple

import orjson
from msgspec import Struct
from msgspec.structs import asdict

from schemas.ids import recipient_key
from schemas.records import Postback
from streams.row import RowError

FORMAT = 1
"""Version of the bytes. It changes with the meaning or order of the fields."""


class Registration(NamedTuple):
    """The message and contact for which an account registered this click. Times are milliseconds."""

    account: str
    message_id: str
    phone_number: str
    list_number: str
    registered_at: int


class SeenConversion(NamedTuple):
    """A conversion that was sent: its identity, and when it was received."""

    key: str
    received_at: int


class Arrived(Struct, frozen=True, gc=False):
    """A postback, its offset on `sms.postbacks`, and until when it may wait for its click."""

    postback: Postback
    offset: int
    due_at: int
    traceparent: str | None = None


class ClickRow(Struct, frozen=True, gc=False, kw_only=True):
    """What is known about a click: who registered it, its conversions, and the waiting postbacks.

    Conversions are in the order they were sent, postbacks in the order they arrived.
    """

    registrations: tuple[Registration, ...] = ()
    conversions: tuple[SeenConversion, ...] = ()
    waiting: tuple[Arrived, ...] = ()

    def registration(self, account: str) -> Registration | None:
        """An account's registration of this click, or None."""
        return next((each for each in self.registrations if each.account == account), None)

    @property
    def due_at(self) -> int | None:
        """When the first postback has waited long enough; None: none is waiting."""
        return min((arrived.due_at for arrived in self.waiting), default=None)

    @property
    def newest(self) -> int:
        """When the click was last active; 0 if never."""
        times = [registration.registered_at for registration in self.registrations]
        times += [seen.received_at for seen in self.conversions]
        times += [arrived.postback.received_at for arrived in self.waiting]
        return max(times, default=0)


def to_bytes(row: ClickRow) -> bytes:
    """Return a row as compact JSON: a list that begins with the format version."""
    waiting = [(asdict(each.postback), each.offset, each.due_at, each.traceparent) for each in row.waiting]
    return orjson.dumps((FORMAT, row.registrations, row.conversions, waiting), default=tuple)


def from_bytes(data: bytes) -> ClickRow:
    """Read a row written by `to_bytes`. Raises RowError."""
    try:
        version, *values = orjson.loads(data)
        if version != FORMAT:
            raise RowError(f"row format {version} is unknown, expected {FORMAT}")
        registrations, conversions, waiting = values
        return ClickRow(
            registrations=tuple(map(Registration._make, registrations)),
            conversions=tuple(map(SeenConversion._make, conversions)),
            waiting=tuple(Arrived(Postback(**postback), *rest) for postback, *rest in waiting),
        )
    except RowError:
        raise
    except (TypeError, ValueError) as error:
        raise RowError(f"cannot be read as a click's row: {error}") from error


def due_at(data: bytes) -> int | None:
    """When a table row is due, for its index. Unreadable rows are never due."""
    try:
        return from_bytes(data).due_at
    except RowError:
        return None


def owners_of(data: bytes) -> set[bytes]:
    """Whom a table row concerns, as in `recipient_key`, for its index. Unreadable rows concern nobody."""
    try:
        return {recipient_key(each.account, each.phone_number) for each in from_bytes(data).registrations}
    except RowError:
        return set()


def is_kept(data: bytes, oldest: int) -> bool:
    """Whether a table row was active since a time in ms. Unreadable rows are kept."""
    try:
        return from_bytes(data).newest >= oldest
    except RowError:
        return True
