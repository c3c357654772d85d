"""Who makes a request: an API key, and the account that it acts for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Header, Query, Request

from accounts.store import Accounts
from console.claims import MAX_KEY, Accepted, Claims
from console.clock import now_ms
from console.contacts_view import ContactsView
from console.errors import not_found, validation_failed
from console.settings import ConsoleSettings
from console.writer import Writer
from schemas.ids import random_id
from schemas.records import ApiKey, ListConfig


@dataclass(frozen=True)
class Parts:
    """What routes work with."""

    settings: ConsoleSettings
    accounts: Accounts
    contacts: ContactsView
    writer: Writer
    claims: Claims


@dataclass(frozen=True, slots=True)
class Caller:
    """The key of a request, the account that it acts for, and that account's lists by number."""

    key: ApiKey
    account: str
    lists: dict[str, ListConfig] = field(repr=False)


def parts_of(request: Request) -> Parts:
    """The parts of the application."""
    return cast(Parts, request.app.state.parts)


def _caller(
    request: Request,
    parts: Annotated[Parts, Depends(parts_of)],
    account: Annotated[
        str | None,
        Query(max_length=64, description="Account id. Only a key for all accounts needs it.", examples=["acme"]),
    ] = None,
) -> Caller:
    key: ApiKey = request.state.api_key
    acts_for = key.account or account
    if acts_for is None:
        raise validation_failed(["account: is missing; this key is for all accounts, so put ?account=ID into the URL"])
    # An account of somebody else is told apart from none by nobody.
    if account not in (None, acts_for) or acts_for not in parts.accounts.accounts:
        raise not_found(f"There is no account {account or acts_for!r} for this key.")
    return Caller(key, acts_for, parts.accounts.lists_of(acts_for))


async def accept(request: Request, parts: Parts, caller: Caller, idempotency_key: str | None) -> Accepted:
    """Take a request in whose body is valid. Raises ApiError as `Claims.claim` does."""
    if idempotency_key is None:
        return Accepted(now_ms(), random_id())
    scope = f"{caller.account} {request.url.path}"
    return await parts.claims.claim(scope, idempotency_key, await request.body())


IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=MAX_KEY,
        description="Any text of your own. For 24 hours, a request with the same one is known as a repeat.",
        examples=["order-4711-batch-1"],
    ),
]
TheParts = Annotated[Parts, Depends(parts_of)]
TheCaller = Annotated[Caller, Depends(_caller)]
