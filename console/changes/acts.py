"""The context of a change: who makes it, by which request, and with what."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from console.changes.audit_log import audit, audited
from console.parts import Parts
from console.principals import Principal


@dataclass(frozen=True, slots=True)
class Act:
    """A request that changes something, with its parts and its author, whose role has been checked."""

    request: Request
    parts: Parts
    principal: Principal

    async def audit(self, action: str, object: str, *, accounts: Collection[str], **details: Any) -> None:
        """Write an audit entry; see `audit_log.audit`."""
        await audit(self.request, self.parts.writer, self.principal, action, object, accounts=accounts, **details)

    def audited(
        self, action: str, object: str, *, accounts: Collection[str], **details: Any
    ) -> AbstractAsyncContextManager[None]:
        """Wrap a change; see `audit_log.audited`."""
        return audited(self.request, self.parts.writer, self.principal, action, object, accounts=accounts, **details)
