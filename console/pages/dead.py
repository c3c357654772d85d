"""Problems > Dead letters."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from console.callers import TheParts
from console.pages.shell import page
from console.pages.visitor import TheVisitor
from console.queries.dead import DeadLettersFilter, dead_letters
from outbound.outcomes import ERROR_CLASSES

router = APIRouter(prefix="/accounts/{account}/dead-letters")


@router.get("")
async def show_dead_letters(
    request: Request, wanted: Annotated[DeadLettersFilter, Query()], parts: TheParts, visitor: TheVisitor
) -> Response:
    """The list with its filters."""
    found = await parts.reads(dead_letters, visitor.account, wanted)
    return page(request, "dead/list.html", visitor, wanted=wanted, found=visitor.page(found), errors=ERROR_CLASSES)
