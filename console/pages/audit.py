"""Settings > Audit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from console.callers import TheParts
from console.pages.shell import page
from console.pages.visitor import Visitor, needs
from console.principals import Role
from console.queries.audit import AuditFilter, audited

router = APIRouter(prefix="/accounts/{account}/audit")


@router.get("")
async def show_audit(
    request: Request,
    wanted: Annotated[AuditFilter, Query()],
    parts: TheParts,
    visitor: Annotated[Visitor, needs(Role.ADMIN)],
) -> Response:
    """The log with its filters."""
    found = await parts.reads(audited, visitor.account, wanted)
    return page(request, "audit/list.html", visitor, wanted=wanted, found=found)
