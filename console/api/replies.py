"""`/api/replies`: what recipients wrote back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from console.access.callers import TheCaller, TheParts
from console.access.csv_export import CSV_RESPONSE, csv_answer
from console.api.lists import ListAnswer, answer
from console.queries.replies import RepliesFilter, Reply, replies

router = APIRouter(tags=["Messages"])


@router.get("/api/replies", summary="List replies")
async def list_replies(
    wanted: Annotated[RepliesFilter, Query()], parts: TheParts, caller: TheCaller
) -> ListAnswer[Reply]:
    """Replies, opt-outs, and opt-ins as they were received, newest first, with the recipients' texts."""
    caller.check_search(wanted)
    return answer(caller, await parts.reads(replies, caller.account, wanted))


@router.get("/api/replies.csv", summary="Export replies", responses=CSV_RESPONSE, response_class=Response)
async def export_replies(
    wanted: Annotated[RepliesFilter, Query()], parts: TheParts, caller: TheCaller
) -> StreamingResponse:
    """The same list as CSV, at most 100,000 rows. A text that a spreadsheet would interpret as a formula starts with
    `'`.
    """
    return await csv_answer(parts.reads, replies, Reply, caller, caller.account, wanted, "replies")
