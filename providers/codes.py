"""Which codes of failures the tables in `data/` know."""

from __future__ import annotations

from typing import NamedTuple

from providers.meanings import tables
from schemas.records import Receipt

_OPEN_OR_GOOD = frozenset({"pending", "delivered"})


class UnknownCode(NamedTuple):
    """A code that no table has. `is_status`: it is that of the outcome itself, not of an error that explains it."""

    code: str
    is_status: bool


def unknown_code(receipt: Receipt) -> UnknownCode | None:
    """The code of a failure that is in no table; None where all are known, or the provider documents none (CM)."""
    if receipt.status in _OPEN_OR_GOOD:
        return None
    match receipt.provider:
        case "infobip":
            return _of_infobip(receipt.provider_status, receipt.provider_code or "")
        case "twilio":
            code = receipt.provider_code
            return None if code is None or code in _TWILIO_ERRORS else UnknownCode(code, is_status=False)
    return None


def _of_infobip(status: str, code: str) -> UnknownCode | None:
    """`code` is `group,id/error`; a status that has a name is known by it, else by group and id."""
    group_and_id, _, error = code.partition("/")
    name = status.strip().upper()
    if name in _INFOBIP_GROUPS:
        if "," in group_and_id and group_and_id not in _INFOBIP_IDS:
            return UnknownCode(group_and_id, is_status=True)
    elif name not in _INFOBIP_NAMES:
        return UnknownCode(status, is_status=True)
    return UnknownCode(f"error {error}", is_status=False) if error and error not in _INFOBIP_ERRORS else None


_TWILIO_ERRORS = frozenset(str(row["code"]) for row in tables("twilio")["errors"])
_INFOBIP = tables("infobip")
_INFOBIP_GROUPS = frozenset(name for row in _INFOBIP["groups"] for name in row["names"])
_INFOBIP_STATUSES = _INFOBIP["statuses"] + _INFOBIP["bare_ids"]
# A report without any name of its own bears our detail in its place.
_INFOBIP_NAMES = frozenset(row[key] for row in _INFOBIP_STATUSES + _INFOBIP["errors"] for key in ("name", "detail"))
_INFOBIP_IDS = frozenset(f"{row['group']},{row['id']}" for row in _INFOBIP_STATUSES)
_INFOBIP_ERRORS = frozenset(str(row["id"]) for row in _INFOBIP["errors"])
