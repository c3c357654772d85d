"""Pseudonyms of phone numbers: deterministic per account, and irreversible without the key.

A plain or salted hash would not do: there are so few phone numbers that all can be tried.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from schemas.numbering import canonical, spellings

PREFIX = "anon_"
"""Prefix of every pseudonym; no number has it."""


class Pseudonyms:
    """Turns numbers into pseudonyms, with a separate key per account derived from one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def of(self, account: str, number: str) -> str:
        """Return the pseudonym of an account's number: `anon_` and 26 characters of base 32 (130 bits of HMAC-SHA256).

        All spellings of a number share it.
        """
        return self._of(account, canonical(number))

    def every(self, account: str, number: str) -> tuple[str, ...]:
        """Return the pseudonyms that a number may have received under any of its spellings, the current one first."""
        return tuple(self._of(account, each) for each in spellings(number))

    def _of(self, account: str, number: str) -> str:
        key = hmac.digest(self._secret, f"trackly pseudonyms\x1f{account}".encode(), hashlib.sha256)
        digest = hmac.digest(key, number.encode(), hashlib.sha256)
        return PREFIX + base64.b32encode(digest).decode("ascii")[:26].lower()
