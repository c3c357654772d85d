"""Messages > Deliveries."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from console.callers import TheParts
from console.pages.shell import page
from console.pages.visitor import TheVisitor
from console.queries.deliveries import DeliveriesFilter, deliveries
from providers import PROVIDERS

router = APIRouter(prefix="/accounts/{account}/deliveries")

STATUSES = ("queued", "pending", "delivered", "undeliverable", "expired", "rejected")


@router.get("")
async def list_deliveries(
    request: Request, wanted: Annotated[DeliveriesFilter, Query()], parts: TheParts, visitor: TheVisitor
) -> Response:
    """The list with its filters."""
    visitor.check_search(wanted)
    found = await parts.reads(deliveries, visitor.account, wanted)
    return page(
        request,
        "deliveries/list.html",
        visitor,
        wanted=wanted,
        found=visitor.page(found),
        statuses=STATUSES,
        providers=sorted(PROVIDERS),
    )
