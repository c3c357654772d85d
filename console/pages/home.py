"""The entry page: leads to the user's first account, and from one account to another."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from console.access.callers import TheParts
from console.access.visibility import check_operator
from console.changes.accounts import create
from console.changes.acts import Act
from console.errors import ApiError, not_found
from console.pages.shell import base_of, page
from console.pages.visitor import signed_in

router = APIRouter()

NEW = "/new-account"


@router.get("/")
async def home(request: Request, parts: TheParts) -> Response:
    """Redirect to the overview of the first account, or show what to do without one."""
    accounts = signed_in(request).accounts(parts.accounts.accounts)
    if not accounts:
        return page(request, "no_account.html", may_create=signed_in(request).is_operator)
    return RedirectResponse(base_of(accounts[0]), 303)


@router.get(NEW)
async def new_account(request: Request) -> Response:
    """The form of a new account, for admins of every one."""
    check_operator(signed_in(request))
    return _form(request)


@router.post(NEW)
async def create_account(
    request: Request,
    parts: TheParts,
    id: Annotated[str, Form(max_length=64)] = "",
    name: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Create an account, and open it."""
    principal = check_operator(signed_in(request))
    try:
        made = await create(Act(request, parts, principal), id, name)
    except ApiError as error:
        return _form(request, error, id, name)
    return RedirectResponse(base_of(made.id) + "/lists", 303)


@router.get("/go")
async def go(request: Request, account: str, parts: TheParts) -> Response:
    """Redirect to the overview of another account."""
    if account not in signed_in(request).accounts(parts.accounts.accounts):
        raise not_found("There is no such account, or it is not yours.")
    return RedirectResponse(base_of(account), 303)


def _form(request: Request, error: ApiError | None = None, id: str = "", name: str = "") -> Response:
    known = {"csrf": request.state.csrf, "error": error, "id": id, "name": name}
    return page(request, "new_account.html", None, 200 if error is None else error.status, **known)
