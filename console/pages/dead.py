"""Problems > Dead letters."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Form, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from console.access.callers import TheParts
from console.changes.acts import Act
from console.changes.replays import order, orders_of, plan_dead
from console.errors import conflict, validation_failed
from console.pages.shell import done, page
from console.pages.visitor import Supporter, TheVisitor
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


@router.get("/replay")
async def plan(
    request: Request, wanted: Annotated[DeadLettersFilter, Query()], parts: TheParts, visitor: Supporter
) -> Response:
    """Show what would be replayed: everything the filter matches, not only one page."""
    planned = await parts.reads(plan_dead, visitor.account, wanted, parts.accounts.endpoints_of(visitor.account))
    states = {each.id: each for each in parts.accounts.endpoints_of(visitor.account)}
    return page(request, "dead/replay.html", visitor, wanted=wanted, plan=planned, endpoints=states)


@router.post("/replay")
async def replay(
    request: Request, parts: TheParts, visitor: Supporter, question: Annotated[str, Form(max_length=2_000)] = ""
) -> Response:
    """Start the replay. `question` is the filter from the plan's URL."""
    try:
        wanted = DeadLettersFilter.model_validate(dict(parse_qsl(question)))
    except ValidationError:
        raise validation_failed(["question: is not a known filter"]) from None
    planned = await parts.reads(plan_dead, visitor.account, wanted, parts.accounts.endpoints_of(visitor.account))
    orders = list(orders_of(planned, visitor.account))
    if not orders:
        raise conflict("There is nothing to send again, or the endpoint no longer exists.")
    await order(Act(request, parts, visitor.principal), visitor.account, orders)
    return done(visitor, "/replays", "ordered")
