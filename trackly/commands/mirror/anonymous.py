"""Records without numbers: pseudonyms replace them, and people's texts are omitted. No I/O."""

from __future__ import annotations

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
    for each in fields(record):
        kind, value = kind_of(type(record).__name__, each.name.rstrip("_")), getattr(record, each.name)
        if value is None or kind not in ("number", "text", "raw", "operator", "secret"):
            continue
        if kind == "number":
            changes[each.name] = pseudonyms.of(account, value)
        else:
            changes[each.name] = None if "None" in str(each.type) else _empty(value)
    return replace(record, **changes)


def recipient_of(record: Record) -> str | None:
    """Return the number or pseudonym of an event's recipient."""
    found: str | None = getattr(record, "phone_number", None) or getattr(record, "to", None)
    return found


def _empty(value: Any) -> Any:
    return LEFT_OUT if isinstance(value, str) else type(value)()
