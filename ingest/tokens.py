"""Tokens that prove postbacks. A token also says whose postback it is, where the URL names no account.

Tokens are kept and compared as digests, all of them whichever is right: the time tells neither text nor length.
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
    """Digests of an account's tokens: two while one is changed. `missing` says why there is none to compare."""

    digests: tuple[bytes, ...] = ()
    missing: str | None = None

    def has(self, digest: bytes) -> bool:
        """Whether this is the digest of one of them."""
        return is_digest(digest, self.digests)


class PostbackTokens:
    """Tokens of all accounts, resolved when a setting changes and every KEEP_SECONDS, away from the event loop."""

    def __init__(self, reader: AccountsReader) -> None:
        self._accounts = reader.view.accounts
        self._tokens: Mapping[str, Tokens] = {}
        self._until = 0.0
        self._resolving = asyncio.Lock()
        reader.on_change.append(lambda topic, key: self._forget())

    async def check(self, account: AccountConfig, given: str | None) -> None:
        """Return when the account needs no token, or this one. Codes: `missing_token`, `wrong_token`.

        Raises NotAuthentic, and SecretMissing when the account's own token cannot be had.
        """
        tokens = (await self._all()).get(account.id, Tokens())
        if tokens.missing is not None:
            raise SecretMissing(tokens.missing)
        if not tokens.digests:
            return
        if given is None:
            raise NotAuthentic("missing_token", "the account's postbacks need a token, and there is none")
        if not tokens.has(digest_of(given)):
            raise NotAuthentic("wrong_token", "the token does not match")

    async def owner(self, given: str) -> str:
        """Id of the account whose token this is. Raises NotAuthentic: `wrong_token`, `ambiguous_token`."""
        digest = digest_of(given)
        owners = [account for account, tokens in (await self._all()).items() if tokens.has(digest)]
        if not owners:
            raise NotAuthentic("wrong_token", "the token belongs to no account")
        if len(owners) > 1:
            raise NotAuthentic("ambiguous_token", "several accounts have this token; name the account in the URL")
        return owners[0]

    async def _all(self) -> Mapping[str, Tokens]:
        async with self._resolving:
            if time.monotonic() >= self._until:
                # Set before, so that a setting that changes meanwhile is not passed over.
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
