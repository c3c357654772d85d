"""Problems > Rejected payloads."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from console.callers import TheParts
from console.pages.shell import done, page
from console.pages.visitor import Supporter, TheVisitor
from console.queries.rejected import RejectedFilter, list_rejected
from console.rejected_retries import retry
from providers import PROVIDERS

router = APIRouter(prefix="/accounts/{account}/rejected")


@router.get("")
async def show_rejected(
    request: Request, wanted: Annotated[RejectedFilter, Query()], parts: TheParts, visitor: TheVisitor
) -> Response:
    """The list with its filters."""
    found = await parts.reads(list_rejected, visitor.account, wanted)
    return page(
        request, "rejected/list.html", visitor, wanted=wanted, found=visitor.page(found), providers=sorted(PROVIDERS)
    )


@router.post("/retry")
async def process_again(
    request: Request,
    wanted: Annotated[RejectedFilter, Query()],
    parts: TheParts,
    visitor: Supporter,
) -> Response:
    """Process again what the filters cover: what was mended comes through, what was not is rejected again."""
    retried = await retry(request, parts, visitor.principal, visitor.account, wanted)
    return done(visitor, "/rejected", "gone" if retried.gone else "retried", **wanted.chosen)
