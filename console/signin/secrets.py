"""Random tokens, and their stored form."""

from __future__ import annotations

import hashlib
import hmac
import secrets

BYTES = 32
"""Random bytes of a token: 256 bits cannot be guessed, so its digest needs no salt and no slow hash."""


def new_token() -> str:
    """Return a new token: 43 characters that are safe in URLs and cookies."""
    return secrets.token_urlsafe(BYTES)


def digest_of(token: str) -> str:
    """Return the stored form of a token: its SHA-256 in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def form_token(session: str) -> str:
    """Return the token for a session's forms, which only somebody with the session's cookie can know."""
    return hmac.new(session.encode(), b"trackly form", hashlib.sha256).hexdigest()
