"""`GET /api/deliveries`: what became of messages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from console.api.lists import ListAnswer, answer
from console.callers import TheCaller, TheParts
from console.queries.deliveries import DeliveriesFilter, Delivery, deliveries

router = APIRouter(tags=["Messages"])


@router.get("/api/deliveries", summary="List deliveries")
async def list_deliveries(
    wanted: Annotated[DeliveriesFilter, Query()], parts: TheParts, caller: TheCaller
) -> ListAnswer[Delivery]:
    """The newest state of each message, the last changed first."""
    caller.check_search(wanted)
    return answer(caller, await parts.reads(deliveries, caller.account, wanted))
