"""Failure codes: the names of a report's outcome, and which of them the tables in `data/` know.

Codes are written as the provider writes them: an error number (`30500`, `607`), or the outcome itself, such as
Infobip's status by name or by group and id (`REJECTED_DND`, `5,10`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from msgspec.structs import replace

import providers
from providers.base import Codes
from schemas.records import Receipt


class Report(Protocol):
    """The fields of a receipt that determine its code."""

    @property
    def provider(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def provider_status(self) -> str: ...
    @property
    def provider_code(self) -> str | None: ...


_OPEN_OR_GOOD = frozenset({"pending", "delivered"})


def is_failure(report: Report) -> bool:
    """Whether a report says that a message was not, and will not be, delivered."""
    return report.status not in _OPEN_OR_GOOD


def unknown_code(report: Report) -> str | None:
    """Return the code of a failure if no table has it; None if all are known, or the provider documents none (CM)."""
    if not is_failure(report):
        return None
    codes = _codes(report)
    return None if codes is None else codes.unknown(report.provider_status, report.provider_code)


def codes_of(report: Report) -> Iterator[str]:
    """Return the names of a report's outcome, most specific first: the error, the outcome by name, the outcome by
    number."""
    codes, code = _codes(report), report.provider_code or ""
    outcome, error = ("", code) if codes is None else codes.parted(code)
    yield from (each for each in (error, report.provider_status, outcome) if each)


def _codes(report: Report) -> Codes | None:
    provider = providers.PROVIDERS.get(report.provider)
    return None if provider is None else provider.codes


def of_account(receipt: Receipt, classes: Mapping[str, str]) -> Receipt:
    """Return a failure's receipt with the class that the account assigned to its code, if any.

    `classes` is keyed by provider and code, `twilio 30500`; the most specific name wins.
    """
    if not classes or not is_failure(receipt):
        return receipt
    given = (classes.get(f"{receipt.provider} {code}") for code in codes_of(receipt))
    status_class = next(filter(None, given), None)
    return receipt if status_class is None else replace(receipt, status_class=status_class)
