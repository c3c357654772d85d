"""`GET /api/statistics`: counts by hour, day, list, provider, or reason."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from bus.clock import now_ms
from console.access.callers import Caller, TheCaller, TheParts
from console.access.csv_export import CSV, cell, lines
from console.api.lists import ListAnswer
from console.errors import validation_failed
from console.parts import Parts
from console.queries.filters import checked_time
from console.queries.statistics import DAY, Group, Statistic, statistics

MOST_DAYS = 400
MOST_HOURLY_DAYS = 31

router = APIRouter(tags=["Statistics"])


class StatisticsFilter(BaseModel):
    """Which counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: str | None = Field(
        default=None, max_length=64, description="Account ID. Needed only if you may see several accounts."
    )
    group: Group = Field(default="hour", description="What to group by.")
    event: str | None = Field(
        default=None,
        max_length=40,
        description="Only this event; `message`: messages instead, each once, by its newest status.",
        examples=["delivery"],
    )
    since: str = Field(default="24h", max_length=40, description="Begin at this time, or this long ago.")
    until: str | None = Field(default=None, max_length=40, description="End before this time, or this long ago.")


@router.get("/api/statistics", summary="Count events")
async def list_statistics(
    wanted: Annotated[StatisticsFilter, Query()], parts: TheParts, caller: TheCaller
) -> ListAnswer[Statistic]:
    """Events by kind and status in each group, in whole hours of UTC. A message may have several events of one status,
    such as delivered to the operator, delivered to the handset, and read: with `event=message`, it counts once.

    `detail` is the reason if there is one. Covers up to 400 days, or 31 days by the hour, and at most 10,000 rows, the
    newest or most frequent first.
    """
    return ListAnswer(await _counted(wanted, parts, caller), None)


@router.get("/api/statistics.csv", summary="Count events, as CSV", response_class=Response)
async def statistics_csv(wanted: Annotated[StatisticsFilter, Query()], parts: TheParts, caller: TheCaller) -> Response:
    """The same as CSV with a header line."""
    is_time = wanted.group in ("hour", "day")
    rows = [["event", "status", wanted.group, "count"]]
    for each in await _counted(wanted, parts, caller):
        group = each.hour if is_time else getattr(each, wanted.group)
        rows.append([cell(each.event), cell(each.status), cell(group, is_time=is_time), cell(each.count)])
    return Response(lines(rows), media_type=CSV)


async def _counted(wanted: StatisticsFilter, parts: Parts, caller: Caller) -> list[Statistic]:
    now = now_ms()
    since, until = checked_time("since", wanted.since, now), checked_time("until", wanted.until or "0s", now)
    most = MOST_HOURLY_DAYS if wanted.group == "hour" else MOST_DAYS
    if not 0 <= until - since <= most * DAY:
        raise validation_failed(
            [f"since: must be within {most} days before until; by the day, up to {MOST_DAYS} are allowed"]
        )
    return await parts.reads(statistics, caller.account, wanted.group, since, until, wanted.event)
