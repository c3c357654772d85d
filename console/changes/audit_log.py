"""Records who does what, before it is done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from starlette.requests import Request

from bus.clock import now_ms
from console.backends.kafka_writer import Entry, Writer
from console.errors import ApiError
from console.principals import EVERY_ACCOUNT, Principal
from operations.audit import DONE, FAILED, entry_of


def caller_ip(request: Request) -> str:
    """Return the address of the caller, behind trusted proxies; empty if unknown."""
    return str(getattr(request.state, "remote_ip", ""))


async def audit(
    request: Request,
    writer: Writer,
    actor: Principal | str,
    action: str,
    object: str,
    *,
    accounts: Collection[str],
    outcome: str = DONE,
    **details: Any,
) -> None:
    """Write an acknowledged entry for each account whose admins are concerned.

    `details` hold no secrets; `before` and `after` are what changed. Raises ApiError (503).
    """
    entries = [
        entry_of(
            actor.actor if isinstance(actor, Principal) else actor,
            action,
            object,
            account,
            details,
            now_ms(),
            outcome=outcome,
            remote_ip=caller_ip(request),
            request_id=str(getattr(request.state, "request_id", "")),
        )
        for account in accounts
    ]
    await writer.write("audit", [Entry(entry.account.encode(), entry, entry.event_id, entry.at) for entry in entries])


@asynccontextmanager
async def audited(
    request: Request,
    writer: Writer,
    actor: Principal | str,
    action: str,
    object: str,
    *,
    accounts: Collection[str],
    **details: Any,
) -> AsyncIterator[None]:
    """Wrap a change: its entry is acknowledged first. If the change fails, another entry says so.

    Raises ApiError (503), and then nothing is changed.
    """
    known = partial(audit, request, writer, actor, action, object, accounts=accounts, **details)
    await known()
    try:
        yield
    except Exception:
        # Report the original error even if this cannot be written.
        with suppress(ApiError):
            await known(outcome=FAILED)
        raise


def accounts_of(user: Principal) -> Collection[str]:
    """Return the accounts whose admins a user's sign-in concerns: all in which it has a role."""
    return list(user.grants) or [EVERY_ACCOUNT]
