"""`GET /api/rejected`: what could not be processed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from console.access.callers import Operator, Supporter, TheCaller, TheParts
from console.api.lists import ListAnswer, answer
from console.changes.acts import Act
from console.changes.rejected import Retried, retry
from console.http.fields import without_body
from console.queries.rejected import Rejected, RejectedFilter, list_rejected

router = APIRouter(tags=["Messages"])


@router.get("/api/rejected", summary="List rejected payloads")
async def get_rejected(
    wanted: Annotated[RejectedFilter, Query()], parts: TheParts, caller: TheCaller
) -> ListAnswer[Rejected]:
    """Callbacks, or items of callbacks, that could not be processed, with the reason; possible opt-outs first, then
    newest first.
    """
    return answer(caller, await parts.reads(list_rejected, caller.account, wanted))


@router.get("/api/rejected/installation", summary="List rejected payloads without an account")
async def get_rejected_of_nobody(
    wanted: Annotated[RejectedFilter, Query()], parts: TheParts, caller: Operator
) -> ListAnswer[Rejected]:
    """Rejected records that belong to no known account; for admins of every account."""
    return answer(caller, await parts.reads(list_rejected, caller.account, wanted))


@router.post(
    "/api/rejected/retry",
    status_code=202,
    summary="Process rejected payloads again",
    dependencies=[Depends(without_body)],
)
async def process_again(
    request: Request, wanted: Annotated[RejectedFilter, Query()], parts: TheParts, caller: Supporter
) -> Retried:
    """Process the callbacks that match the filters again, up to 50, newest first; `is_all` means that there were no
    more.

    Items that were processed the first time get the same IDs and are not counted twice.
    """
    return await retry(Act(request, parts, caller.principal), caller.account, wanted)
