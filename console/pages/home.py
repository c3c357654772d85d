"""The way in: to the first account that the user may see, and from one account to another."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from console.callers import TheParts
from console.errors import not_found
from console.pages.shell import page
from console.pages.visitor import signed_in

router = APIRouter()


@router.get("/")
async def home(request: Request, parts: TheParts) -> Response:
    """The overview of the first account, or what to do where there is none."""
    accounts = signed_in(request).accounts(parts.accounts.accounts)
    if not accounts:
        return page(request, "no_account.html")
    return RedirectResponse(f"/accounts/{quote(accounts[0])}", 303)


@router.get("/go")
async def go(request: Request, account: str, parts: TheParts) -> Response:
    """The overview of another account."""
    if account not in signed_in(request).accounts(parts.accounts.accounts):
        raise not_found("There is no such account, or it is not yours.")
    return RedirectResponse(f"/accounts/{quote(account)}", 303)
