"""`GET /api/attempts`: what endpoints answered."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from console.access.callers import TheCaller, TheParts
from console.api.lists import ListAnswer, answer
from console.errors import not_found
from console.http.fields import RowId
from console.queries.attempts import Attempt, AttemptsFilter, attempt, list_attempts

router = APIRouter(tags=["Webhooks"])


@router.get("/api/attempts", summary="List attempts to deliver webhooks")
async def get_attempts(
    wanted: Annotated[AttemptsFilter, Query()], parts: TheParts, caller: TheCaller
) -> ListAnswer[Attempt]:
    """Every request to the account's endpoints and its outcome, newest first."""
    return answer(caller, await parts.reads(list_attempts, caller.account, wanted))


@router.get("/api/attempts/{attempt_id}", summary="Look up an attempt")
async def get_attempt(attempt_id: RowId, parts: TheParts, caller: TheCaller) -> Attempt:
    """One request to an endpoint and its outcome."""
    found = await parts.reads(attempt, caller.account, attempt_id)
    if found is None:
        raise not_found(f"Account {caller.account} has no attempt with this ID; attempts are kept for a limited time.")
    return caller.shown(found)
