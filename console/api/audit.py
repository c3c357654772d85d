"""`GET /api/audit`: who changed what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from console.access.callers import Administrator, Operator, TheParts
from console.api.lists import ListAnswer, answer
from console.queries.audit import Audited, AuditFilter, audited

router = APIRouter(tags=["Audit"])


@router.get("/api/audit", summary="List the audit log")
async def list_audit(
    wanted: Annotated[AuditFilter, Query()], parts: TheParts, caller: Administrator
) -> ListAnswer[Audited]:
    """Changes to the account, with who made them and from where, newest first. They are kept for 400 days."""
    return answer(caller, await parts.reads(audited, caller.account, wanted))


@router.get("/api/audit/installation", summary="List audit entries without an account")
async def list_installation_audit(
    wanted: Annotated[AuditFilter, Query()], parts: TheParts, caller: Operator
) -> ListAnswer[Audited]:
    """Sign-ins of users who can see every account, and failed sign-ins of unknown users; for admins of every
    account.
    """
    return answer(caller, await parts.reads(audited, caller.account, wanted))
