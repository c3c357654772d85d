"""Trends: messages and webhooks over a day, a week, a month, or a quarter."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from bus.clock import now_ms
from console.access.callers import TheParts
from console.pages import charts
from console.pages.charts import Chart
from console.pages.shell import page
from console.pages.visitor import TheVisitor
from console.queries import series, statistics
from console.queries.series import Span
from console.queries.statistics import DAY, Reason

router = APIRouter(prefix="/accounts/{account}/trends")

WINDOWS = {
    "24h": ("last 24 hours", DAY),
    "7d": ("last 7 days", 7 * DAY),
    "30d": ("last 30 days", 30 * DAY),
    "90d": ("last 90 days", 90 * DAY),
}


@router.get("")
async def trends(
    request: Request,
    parts: TheParts,
    visitor: TheVisitor,
    window: Annotated[Literal["24h", "7d", "30d", "90d"], Query()] = "7d",
) -> Response:
    """Every chart of the account, and why messages fail."""
    span = Span.ending(now_ms(), WINDOWS[window][1])
    shown, reasons, failed = await parts.reads(_look, visitor.account, span)
    return page(
        request,
        "trends.html",
        visitor,
        charts=shown,
        reasons=reasons,
        failed=failed,
        window=window,
        windows={name: words for name, (words, _) in WINDOWS.items()},
    )


def _look(connection: Connection, account: str, span: Span) -> tuple[list[Chart], list[Reason], int]:
    kinds = series.kinds(connection, account, span)
    delivered, failed = series.delivered_and_failed(connection, account, span)
    attempts = series.attempts(connection, account, span)
    shown = [
        charts.messages(delivered, failed, span),
        charts.delivered_share(delivered, failed, span),
        charts.replies_and_removals(kinds, span),
        charts.failures(series.failures(connection, account, span, "detail"), span, "detail"),
        charts.failures(series.failures(connection, account, span, "provider"), span, "provider"),
        charts.removals_by_reason(series.removals(connection, account, span), span),
        charts.webhook_success(attempts, span),
        charts.latency_by_endpoint(series.latencies(connection, account, span, (0.95,)), span, attempts),
    ]
    return shown, statistics.reasons(connection, account, span.first, 20), sum(failed)
