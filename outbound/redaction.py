"""What is kept of a receiver's answer: its beginning, without our secrets and signatures. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable

KEPT = 1_024
"""Bytes of an answer that are kept."""

STARS = "***"

LEAST_SECRET = 6
"""Characters; what is shorter is no secret, and stars in its place would tell nothing."""

# A receiver that fails may print the request that it was sent.
_SECRETS = re.compile(
    r"whsec_[A-Za-z0-9+/=_-]+"
    r"|sha256=[0-9a-fA-F]{16,}"
    r"|\bv1a?,[A-Za-z0-9+/=]{16,}"
    r"|(?i:\b(?:bearer|basic)\s+[A-Za-z0-9+/=._~-]{6,})"
)


def redacted_head(answer: str, secrets: Iterable[str] = ()) -> str:
    """The first KEPT bytes of an answer. `secrets` are texts that must not be in it.

    It is cut last: half a secret at the end would not be found any more.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= LEAST_SECRET:
            answer = answer.replace(secret, STARS)
    return _SECRETS.sub(STARS, answer).encode()[:KEPT].decode("utf-8", "ignore").replace("\x00", "")


def without_query(url: str) -> str:
    """A URL as it may be shown: without query, fragment, user name and password."""
    address = url.partition("?")[0].partition("#")[0]
    return re.sub(r"//[^/]*@", "//", address)
