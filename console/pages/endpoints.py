"""Settings > Webhooks."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from console.callers import TheParts
from console.clock import now_ms
from console.pages.shell import page
from console.pages.visitor import TheVisitor
from console.queries.endpoints import endpoints

router = APIRouter(prefix="/accounts/{account}/webhooks")


@router.get("")
async def show_endpoints(request: Request, parts: TheParts, visitor: TheVisitor) -> Response:
    """The endpoints, their states in words, and how they did in the last 24 hours."""
    configs = parts.accounts.endpoints_of(visitor.account)
    found = await parts.reads(endpoints, visitor.account, configs, now_ms())
    return page(request, "endpoints/list.html", visitor, endpoints=found)
