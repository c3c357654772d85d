"""Pseudonyms of phone numbers: deterministic per account, and irreversible without the key.

A plain or salted hash would not do: there are so few phone numbers that all can be tried.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

from schemas.ids import base_32
from schemas.numbering import canonical, spellings

PREFIX = "anon_"
"""Prefix of every pseudonym; no number has it."""

KEYS, NUMBERS = 4_096, 1_024
"""Keys of accounts, and numbers, whose results are remembered."""


class Pseudonyms:
    """Turns numbers into pseudonyms, with a separate key per account derived from one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        # A record asks for its recipient's pseudonym several times in a row.
        self._key_of = lru_cache(KEYS)(self._key_of_account)
        self._of = lru_cache(NUMBERS)(self._pseudonym)

    def of(self, account: str, number: str) -> str:
        """Return the pseudonym of an account's number: `anon_` and 26 characters of base 32 (130 bits of HMAC-SHA256).

        All spellings of a number share it.
        """
        return self._of(account, canonical(number))

    @property
    def fingerprint(self) -> str:
        """Tells whether two services have the same secret, without telling the secret."""
        return base_32(hmac.digest(self._secret, b"trackly fingerprint of the pseudonym key", hashlib.sha256))[:12]

    def every(self, account: str, number: str) -> tuple[str, ...]:
        """Return the pseudonyms that a number may have received under any of its spellings, the current one first."""
        return tuple(self._of(account, each) for each in spellings(number))

    def _pseudonym(self, account: str, number: str) -> str:
        return PREFIX + base_32(hmac.digest(self._key_of(account), number.encode(), hashlib.sha256))

    def _key_of_account(self, account: str) -> bytes:
        return hmac.digest(self._secret, f"trackly pseudonyms\x1f{account}".encode(), hashlib.sha256)
