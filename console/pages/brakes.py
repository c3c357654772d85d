"""Problems > Held removals: removals that brakes hold, and an admin's decision."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from accounts.brakes import brake_of
from bus.clock import now_ms
from console.access.callers import TheParts
from console.backends.idempotency import Accepted
from console.changes.acts import Act
from console.changes.brakes import decide
from console.pages.shell import done, page
from console.pages.visitor import Administrator, TheVisitor, Visitor
from console.parts import Parts
from console.queries.brakes import held_lists
from schemas.ids import random_id
from schemas.records import CONFIRM, RELEASE

router = APIRouter(prefix="/accounts/{account}/held")


@router.get("")
async def show_held(request: Request, parts: TheParts, visitor: TheVisitor) -> Response:
    """Held removals by list, and each list's brake setting."""
    held = await parts.reads(held_lists, visitor.account)
    account = parts.accounts.accounts[visitor.account]
    brakes = {each.list_number: brake_of(account, visitor.lists.get(each.list_number)) for each in held}
    return page(request, "held.html", visitor, held=held, brakes=brakes)


@router.post("/{list_number}/confirm")
async def confirm(request: Request, list_number: str, parts: TheParts, visitor: Administrator) -> Response:
    """Remove the held contacts."""
    return await _decide(request, list_number, parts, visitor, CONFIRM, "confirmed")


@router.post("/{list_number}/release")
async def release(request: Request, list_number: str, parts: TheParts, visitor: Administrator) -> Response:
    """Release the held contacts."""
    return await _decide(request, list_number, parts, visitor, RELEASE, "released")


async def _decide(
    request: Request, list_number: str, parts: Parts, visitor: Visitor, command: str, notice: str
) -> Response:
    accepted = Accepted(now_ms(), random_id())
    await decide(Act(request, parts, visitor.principal), visitor.account, visitor.lists, list_number, command, accepted)
    return done(visitor, "/held", notice)
