"""Provider credentials of an account with their secrets resolved, kept for a short time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from accounts.secrets import SecretMissing, resolve
from schemas.records import AccountConfig

KEEP_SECONDS = 30.0
"""A secret changed in a file or rotated in the topic is seen within this time; files are not read on every request."""


class Credentials:
    """Resolves `env:` and `file:` references away from the event loop."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[AccountConfig, float, Mapping[str, str]]] = {}

    async def of(self, account: AccountConfig, provider: str) -> Mapping[str, str]:
        """Credentials of the account at the provider. Raises SecretMissing."""
        known = self._known.get((account.id, provider))
        if known is not None and known[0] is account and known[1] > time.monotonic():
            return known[2]
        references = account.providers.get(provider, {})
        resolved = await asyncio.to_thread(lambda: {k: resolve(v) for k, v in references.items()})
        self._known[account.id, provider] = (account, time.monotonic() + KEEP_SECONDS, resolved)
        return resolved


__all__ = ["Credentials", "SecretMissing"]
