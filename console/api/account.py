"""`/api/account` and `/api/accounts`: how accounts are set up."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from pydantic import Field

from console.access.callers import Operator, TheCaller, TheParts, ThePrincipal
from console.api.contact_lists import ShownList, lists_of
from console.api.lists import ListAnswer
from console.changes.accounts import create
from console.changes.acts import Act
from console.http.fields import StrictBody

router = APIRouter(tags=["Account"])


class NewAccount(StrictBody):
    """A new account."""

    id: str = Field(
        max_length=64, description="Letters, digits, dots, and dashes; it never changes.", examples=["beta"]
    )
    name: str = Field(default="", max_length=200, description="Its display name.", examples=["Beta Media"])


@dataclass(frozen=True, slots=True)
class NamedAccount:
    """An account, and your role in it."""

    id: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class ShownAccount:
    """An account without its secrets. `providers` are those with credentials."""

    id: str
    name: str
    role: str
    providers: list[str]
    registers_messages: bool
    lists: list[ShownList]


@router.get("/api/account", summary="Show the account")
async def get_account(parts: TheParts, caller: TheCaller) -> ShownAccount:
    """The account, your role in it, and its lists."""
    account = parts.accounts.accounts[caller.account]
    return ShownAccount(
        id=account.id,
        name=account.name,
        role=str(caller.role),
        providers=sorted(account.providers),
        registers_messages=account.registers_messages,
        lists=lists_of(caller),
    )


@router.get("/api/accounts", summary="List accounts")
async def get_accounts(parts: TheParts, principal: ThePrincipal) -> ListAnswer[NamedAccount]:
    """All accounts that you may see, on one page."""
    known = parts.accounts.accounts
    return ListAnswer(
        [NamedAccount(each, known[each].name, str(principal.role_in(each))) for each in principal.accounts(known)], None
    )


@router.post("/api/accounts", status_code=201, summary="Create an account")
async def create_account(request: Request, body: NewAccount, parts: TheParts, caller: Operator) -> NamedAccount:
    """Create an account; for admins of every account. Add lists, providers, and endpoints afterward."""
    made = await create(Act(request, parts, caller.principal), body.id, body.name)
    return NamedAccount(made.id, made.name, str(caller.role))
