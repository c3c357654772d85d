"""Messages > Replies."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from console.access.callers import TheParts
from console.access.csv_export import csv_answer
from console.pages.shell import page
from console.pages.visitor import TheVisitor
from console.queries.replies import KINDS, RepliesFilter, Reply, replies

router = APIRouter(prefix="/accounts/{account}")


@router.get("/replies")
async def list_replies(
    request: Request, wanted: Annotated[RepliesFilter, Query()], parts: TheParts, visitor: TheVisitor
) -> Response:
    """The list with its filters."""
    visitor.check_search(wanted)
    found = visitor.page(await parts.reads(replies, visitor.account, wanted))
    return page(request, "replies/list.html", visitor, wanted=wanted, found=found, kinds=KINDS)


@router.get("/replies.csv")
async def export_replies(wanted: Annotated[RepliesFilter, Query()], parts: TheParts, visitor: TheVisitor) -> Response:
    """The list as a file."""
    return await csv_answer(parts.reads, replies, Reply, visitor, visitor.account, wanted, "replies")
