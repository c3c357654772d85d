"""Pseudonyms of phone numbers: the same number of an account gives the same one, and nobody without the key goes back.

A plain or salted hash would not do: there are so few phone numbers that all can be tried.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from schemas.numbering import canonical, spellings

PREFIX = "anon_"
"""What every pseudonym begins with; no number does."""


class Pseudonyms:
    """Turns numbers into pseudonyms, by a key that each account has for itself, derived from one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def of(self, account: str, number: str) -> str:
        """The pseudonym of an account's number: `anon_` and 26 characters of base 32 (130 bits of HMAC-SHA256).

        All spellings of a number have the same one.
        """
        return self._of(account, canonical(number))

    def every(self, account: str, number: str) -> tuple[str, ...]:
        """The pseudonyms that a number may have got under any of its spellings, the one of today first."""
        return tuple(self._of(account, each) for each in spellings(number))

    def _of(self, account: str, number: str) -> str:
        key = hmac.digest(self._secret, f"trackly pseudonyms\x1f{account}".encode(), hashlib.sha256)
        digest = hmac.digest(key, number.encode(), hashlib.sha256)
        return PREFIX + base64.b32encode(digest).decode("ascii")[:26].lower()
