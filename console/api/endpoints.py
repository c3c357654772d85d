"""`GET /api/endpoints`: where an account's webhooks go."""

from __future__ import annotations

from fastapi import APIRouter

from console.api.lists import ListAnswer
from console.callers import TheCaller, TheParts
from console.clock import now_ms
from console.queries.endpoints import Endpoint, endpoints

router = APIRouter(tags=["Webhooks"])


@router.get("/api/endpoints", summary="List endpoints")
async def get_endpoints(parts: TheParts, caller: TheCaller) -> ListAnswer[Endpoint]:
    """All endpoints of the account: what each gets, its state, and how it did in the last 24 hours. On one page."""
    configs = parts.accounts.endpoints_of(caller.account)
    return ListAnswer(list(await parts.reads(endpoints, caller.account, configs, now_ms())), None)
