"""Messages > Evidence: what one number asked for, what followed and when; and how long removals take."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from console.access.callers import TheParts
from console.api.evidence import figures
from console.changes.acts import Act
from console.changes.evidence import exported
from console.pages.contacts import to_page_number
from console.pages.shell import base_of, page
from console.pages.visitor import Supporter, TheVisitor

PERIODS = ("24h", "7d", "30d", "400d")

router = APIRouter(prefix="/accounts/{account}")


@router.get("/evidence")
async def show_figures(request: Request, parts: TheParts, visitor: TheVisitor) -> Response:
    """The search for a number, and how long removals took."""
    found = [(period, await figures(parts, visitor.account, period, None)) for period in PERIODS]
    return page(request, "evidence/figures.html", visitor, periods=found)


@router.get("/evidence/look-up")
async def look_up(number: Annotated[str, Query(max_length=40)], visitor: Supporter) -> Response:
    """Redirect from a number in any notation to its evidence."""
    phone = quote(to_page_number(number))
    return RedirectResponse(f"{base_of(visitor.account)}/contacts/{phone}/evidence", 303)


@router.get("/contacts/{number}/evidence")
async def show_evidence(request: Request, number: str, parts: TheParts, visitor: Supporter) -> Response:
    """The evidence about a number, for reading and printing."""
    found = await exported(Act(request, parts, visitor.principal), visitor.account, number)
    return page(request, "evidence/one.html", visitor, **found)


@router.get("/contacts/{number}/evidence.json")
async def download(request: Request, number: str, parts: TheParts, visitor: Supporter) -> Response:
    """The same as a file, which `trackly evidence verify` checks."""
    found = await exported(Act(request, parts, visitor.principal), visitor.account, number)
    name = f"evidence-{visitor.account}-{found['evidence']['number'].lstrip('+')}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(orjson.dumps(found, option=orjson.OPT_INDENT_2), media_type="application/json", headers=headers)
