"""A brake's row (`account:list_number`) in each partition: the decisions people made about it, and its bytes.

What the brake counts and holds is not stored here: it is a function of the contacts' rows.
"""

from __future__ import annotations

from typing import NamedTuple

import orjson
from msgspec import Struct
from msgspec.structs import replace

from schemas.records import CONFIRM
from streams.row import RowError

FORMAT = 1

MAX_ORDERS = 16
"""Command ids kept in a row. A command is repeated within minutes, not after 16 more about the list."""


class Decision(NamedTuple):
    """A command about what a brake held `after` the previous decision, which is still being carried out.

    `at` (ms) is when Kafka got it.
    """

    order: str
    command: str
    at: int
    after: str


class BrakeRow(Struct, frozen=True, gc=False, kw_only=True):
    """Decisions about one brake. `orders` are their ids, newest last; `era` is the id of the last one to confirm, since
    which removals by rules are counted; `decisions` are those not carried out yet."""

    orders: tuple[str, ...] = ()
    era: str = ""
    decisions: tuple[Decision, ...] = ()

    @property
    def last(self) -> str:
        """The id of the last decision."""
        return self.orders[-1] if self.orders else ""


def decided(row: BrakeRow, order: str, command: str, at: int) -> BrakeRow:
    """Return the row after a command (by ID) to confirm or release held removals. Repeating it changes nothing."""
    if order in row.orders:
        return row
    return BrakeRow(
        orders=(*row.orders, order)[-MAX_ORDERS:],
        era=order if command == CONFIRM else row.era,
        decisions=(*row.decisions, Decision(order, command, at, row.last)),
    )


def carried_out(row: BrakeRow) -> BrakeRow:
    """Return the row after its oldest decision has been carried out."""
    return replace(row, decisions=row.decisions[1:])


def to_bytes(row: BrakeRow) -> bytes:
    """Return a row as compact JSON: a list that begins with the format version."""
    return orjson.dumps((FORMAT, row.orders, row.era, row.decisions), default=tuple)


def from_bytes(data: bytes) -> BrakeRow:
    """Read a row written by `to_bytes`. Raises RowError."""
    try:
        version, orders, era, decisions = orjson.loads(data)
        if version != FORMAT:
            raise RowError(f"brake row format {version} is unknown, expected {FORMAT}")
        return BrakeRow(orders=tuple(orders), era=era, decisions=tuple(Decision(*each) for each in decisions))
    except (TypeError, ValueError) as error:
        raise RowError(f"cannot be read as a brake row: {error}") from error


def due_at(data: bytes) -> int | None:
    """When to revisit a brake's row (ms): at once while a decision is open, whatever other machines' clocks say."""
    return 0 if from_bytes(data).decisions else None
