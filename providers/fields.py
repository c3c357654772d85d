"""Helpers for the fields of one report or reply, and the fields that every record of a callback has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any, TypedDict, TypeVar

from providers.base import Unreadable
from providers.numbers import NotANumber, to_number
from schemas.ids import derived_id
from schemas.records import RawCallback

T = TypeVar("T")

MAX_ITEMS = 10_000
"""Maximum items of one body. No provider sends more than 2,000; a larger body is kept whole and not split."""


class BadItem(Exception):
    """One item that cannot be read. `reason` is a short code, the text a sentence that names the field."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason


class Origin(TypedDict):
    """Where a record comes from."""

    event_id: str
    account: str
    provider: str
    received_at: int


def origin(callback: RawCallback, index: int) -> Origin:
    """Return the origin of a callback's item n. The event id is the same each time the callback is read."""
    return Origin(
        event_id=derived_id(callback.event_id, index),
        account=callback.account,
        provider=callback.provider,
        received_at=callback.received_at,
    )


def bounded(items: Sequence[T]) -> Sequence[T]:
    """Return the items of a body. Raises Unreadable("too_many_items")."""
    if len(items) > MAX_ITEMS:
        raise Unreadable("too_many_items", f"the body has more than {MAX_ITEMS} items")
    return items


def text(value: Any) -> str:
    """Return a string unchanged, a whole number as digits, "" for anything else."""
    if isinstance(value, str):
        return value
    number = None if value is None else _whole(value)
    return "" if number is None else str(number)


def integer(value: Any) -> int | None:
    """Return a whole number, also from a string of at most 9 digits; None for anything else."""
    if isinstance(value, str):
        digits = value.strip()
        return int(digits) if len(digits) <= 9 and digits.isascii() and digits.isdigit() else None
    return _whole(value)


def _whole(value: Any) -> int | None:
    """Return a whole number: in JSON, 3.0 and 3E0 are also spellings of 3. Beyond 2**53 a float has lost digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else None


def count(value: Any) -> int | None:
    """Return a nonnegative integer that fits Avro's `int`; None for anything else."""
    number = integer(value)
    return number if number is not None and 0 <= number < 2**31 else None


def decimal(value: Any) -> str | None:
    """Return a number, also from a string, without an exponent; None for anything else. No price has 20 digits."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        exact = Decimal(str(value))
    except ArithmeticError:
        return None
    return format(exact, "f") if exact.is_finite() and -20 < exact.adjusted() < 20 else None


def currency(value: Any) -> str | None:
    """Return three letters as in ISO 4217; None for anything else, such as `UNKNOWN`."""
    return value if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha() else None


def mapping(value: Any) -> dict[str, Any]:
    """Return an object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def number(written: str, field: str) -> str:
    """Like `to_number`, but raises BadItem, which does not repeat the number."""
    try:
        return to_number(written)
    except NotANumber:
        raise BadItem("invalid_number", f"{field} is not a phone number") from None


def number_or_none(written: str) -> str | None:
    """Like `to_number`, but None for anything that is not a phone number. The report is kept."""
    try:
        return to_number(written)
    except NotANumber:
        return None


def chosen(payloads: Iterable[str | None]) -> str | None:
    """Return the payloads of what a person tapped as a keyword, one per line; None if there are none.

    The shortest come first: a keyword that is too long is cut, and words for an opt-out are short.
    """
    return "\n".join(sorted(filter(None, payloads), key=len)) or None


def unambiguous(pairs: Iterable[tuple[str, Any]], deciding: Collection[str]) -> dict[str, Any]:
    """Return fields by name; the last value of a repeated name wins.

    Raises BadItem when a deciding field has two different values, because neither can be preferred.
    """
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields and name in deciding and fields[name] != value:
            raise BadItem("ambiguous_field", f"{name} is given twice with different values")
        fields[name] = value
    return fields
