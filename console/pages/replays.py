"""Problems > Replays."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from bus.clock import now_ms
from console.access.callers import TheParts
from console.changes.acts import Act
from console.changes.replays import order, shown, stop
from console.errors import validation_failed
from console.pages.shell import done, page
from console.pages.visitor import Supporter, TheVisitor
from console.queries.filters import checked_time
from operations.replays import ENDED, MOST_IDS, Order

router = APIRouter(prefix="/accounts/{account}/replays")

Text = Annotated[str, Form(max_length=200)]

OUTCOMES = {
    "failed": "never accepted",
    "dead": "given up",
    "all": "all",
}


@router.get("")
async def show_replays(request: Request, parts: TheParts, visitor: TheVisitor) -> Response:
    """Replays and their progress; the list polls while one is in progress."""
    return page(
        request,
        "replays/list.html",
        visitor,
        replays=[shown(each) for each in parts.replays.of_account(visitor.account)],
        ended=ENDED,
        outcomes=OUTCOMES,
        endpoints=sorted(each.id for each in parts.accounts.endpoints_of(visitor.account)),
    )


@router.post("")
async def order_replay(
    request: Request,
    parts: TheParts,
    visitor: Supporter,
    endpoint: Text = "",
    outcome: Text = "failed",
    since: Text = "24h",
    event_id: Text = "",
) -> Response:
    """Start a replay to one endpoint, by time or of one event."""
    if outcome not in OUTCOMES:
        raise validation_failed([f"outcome: must be one of {', '.join(OUTCOMES)}"])
    begin = 0 if event_id else checked_time("since", since, now_ms())
    ids = tuple(event_id.split())[:MOST_IDS]
    wanted = Order(f"{visitor.account}/{endpoint}", outcome, event_ids=ids, from_at=begin)
    await order(Act(request, parts, visitor.principal), visitor.account, [wanted])
    return done(visitor, "/replays", "ordered")


@router.post("/{replay_id}/stop")
async def stop_replay(request: Request, replay_id: str, parts: TheParts, visitor: Supporter) -> Response:
    """Stop it. What it has handed over is still sent."""
    await stop(Act(request, parts, visitor.principal), visitor.account, replay_id)
    return done(visitor, "/replays", "stopped")
