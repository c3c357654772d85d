"""The visitor of a page: a signed-in user, the account in the URL, and the role there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request

from console.access.callers import TheParts
from console.access.visibility import Sight, check_operator
from console.errors import not_found
from console.principals import Principal, Role
from schemas.records import ListConfig


class SignInNeeded(Exception):
    """Nobody is signed in. The answer is a redirect to the sign-in page."""


@dataclass(frozen=True, slots=True)
class Visitor(Sight):
    """A user viewing an account's pages. `csrf` is the token that every form must carry."""

    principal: Principal
    account: str
    role: Role
    csrf: str = field(repr=False)
    lists: dict[str, ListConfig] = field(repr=False)
    accounts: tuple[str, ...] = field(repr=False)


def signed_in(request: Request) -> Principal:
    """Return the user of a request. Raises SignInNeeded."""
    principal: Principal | None = getattr(request.state, "principal", None)
    if principal is None or principal.kind != "user":
        raise SignInNeeded
    return principal


def _visitor(request: Request, account: str, parts: TheParts) -> Visitor:
    principal = signed_in(request)
    role = principal.role_in(account)
    if role is None or account not in parts.accounts.accounts:
        raise not_found("There is no such page, or it belongs to an account that is not yours.")
    return Visitor(
        principal,
        account,
        role,
        request.state.csrf,
        parts.accounts.lists_of(account),
        tuple(principal.accounts(parts.accounts.accounts)),
    )


def needs(role: Role) -> Any:
    """Return a route dependency: a visitor with this role in the account, otherwise 403."""

    def check(visitor: TheVisitor) -> Visitor:
        visitor.check_role(role)
        return visitor

    return Depends(check)


def _operator(visitor: TheVisitor) -> Visitor:
    check_operator(visitor.principal)
    return visitor


TheVisitor = Annotated[Visitor, Depends(_visitor)]
OperatorHere = Annotated[Visitor, Depends(_operator)]
"""An admin of every account who is viewing this one."""
Supporter = Annotated[Visitor, needs(Role.SUPPORT)]
Administrator = Annotated[Visitor, needs(Role.ADMIN)]
