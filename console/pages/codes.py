"""Problems > Codes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from accounts.checks import CLASSES
from console.access.callers import TheParts
from console.api.codes import codes_seen
from console.changes.accounts import set_code_class
from console.changes.acts import Act
from console.errors import ApiError
from console.pages.shell import done, page
from console.pages.visitor import Administrator, TheVisitor, Visitor
from console.parts import Parts
from operations.codes import CODED_PROVIDERS

router = APIRouter(prefix="/accounts/{account}/codes")

SINCE = "7d"
OF_TABLES = "default"


@router.get("")
async def show_codes(
    request: Request,
    parts: TheParts,
    visitor: TheVisitor,
    since: Annotated[str, Query(max_length=40)] = SINCE,
    known: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    """Codes that no table has, or all codes."""
    return await _page(request, parts, visitor, since, bool(known))


@router.post("")
async def give_class(
    request: Request,
    parts: TheParts,
    visitor: Administrator,
    code: Annotated[str, Form(max_length=200)],
    status_class: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Set a code's effect on the account's contacts; without a class, restore the default."""
    given = None if status_class in ("", OF_TABLES) else status_class
    try:
        await set_code_class(Act(request, parts, visitor.principal), visitor.account, code, given)
    except ApiError as error:
        return await _page(request, parts, visitor, SINCE, False, error)
    return done(visitor, "/codes", "saved")


async def _page(
    request: Request, parts: Parts, visitor: Visitor, since: str, known: bool, error: ApiError | None = None
) -> Response:
    return page(
        request,
        "codes/list.html",
        visitor,
        200 if error is None else error.status,
        found=await codes_seen(parts, visitor.account, since or SINCE, known),
        since=since or SINCE,
        known=known,
        classes=CLASSES,
        coded=CODED_PROVIDERS,
        of_tables=OF_TABLES,
        error=error,
    )
