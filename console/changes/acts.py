"""Who makes a change, by which request, and with what; and its entry in the audit log, which is written first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from bus.clock import now_ms
from console.backends.kafka_writer import Entry
from console.errors import ApiError
from console.parts import Parts
from console.principals import EVERY_ACCOUNT, Principal
from operations.audit import DONE, FAILED, entry_of


def caller_ip(request: Request) -> str:
    """Return the address of the caller, behind trusted proxies; empty if unknown."""
    return str(getattr(request.state, "remote_ip", ""))


@dataclass(frozen=True, slots=True)
class Act:
    """A request that changes something, with its parts and its author, whose role has been checked."""

    request: Request
    parts: Parts
    principal: Principal

    async def audit(
        self, action: str, object: str, *, accounts: Collection[str], outcome: str = DONE, **details: Any
    ) -> None:
        """Write an acknowledged entry for each account whose admins are concerned.

        `details` hold no secrets; `before` and `after` are what changed. Raises ApiError (503).
        """
        entries = [
            entry_of(
                actor=self.principal.actor,
                action=action,
                object=object,
                account=account,
                details=details,
                at=now_ms(),
                outcome=outcome,
                remote_ip=caller_ip(self.request),
                request_id=str(getattr(self.request.state, "request_id", "")),
            )
            for account in accounts
        ]
        records = [Entry(entry.account.encode(), entry, entry.event_id, entry.at) for entry in entries]
        await self.parts.writer.write("audit", records)

    @asynccontextmanager
    async def audited(
        self, action: str, object: str, *, accounts: Collection[str], **details: Any
    ) -> AsyncIterator[None]:
        """Wrap a change: its entry is acknowledged first. If the change fails, another entry says so.

        Raises ApiError (503), and then nothing is changed.
        """
        await self.audit(action, object, accounts=accounts, **details)
        try:
            yield
        except Exception:
            # Report the original error even if this cannot be written.
            with suppress(ApiError):
                await self.audit(action, object, accounts=accounts, outcome=FAILED, **details)
            raise


def accounts_of(user: Principal) -> Collection[str]:
    """Return the accounts whose admins a user's sign-in concerns: all in which it has a role."""
    return list(user.grants) or [EVERY_ACCOUNT]
