"""Random texts that open something, and what is stored of them."""

from __future__ import annotations

import hashlib
import hmac
import secrets

BYTES = 32
"""Random bytes of a token: 256 bits cannot be guessed, so its digest needs no salt and no slow hash."""


def new_token() -> str:
    """A new token: 43 characters that URLs and cookies take as they are."""
    return secrets.token_urlsafe(BYTES)


def digest_of(token: str) -> str:
    """What is stored of a token: its SHA-256 in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def form_token(session: str) -> str:
    """The token that the forms of a session carry: whoever knows it knows the session's cookie."""
    return hmac.new(session.encode(), b"trackly form", hashlib.sha256).hexdigest()
