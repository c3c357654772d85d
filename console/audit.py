"""Writes down who did what, before the answer says that it is done."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request

from console.clock import now_ms
from console.principals import Principal
from console.writer import Entry, Writer
from schemas.ids import random_id
from schemas.records import AuditEntry

DONE, REFUSED = "done", "refused"


def caller_ip(request: Request) -> str:
    """Address of whoever makes the request, behind trusted proxies; empty where it is not known."""
    return str(getattr(request.state, "remote_ip", ""))


async def audit(
    request: Request,
    writer: Writer,
    actor: Principal | str,
    action: str,
    object: str,
    *,
    account: str = "",
    outcome: str = DONE,
    **details: Any,
) -> None:
    """Write an entry, acknowledged. `details` hold no secrets; `before` and `after` are what changed.

    Raises ApiError (503).
    """
    entry = AuditEntry(
        event_id=random_id(),
        account=account,
        actor=actor.actor if isinstance(actor, Principal) else actor,
        action=action,
        object=object,
        details=orjson.dumps(details, default=str, option=orjson.OPT_SORT_KEYS).decode() if details else "{}",
        remote_ip=caller_ip(request),
        request_id=str(getattr(request.state, "request_id", "")),
        outcome=outcome,
        at=now_ms(),
    )
    await writer.write("audit", [Entry(account.encode(), entry, entry.event_id, entry.at)])
