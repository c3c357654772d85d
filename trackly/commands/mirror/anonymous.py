"""Records without numbers: pseudonyms replace them, and people's texts are omitted. No I/O."""

from __future__ import annotations

from functools import cache
from typing import Any

from msgspec.structs import fields, replace

from schemas.pii import kind_of
from schemas.pseudonyms import Pseudonyms
from schemas.records import Record

LEFT_OUT = ""
"""Replaces a text that cannot be null."""


def anonymous(record: Record, pseudonyms: Pseudonyms) -> Record:
    """Return a record for readers who must not see numbers.

    Ids of messages and clicks stay: they connect events, and lead to a number only for readers of the other topics.
    """
    changes: dict[str, Any] = {}
    account = str(getattr(record, "account", None) or "")
    for name, kind, is_optional in _personal(type(record)):
        value = getattr(record, name)
        if value is None:
            continue
        if kind == "number":
            changes[name] = pseudonyms.of(account, value)
        else:
            changes[name] = None if is_optional else _empty(value)
    return replace(record, **changes)


def recipient_of(record: Record) -> str | None:
    """Return the number or pseudonym of an event's recipient."""
    found: str | None = getattr(record, "phone_number", None) or getattr(record, "to", None)
    return found


@cache
def _personal(record_type: type[Record]) -> tuple[tuple[str, str, bool], ...]:
    """Return name, kind, and whether it may be null, of each field that readers must not see."""
    kinds = [(each, kind_of(record_type.__name__, each.name.rstrip("_"))) for each in fields(record_type)]
    return tuple(
        (each.name, kind, "None" in str(each.type))
        for each, kind in kinds
        if kind in ("number", "text", "raw", "operator", "secret")
    )


def _empty(value: Any) -> Any:
    return LEFT_OUT if isinstance(value, str) else type(value)()
