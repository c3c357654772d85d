"""Overview: what needs attention, and the latest figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from bus.clock import now_ms
from console.access.callers import TheParts
from console.pages import charts
from console.pages.attention import AccountHealth, Attention, LostOptOuts, attention
from console.pages.charts import Chart
from console.pages.shell import page
from console.pages.visitor import TheVisitor
from console.queries import series, statistics
from console.queries.brakes import held_count
from console.queries.series import Span
from console.queries.statistics import DAY, HOUR, MINUTE
from database.read_state import freshness_of
from schemas.records import DELIVERED, FAILED_STATUSES, EndpointConfig

router = APIRouter(prefix="/accounts/{account}")

SILENT_MS = 30_000
"""The read model counts as unwritten after this time without an update; one is due every second."""

WINDOWS = {"24h": ("last 24 hours", DAY), "1h": ("this hour", HOUR), "7d": ("last 7 days", 7 * DAY)}


@dataclass(frozen=True, slots=True)
class Overview:
    """The page's data."""

    tiles: list[tuple[str, str, str, str]]
    attention: list[Attention]
    charts: list[Chart]
    as_of: int | None
    lag: int
    is_empty: bool


@router.get("")
async def overview(
    request: Request,
    parts: TheParts,
    visitor: TheVisitor,
    window: Annotated[Literal["24h", "1h", "7d"], Query()] = "24h",
) -> Response:
    """The page; its live part polls for changes."""
    now = now_ms()
    endpoints = parts.accounts.endpoints_of(visitor.account)
    doubts = parts.contacts.lost.doubts
    lost: LostOptOuts = "all" if doubts.about_all(visitor.account) else None
    if lost is None and doubts.about_some(visitor.account):
        lost = "some"
    known = await parts.reads(_look, visitor.account, window, endpoints, lost, now)
    return page(
        request,
        "overview.html",
        visitor,
        known=known,
        window=window,
        windows={name: words for name, (words, _) in WINDOWS.items()},
        contacts_age=parts.contacts.age(),
    )


def _look(
    connection: Connection,
    account: str,
    window: str,
    endpoints: tuple[EndpointConfig, ...],
    lost_opt_outs: LostOptOuts,
    now: int,
) -> Overview:
    length = WINDOWS[window][1]
    since = now - now % HOUR if length == HOUR else now - length + HOUR
    counts = statistics.totals(connection, account, since)
    outcomes = statistics.outcomes(connection, account, since)
    delivered = outcomes.get(DELIVERED, 0)
    failed = sum(outcomes.get(status, 0) for status in FAILED_STATUSES)
    attempts = statistics.webhooks(connection, account, since)
    tried, taken = sum(each.attempts for each in attempts), sum(each.taken for each in attempts)
    last_day = attempts if length == DAY else statistics.webhooks(connection, account, now - DAY)
    dead = statistics.dead_since(connection, account, now - DAY)
    rejected = statistics.rejected_since(connection, account, now - DAY)
    opt_outs = statistics.rejected_since(connection, account, now - DAY, may_opt_out=True)
    fresh = freshness_of(connection)
    is_written = fresh is not None and now - fresh.told_at < SILENT_MS
    as_of = None if fresh is None else fresh.caught_up_at
    behind = None if not is_written or as_of is None else max(0.0, (now - as_of) / 1000)
    ago = f"since={length // HOUR}h"
    tiles = [
        ("Delivered", f"{delivered:,}", _share(delivered, delivered + failed), f"/deliveries?status=delivered&{ago}"),
        # A list of messages has one status at a time, and these have three: the chart below leads to each reason's.
        ("Failed", f"{failed:,}", _share(failed, delivered + failed), f"?window={window}#title-failures-detail"),
        ("Replies", _kind(counts, "reply"), "", f"/replies?{ago}"),
        ("Opt-outs", _kind(counts, "unsubscribe"), "", f"/contacts?active=false&reason=message&{ago}"),
        ("Removals", _kind(counts, "removed"), "not opt-outs", f"/contacts?active=false&{ago}"),
        ("Clicks", _kind(counts, "click"), "", ""),
        ("Conversions", _kind(counts, "conversion"), "", ""),
        ("Webhooks", f"{tried:,}", f"{_share(taken, tried)} 2xx" if tried else "", "/webhooks"),
        ("Dead letters", _many(dead), "last day", "/dead-letters"),
        ("Rejected", _many(rejected), "last day", "/rejected"),
    ]
    return Overview(
        tiles=tiles,
        attention=attention(
            AccountHealth(
                endpoints=endpoints,
                webhooks=last_day,
                dead=dead,
                rejected=rejected,
                rejected_opt_outs=opt_outs,
                held=held_count(connection, account),
                lost_opt_outs=lost_opt_outs,
                behind_seconds=behind,
                lost=0 if fresh is None else fresh.lost,
                now=now,
            )
        ),
        charts=_charts(connection, account, Span.ending(now, max(length, DAY)), now),
        as_of=as_of,
        lag=0 if fresh is None else fresh.lag,
        is_empty=not counts and not tried and not rejected,
    )


def _charts(connection: Connection, account: str, span: Span, now: int) -> list[Chart]:
    kinds = series.kinds(connection, account, span)
    attempts = series.attempts(connection, account, span)
    minutes = statistics.minutes(connection, account, now)
    return [
        charts.events_per_second(minutes, now - now % MINUTE - len(minutes) * MINUTE, MINUTE),
        charts.delivered_share(*series.delivered_and_failed(connection, account, span), span),
        charts.failures(series.failures(connection, account, span, "detail", most=3), span, "detail"),
        charts.replies_and_removals(kinds, span),
        charts.webhook_success(attempts, span),
        charts.latency_by_endpoint(series.latencies(connection, account, span, (0.95,)), span, attempts),
    ]


def _kind(counts: dict[tuple[str, str], int], event: str) -> str:
    return f"{sum(count for (kind, _), count in counts.items() if kind == event):,}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else ""


def _many(count: int) -> str:
    return f"{statistics.MANY:,}+" if count > statistics.MANY else f"{count:,}"
