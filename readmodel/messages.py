"""Merges a message's newest state from several topics that report on it in any order. No I/O."""

from __future__ import annotations

from msgspec import Struct

from database.bulk import Row
from schemas.records import FAILED_STATUSES

QUEUED = "queued"
"""Status of a message without any report."""


class DeliveryReport(Struct, frozen=True, gc=False):
    """A delivery report's effect on a message."""

    status: str
    status_detail: str
    status_class: str
    provider_code: str | None
    final: bool


_NO_REPORT = DeliveryReport(QUEUED, "", "neutral", None, False)


class MessageNews(Struct, frozen=True, gc=False, kw_only=True):
    """What one record says about a message; None where it says nothing. `registered_at` (ms): it is the
    registration. `tags`: the registration's, as JSON."""

    account: str
    provider: str
    provider_message_id: str
    message_id: str
    number: str | None
    list_number: str | None
    part_count: int | None
    registered_at: int | None = None
    tags: str | None = None
    report: DeliveryReport | None = None
    at: int


def outcome_of(row: Row) -> tuple[str, str] | None:
    """Return the status and, of a failed message, the detail by which it is counted; None without any report.

    A message that is delivered to the operator, then to the handset, and then read, is delivered once.
    """
    status = row["status"]
    return None if status == QUEUED else (status, row["status_detail"] if status in FAILED_STATUSES else "")


def merged(row: Row | None, news: MessageNews) -> Row:
    """Return a message's row after the news; `row` is the previous one, or None.

    A message's reports arrive in order, so the newest one counts. What the sender registered takes precedence over
    reports, whichever comes first.
    """
    if row is None:
        return _first(news)
    after = dict(row)
    if news.registered_at is not None or row["registered_at"] is None:
        after["message_id"] = news.message_id
        after["list_number"] = news.list_number or row["list_number"]
    if news.registered_at is not None:
        after["registered_at"] = news.registered_at
        after["tags"] = news.tags
    after["number"] = row["number"] or news.number
    after["part_count"] = row["part_count"] if news.part_count is None else news.part_count
    if news.report is not None:
        after |= _reported(news.report)
        if outcome_of(after) != outcome_of(row):
            after["outcome_at"] = news.at
        after["updated_at"] = news.at
    return after


def _first(news: MessageNews) -> Row:
    return {
        "account": news.account,
        "provider": news.provider,
        "provider_message_id": news.provider_message_id,
        "message_id": news.message_id,
        "number": news.number,
        "list_number": news.list_number,
        **_reported(news.report or _NO_REPORT),
        "part_count": news.part_count,
        "registered_at": news.registered_at,
        "updated_at": news.at,
        "tags": news.tags,
        "outcome_at": None if news.report is None else news.at,
    }


def _reported(report: DeliveryReport) -> Row:
    return {
        "status": report.status,
        "status_detail": report.status_detail,
        "status_class": report.status_class,
        "provider_code": report.provider_code,
        "final": report.final,
    }
