"""Lists as CSV (RFC 4180), streamed page by page, so that a long one needs little memory."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import Connection
from starlette.responses import StreamingResponse

from console.access.visibility import Sight
from console.backends.database import Reads
from console.queries.filters import ListFilter
from console.queries.paging import Page
from schemas.cloudevents import iso_time
from schemas.spreadsheets import harmless

CSV = "text/csv; charset=utf-8"

MOST_ROWS = 100_000
PAGE_ROWS = 1_000

F = TypeVar("F", bound=ListFilter)
T = TypeVar("T")

_TIMES = ("At", "At | None")

CSV_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "Rows, newest first"}
}
"""The answer's description for the OpenAPI document."""


async def csv_answer(
    reads: Reads,
    query: Callable[[Connection, str, F], Page[T]],
    row_type: type[T],
    sight: Sight,
    account: str,
    wanted: F,
    name: str,
) -> StreamingResponse:
    """Stream at most MOST_ROWS rows of a list, as their reader may see them. Raises ApiError before the first byte."""
    sight.check_search(wanted)
    wanted = wanted.model_copy(update={"limit": PAGE_ROWS})
    first = await reads(query, account, wanted)

    async def pages() -> AsyncIterator[str]:
        yield lines([[each.name for each in fields(row_type)]])  # type: ignore[arg-type]
        page, sent = first, 0
        while True:
            rows = page.rows[: MOST_ROWS - sent]
            yield lines(_cells(sight.shown(row)) for row in rows)
            sent += len(rows)
            if page.next_cursor is None or sent >= MOST_ROWS:
                return
            page = await reads(query, account, wanted.model_copy(update={"cursor": page.next_cursor}))

    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(pages(), media_type=CSV, headers=headers)


def _cells(row: Any) -> list[Any]:
    return [cell(getattr(row, each.name), is_time=each.type in _TIMES) for each in fields(row)]


def cell(value: Any, is_time: bool = False) -> Any:
    """Format a value as a cell; times are in milliseconds."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int() if is_time:
            return iso_time(value)
    return harmless(value)


def lines(rows: Iterable[list[Any]]) -> str:
    """Format rows of cells as text."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
