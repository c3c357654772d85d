"""Resolves the caller of an API request, and the account it acts for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, cast

from fastapi import Depends, Header, Path, Query, Request

from bus.clock import now_ms
from console.access.visibility import Sight, check_operator
from console.backends.idempotency import MAX_KEY, Accepted
from console.errors import not_found, validation_failed
from console.parts import Parts
from console.principals import EVERY_ACCOUNT, Principal, Role
from schemas.ids import random_id
from schemas.records import EndpointConfig, ListConfig


@dataclass(frozen=True, slots=True)
class Caller(Sight):
    """The caller, the account it acts for, its role there, and that account's lists by number."""

    principal: Principal
    account: str
    role: Role
    lists: dict[str, ListConfig] = field(repr=False)


def parts_of(request: Request) -> Parts:
    """Return the application's parts."""
    return cast(Parts, request.app.state.parts)


def _principal(request: Request) -> Principal:
    found: Principal = request.state.principal
    return found


def _caller(
    principal: Annotated[Principal, Depends(_principal)],
    parts: Annotated[Parts, Depends(parts_of)],
    account: Annotated[
        str | None,
        Query(max_length=64, description="Account ID. Needed only if you may see several accounts.", examples=["acme"]),
    ] = None,
) -> Caller:
    if not principal.grants:
        raise not_found("You have no account, or this console does not know your role in it.")
    if account is None:
        granted = [name for name in principal.grants if name != EVERY_ACCOUNT]
        if len(granted) != 1 or len(principal.grants) != 1:
            raise validation_failed(["account: is missing; you have access to several, so add ?account=ID to the URL"])
        (account,) = granted
    role = principal.role_in(account)
    # An account of others must look like a missing one.
    if role is None or account not in parts.accounts.accounts:
        raise not_found(f"You have no access to account {account!r}, or it does not exist.")
    return Caller(principal, account, role, parts.accounts.lists_of(account))


def needs(role: Role) -> Any:
    """Return a route dependency: a caller with this role in the account. Others get 403."""

    def check(caller: TheCaller) -> Caller:
        caller.check_role(role)
        return caller

    return Depends(check)


def _operator(principal: Annotated[Principal, Depends(_principal)]) -> Caller:
    return Caller(check_operator(principal), EVERY_ACCOUNT, Role.ADMIN, {})


def _poller(
    principal: Annotated[Principal, Depends(_principal)],
    parts: Annotated[Parts, Depends(parts_of)],
    endpoint: Annotated[str, Path(max_length=64, description="Name of the endpoint.", examples=["crm"])],
    account: Annotated[
        str | None, Query(max_length=64, description="Account ID. Needed only if you may see several accounts.")
    ] = None,
) -> EndpointConfig:
    """Return the endpoint to poll: by its customer's key, or by a caller who may see numbers in its account."""
    name = f"{account or principal.endpoint.partition('/')[0]}/{endpoint}" if principal.endpoint else ""
    if principal.endpoint is None:
        caller = _caller(principal, parts, account)
        caller.check_role(Role.SUPPORT)
        name = f"{caller.account}/{endpoint}"
    found = parts.accounts.endpoints.get(name) if principal.endpoint in (None, name) else None
    if found is None:
        raise not_found(f"You have no access to endpoint {endpoint!r}, or it does not exist.")
    return found


async def accept(request: Request, parts: Parts, caller: Caller, idempotency_key: str | None) -> Accepted:
    """Accept a request whose body is valid. Raises ApiError like `Claims.claim`."""
    if idempotency_key is None:
        return Accepted(now_ms(), random_id())
    scope = f"{caller.account} {request.url.path}"
    return await parts.claims.claim(scope, idempotency_key, await request.body())


IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=MAX_KEY,
        description="Any text that you choose. For 24 hours, another request with the same text counts as a repeat.",
        examples=["order-4711-batch-1"],
    ),
]
TheParts = Annotated[Parts, Depends(parts_of)]
ThePrincipal = Annotated[Principal, Depends(_principal)]
TheCaller = Annotated[Caller, Depends(_caller)]
Supporter = Annotated[Caller, needs(Role.SUPPORT)]
Administrator = Annotated[Caller, needs(Role.ADMIN)]
Operator = Annotated[Caller, Depends(_operator)]
PolledEndpoint = Annotated[EndpointConfig, Depends(_poller)]
