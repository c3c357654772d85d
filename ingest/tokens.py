"""Tokens that verify postbacks. A token also identifies the account when the URL names none.

Tokens are stored as digests, and each check compares all of them, so that timing reveals neither their text nor their
length.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from accounts.secrets import SecretMissing, resolve
from accounts.store import AccountsReader
from ingest.credentials import KEEP_SECONDS
from providers.base import NotAuthentic
from providers.proof import digest_of, is_digest
from schemas.records import AccountConfig


@dataclass(frozen=True, slots=True)
class Tokens:
    """Digests of an account's tokens; there are two during rotation. `missing` says why none can be compared."""

    digests: tuple[bytes, ...] = ()
    missing: str | None = None

    def has(self, digest: bytes) -> bool:
        """Whether this is the digest of one of the tokens."""
        return is_digest(digest, self.digests)


class PostbackTokens:
    """Tokens of all accounts, resolved off the event loop when a setting changes and every KEEP_SECONDS."""

    def __init__(self, reader: AccountsReader) -> None:
        self._accounts = reader.view.accounts
        self._tokens: Mapping[str, Tokens] = {}
        self._until = 0.0
        self._resolving = asyncio.Lock()
        reader.on_change.append(lambda topic, key: self._forget())

    async def check(self, account: AccountConfig, given: str | None) -> None:
        """Check that the account needs no token, or that this is one of its tokens.

        Raises NotAuthentic (`missing_token`, `wrong_token`), and SecretMissing when the account's own token cannot be
        read.
        """
        tokens = (await self._all()).get(account.id, Tokens())
        if tokens.missing is not None:
            raise SecretMissing(tokens.missing)
        if not tokens.digests:
            return
        if given is None:
            raise NotAuthentic("missing_token", "the account's postbacks need a token, but none was given")
        if not tokens.has(digest_of(given)):
            raise NotAuthentic("wrong_token", "the token does not match")

    async def owner(self, given: str) -> str:
        """Return the id of the account that owns this token. Raises NotAuthentic (`wrong_token`, `ambiguous_token`)."""
        digest = digest_of(given)
        owners = [account for account, tokens in (await self._all()).items() if tokens.has(digest)]
        if not owners:
            raise NotAuthentic("wrong_token", "the token belongs to no account")
        if len(owners) > 1:
            raise NotAuthentic("ambiguous_token", "several accounts have this token: name the account in the URL")
        return owners[0]

    async def _all(self) -> Mapping[str, Tokens]:
        async with self._resolving:
            if time.monotonic() >= self._until:
                # Assign this first, so that a setting that changes in the meantime is not missed.
                self._until = time.monotonic() + KEEP_SECONDS
                self._tokens = await asyncio.to_thread(_resolved, dict(self._accounts))
        return self._tokens

    def _forget(self) -> None:
        self._until = 0.0


def _resolved(accounts: Mapping[str, AccountConfig]) -> dict[str, Tokens]:
    return {name: _tokens_of(account) for name, account in accounts.items() if account.postbacks}


def _tokens_of(account: AccountConfig) -> Tokens:
    try:
        return Tokens(tuple(digest_of(resolve(reference)) for reference in account.postbacks.values()))
    except SecretMissing as missing:
        return Tokens(missing=str(missing))
