"""Settings > Receivers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from console.access.callers import TheParts
from console.api.receivers import unassigned
from console.changes import lists as changes
from console.changes.acts import Act
from console.errors import ApiError
from console.pages.shell import done, page
from console.pages.visitor import Administrator, TheVisitor, Visitor
from console.parts import Parts

router = APIRouter(prefix="/accounts/{account}/receivers")

SINCE = "30d"

Text = Annotated[str, Form(max_length=255)]


@router.get("")
async def show_receivers(
    request: Request,
    parts: TheParts,
    visitor: TheVisitor,
    since: Annotated[str, Query(max_length=40)] = SINCE,
) -> Response:
    """Recently seen receivers that belong to no list."""
    return await _page(request, parts, visitor, since)


@router.post("")
async def assign(
    request: Request,
    parts: TheParts,
    visitor: Administrator,
    list_number: Text,
    receiver: Text,
    kind: Text,
    provider: Text,
) -> Response:
    """Assign a row's receiver to a list."""
    known = changes.list_named(visitor.lists, list_number)
    try:
        await changes.assign(Act(request, parts, visitor.principal), known, receiver, kind, provider)
    except ApiError as error:
        return await _page(request, parts, visitor, SINCE, error)
    return done(visitor, "/receivers", "saved")


async def _page(
    request: Request, parts: Parts, visitor: Visitor, since: str, error: ApiError | None = None
) -> Response:
    return page(
        request,
        "receivers/list.html",
        visitor,
        200 if error is None else error.status,
        found=await unassigned(parts, visitor.account, since),
        since=since,
        lists=sorted(visitor.lists),
        error=error,
    )
