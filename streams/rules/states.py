"""The state of a message: its progress, and which report replaces which."""

from __future__ import annotations

import re
from collections.abc import Mapping

from providers import PROVIDERS
from schemas.records import MessageSent, Receipt
from streams.message_row import Report

FINAL = 3
_RANKS: Mapping[tuple[str, str | None], int] = {("pending", None): 0, ("pending", "SENT"): 1}
_OTHER_RANK = 2

MAX_REPORTS = 8
"""Distinct reports kept of a message; it usually has one or two final ones."""

_REFERENCE = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")


def says_sent(receipt: Receipt) -> bool:
    """Whether a report says that the message was sent, or is being sent, to the carrier."""
    provider = PROVIDERS.get(receipt.provider)
    return provider is not None and receipt.status_detail in provider.sent_details


def message_name(provider: str, provider_message_id: str) -> str:
    """Return a message's name in its contact's row, whatever is registered about it."""
    return f"{provider}:{provider_message_id}"


def public_message_id(receipt: Receipt, message: MessageSent | None) -> str:
    """Return a message's public id: the sender's own, or else the provider's.

    The sender's own id is the registered one, or else the report's reference, if it is one word of at most 128 letters,
    digits, or `_.:/-`. Any other reference (JSON, free text) is not an id and stays in the receipt.
    """
    if message is not None:
        return message.message_id
    reference = receipt.sender_reference
    if reference is not None and _REFERENCE.fullmatch(reference):
        return reference
    return receipt.provider_message_id


def rank(status: str, detail: str, final: bool) -> int:
    """A message's progress: 0 pending, 1 sent, 2 beyond pending but not final, 3 final."""
    if final:
        return FINAL
    return _RANKS.get((status, detail), _RANKS.get((status, None), _OTHER_RANK))


def report_of(receipt: Receipt) -> Report:
    """Return what a receipt says about its message."""
    zoneless = receipt.provider in PROVIDERS and PROVIDERS[receipt.provider].has_zoneless_times
    return Report(
        receipt.status,
        receipt.status_detail,
        receipt.status_class,
        rank(receipt.status, receipt.status_detail, receipt.final),
        receipt.provider_code,
        None if zoneless else receipt.occurred_at,
        receipt.occurred_at if zoneless else None,
        receipt.received_at,
    )


def merged(reports: tuple[Report, ...], new: Report) -> tuple[Report, ...]:
    """Merge a new report into those of the furthest progress. The last one is the message's state.

    Of two with the same progress, the later one counts: by the provider's time, or else by its receipt. A repeated
    report is as old as its first receipt, so the same reports give the same result in any order.
    """
    if reports and new.rank != reports[0].rank:
        return (new,) if new.rank > reports[0].rank else reports
    again = next((report for report in reports if _says(report) == _says(new)), None)
    if again is not None:
        if again.received_at <= new.received_at:
            return reports
        reports = tuple(report for report in reports if report is not again)
    found = (*reports, new)
    local = all(report.local_at is not None for report in found)
    return tuple(sorted(found, key=lambda report: _order(report, local))[-MAX_REPORTS:])


def is_news(before: Report | None, after: Report | None) -> bool:
    """Whether a message's published state changes."""
    if before is None or after is None:
        return before is not after
    return after.rank > before.rank or (after.status, after.detail) != (before.status, before.detail)


def _says(report: Report) -> tuple[object, ...]:
    return report[: Report._fields.index("received_at")]


def _order(report: Report, local: bool) -> tuple[int, int, tuple[object, ...]]:
    at = report.local_at if local and report.local_at is not None else report.at
    return at, report.received_at, tuple(map(str, report))
