"""`GET /api/dead-letters`: webhooks that were given up."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from console.access.callers import TheCaller, TheParts
from console.api.lists import ListAnswer, answer
from console.queries.dead import DeadLetter, DeadLettersFilter, dead_letters

router = APIRouter(tags=["Webhooks"])


@router.get("/api/dead-letters", summary="List dead letters")
async def get_dead_letters(
    wanted: Annotated[DeadLettersFilter, Query()], parts: TheParts, caller: TheCaller
) -> ListAnswer[DeadLetter]:
    """Webhooks whose retries ran out, newest first."""
    return answer(caller, await parts.reads(dead_letters, caller.account, wanted))
