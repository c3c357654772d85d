"""Provider credentials of an account, with their secrets resolved and cached briefly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from accounts.secrets import SecretMissing, resolve
from schemas.records import AccountConfig

KEEP_SECONDS = 30.0
"""A changed secret takes effect within this many seconds; files are not read on every request."""


class Credentials:
    """Resolve `env:` and `file:` references off the event loop."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[AccountConfig, float, Mapping[str, str]]] = {}

    async def of(self, account: AccountConfig, provider: str) -> Mapping[str, str]:
        """Return the account's credentials for the provider. Raises SecretMissing."""
        known = self._known.get((account.id, provider))
        if known is not None and known[0] is account and known[1] > time.monotonic():
            return known[2]
        references = account.providers.get(provider, {})
        resolved = await asyncio.to_thread(lambda: {k: resolve(v) for k, v in references.items()})
        self._known[account.id, provider] = (account, time.monotonic() + KEEP_SECONDS, resolved)
        return resolved


__all__ = ["Credentials", "SecretMissing"]
