"""`/api/replays`: webhooks sent again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import Field

from bus.clock import now_ms
from console.access.callers import Supporter, TheCaller, TheParts
from console.api.lists import ListAnswer
from console.changes.acts import Act
from console.changes.endpoints import endpoint_named
from console.changes.replays import Replay, order, orders_of, plan_dead, replay_named, shown, stop
from console.errors import validation_failed
from console.http.fields import Item, StrictBody, without_body
from console.queries.dead import DeadLettersFilter
from console.queries.filters import checked_time
from operations.replays import EVENTS, MOST_IDS, Order

router = APIRouter(tags=["Replays"])


ReplayId = Annotated[str, Path(max_length=64, description="The replay's ID.", examples=["rpl_1"])]


class NewReplay(StrictBody):
    """Which webhooks to send again."""

    endpoint: str = Field(max_length=64, examples=["crm"])
    outcome: str = Field(
        default="failed", pattern="^(all|failed|dead)$", description="all, failed (never accepted), or dead (given up)."
    )
    events: list[Item] = Field(default=[], max_length=20, description="Only these events.")
    event_ids: list[Item] = Field(default=[], max_length=MOST_IDS, description="Only webhooks with these webhook-ids.")
    since: str | None = Field(
        default=None,
        max_length=40,
        description="Written since this time, or within this duration; by default 24h, unless event_ids are given.",
        examples=["24h"],
    )
    until: str | None = Field(default=None, max_length=40, description="Written before this time; by default now.")
    rate: float | None = Field(default=None, ge=0.1, le=100_000, description="Maximum webhooks per second.")


@router.get("/api/replays", summary="List replays")
async def list_replays(parts: TheParts, caller: TheCaller) -> ListAnswer[Replay]:
    """Replays of the last 30 days and their progress, on one page, newest first."""
    return ListAnswer([shown(each) for each in parts.replays.of_account(caller.account)], None)


@router.post("/api/replays", status_code=202, summary="Order a replay")
async def order_replay(request: Request, body: NewReplay, parts: TheParts, caller: Supporter) -> Replay:
    """Send webhooks to one endpoint again, with their original bodies and webhook-ids. Sinks carries it out."""
    now = now_ms()
    unknown = [event for event in body.events if event not in EVENTS]
    if unknown:
        raise validation_failed([f"events: {unknown[0]!r} is not one of {', '.join(EVENTS)}"])
    wanted = Order(
        f"{caller.account}/{body.endpoint}",
        body.outcome,
        tuple(body.events),
        tuple(body.event_ids),
        0 if body.event_ids and body.since is None else checked_time("since", body.since or "24h", now),
        None if body.until is None else checked_time("until", body.until, now),
        body.rate,
    )
    if wanted.to_at is not None and wanted.to_at <= wanted.from_at:
        raise validation_failed(["until: is not after since, so it selects nothing"])
    (known,) = await order(Act(request, parts, caller.principal), caller.account, [wanted])
    return shown(known)


@router.post(
    "/api/dead-letters/replay", status_code=202, summary="Replay dead letters", dependencies=[Depends(without_body)]
)
async def replay_dead(
    request: Request, wanted: Annotated[DeadLettersFilter, Query()], parts: TheParts, caller: Supporter
) -> ListAnswer[Replay]:
    """Replay all dead letters that match the filter and have not been delivered since, up to 10,000, as one or more
    replays.
    """
    if wanted.endpoint is not None:
        endpoint_named(parts, caller.account, wanted.endpoint)
    plan = await parts.reads(plan_dead, caller.account, wanted, parts.accounts.endpoints_of(caller.account))
    orders = list(orders_of(plan, caller.account))
    return ListAnswer(
        [shown(each) for each in await order(Act(request, parts, caller.principal), caller.account, orders)], None
    )


@router.get("/api/replays/{replay_id}", summary="Show a replay")
async def get_replay(replay_id: ReplayId, parts: TheParts, caller: TheCaller) -> Replay:
    """One replay: its state, how many webhooks were sent, and how many records are left to read."""
    return shown(replay_named(parts, caller.account, replay_id))


@router.post("/api/replays/{replay_id}/stop", summary="Stop a replay")
async def stop_replay(request: Request, replay_id: ReplayId, parts: TheParts, caller: Supporter) -> Replay:
    """Stop a replay. Webhooks that it has already handed over are still sent."""
    return shown(await stop(Act(request, parts, caller.principal), caller.account, replay_id))
