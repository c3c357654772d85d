"""Problems > Rejected payloads."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from console.access.callers import TheParts
from console.changes.acts import Act
from console.changes.rejected import retry
from console.pages.shell import done, page
from console.pages.visitor import OperatorHere, Supporter, TheVisitor, Visitor
from console.parts import Parts
from console.principals import EVERY_ACCOUNT
from console.queries.rejected import RejectedFilter, list_rejected
from providers import PROVIDERS

router = APIRouter(prefix="/accounts/{account}/rejected")


@router.get("")
async def show_rejected(
    request: Request, wanted: Annotated[RejectedFilter, Query()], parts: TheParts, visitor: TheVisitor
) -> Response:
    """The list with its filters."""
    return await _page(request, wanted, parts, visitor, visitor.account)


@router.get("/installation")
async def show_rejected_of_nobody(
    request: Request, wanted: Annotated[RejectedFilter, Query()], parts: TheParts, visitor: OperatorHere
) -> Response:
    """The same without an account, for admins of every one."""
    return await _page(request, wanted, parts, visitor, EVERY_ACCOUNT)


@router.post("/retry")
async def process_again(
    request: Request,
    wanted: Annotated[RejectedFilter, Query()],
    parts: TheParts,
    visitor: Supporter,
) -> Response:
    """Reprocess what the filters match: what was fixed passes, the rest is rejected again."""
    retried = await retry(Act(request, parts, visitor.principal), visitor.account, wanted)
    return done(visitor, "/rejected", "gone" if retried.gone else "retried", **dict(wanted.chosen))


async def _page(request: Request, wanted: RejectedFilter, parts: Parts, visitor: Visitor, account: str) -> Response:
    found = visitor.page(await parts.reads(list_rejected, account, wanted))
    return page(
        request,
        "rejected/list.html",
        visitor,
        wanted=wanted,
        found=found,
        providers=sorted(PROVIDERS),
        of_account=account == visitor.account,
    )
