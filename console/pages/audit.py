"""Settings > Audit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from console.access.callers import TheParts
from console.pages.shell import page
from console.pages.visitor import Administrator, OperatorHere
from console.principals import EVERY_ACCOUNT
from console.queries.audit import AuditFilter, audited

router = APIRouter(prefix="/accounts/{account}/audit")


@router.get("")
async def show_audit(
    request: Request,
    wanted: Annotated[AuditFilter, Query()],
    parts: TheParts,
    visitor: Administrator,
) -> Response:
    """The log with its filters."""
    found = await parts.reads(audited, visitor.account, wanted)
    return page(request, "audit/list.html", visitor, wanted=wanted, found=found, of_account=True)


@router.get("/installation")
async def show_installation_audit(
    request: Request, wanted: Annotated[AuditFilter, Query()], parts: TheParts, visitor: OperatorHere
) -> Response:
    """Entries without an account, for admins of every one."""
    found = await parts.reads(audited, EVERY_ACCOUNT, wanted)
    return page(request, "audit/list.html", visitor, wanted=wanted, found=found, of_account=False)
