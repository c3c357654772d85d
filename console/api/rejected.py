"""`GET /api/rejected`: what could not be processed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from console.api.lists import ListAnswer, answer
from console.callers import TheCaller, TheParts
from console.queries.rejected import Rejected, RejectedFilter, list_rejected

router = APIRouter(tags=["Messages"])


@router.get("/api/rejected", summary="List rejected payloads")
async def get_rejected(
    wanted: Annotated[RejectedFilter, Query()], parts: TheParts, caller: TheCaller
) -> ListAnswer[Rejected]:
    """Callbacks, or items of them, that could not be processed, with the reason; the newest first."""
    return answer(caller, await parts.reads(list_rejected, caller.account, wanted))
