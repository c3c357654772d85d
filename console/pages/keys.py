"""Settings > API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from console.access.callers import TheParts
from console.changes.acts import Act
from console.changes.keys import create, keys_of, revoke
from console.pages.shell import done, page
from console.pages.visitor import Administrator, Visitor
from console.parts import Parts
from console.principals import Role

router = APIRouter(prefix="/accounts/{account}/keys")

ENDS = {"": "never", "30": "in 30 days", "90": "in 90 days", "365": "in a year"}


@router.get("")
async def show_keys(request: Request, parts: TheParts, visitor: Administrator) -> Response:
    """The keys."""
    return await _page(request, parts, visitor)


@router.post("")
async def create_key(
    request: Request,
    parts: TheParts,
    visitor: Administrator,
    name: Annotated[str, Form(max_length=200)] = "",
    role: Annotated[str, Form(max_length=20)] = "support",
    days: Annotated[str, Form(max_length=4, pattern="^[0-9]*$")] = "",
) -> Response:
    """Create a key, and show its text once."""
    _, text = await create(
        Act(request, parts, visitor.principal), visitor.account, name, role, int(days) if days else None
    )
    return await _page(request, parts, visitor, text)


@router.post("/{key_id}/revoke")
async def revoke_key(request: Request, key_id: str, parts: TheParts, visitor: Administrator) -> Response:
    """Revoke a key."""
    await revoke(Act(request, parts, visitor.principal), visitor.account, key_id)
    return done(visitor, "/keys", "revoked")


async def _page(request: Request, parts: Parts, visitor: Visitor, text: str | None = None) -> Response:
    keys = await keys_of(parts, visitor.account)
    return page(request, "keys/list.html", visitor, keys=keys, text=text, roles=list(map(str, Role)), ends=ENDS)
