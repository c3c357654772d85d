"""API keys: creation, lookup, and revocation.

A key is `trk_` and 32 random characters (190 bits). It is shown once; only its SHA-256 is stored. A slow hash protects
passwords that people choose; 190 random bits cannot be guessed, so it would only slow down every request.
"""

from __future__ import annotations

import hashlib
import secrets
import string

from bus.clock import now_ms
from schemas.records import ApiKey

KEYS_TOPIC = "config_keys"
SCHEME = "trk_"
LENGTH = 32
PREFIX = len(SCHEME) + 4
"""Leading characters of a key that are kept to recognize it; the rest still has more than 160 bits."""

_ALPHABET = string.ascii_letters + string.digits


CUSTOMER = "customer"
"""Role of a key for a single endpoint. It is not an account role, so a version that does not know it grants nothing."""


def new_key(
    account: str | None, name: str, expires_at: int | None = None, *, endpoint: str | None = None
) -> tuple[ApiKey, str]:
    """Create a key for an account, for all accounts (None), or for one endpoint, and return it with its secret text.

    `expires_at` is in milliseconds.
    """
    text = SCHEME + "".join(secrets.choice(_ALPHABET) for _ in range(LENGTH))
    key = ApiKey(
        id="key_" + secrets.token_hex(6),
        account=account,
        name=name,
        prefix=text[:PREFIX],
        digest=digest_of(text),
        created_at=now_ms(),
        expires_at=expires_at,
        endpoint=endpoint,
        role="admin" if endpoint is None else CUSTOMER,
    )
    return key, text


def digest_of(text: str) -> str:
    """Return the SHA-256 of a key's text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def state_of(key: ApiKey, now: int) -> str:
    """Return `active`, `revoked`, or `expired` at a time in milliseconds."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


class ApiKeys:
    """All current keys: plain lookups, no I/O."""

    def __init__(self) -> None:
        self.by_id: dict[str, ApiKey] = {}
        self._by_digest: dict[str, ApiKey] = {}

    def put(self, key: ApiKey) -> None:
        """Add or replace a key."""
        self.drop(KEYS_TOPIC, key.id)
        self.by_id[key.id] = self._by_digest[key.digest] = key

    def drop(self, topic: str, key: str) -> None:
        """Remove a key by its id."""
        known = self.by_id.pop(key, None)
        if known is not None:
            self._by_digest.pop(known.digest, None)

    def unreadable(self, topic: str, key: str) -> None:
        """Drop a key that this version cannot read: the record may be its revocation."""
        self.drop(topic, key)

    def find(self, text: str, now: int) -> ApiKey | None:
        """Return the active key with this text, or None. Timing reveals nothing about any key: the lookup is by digest,
        which nobody can choose."""
        key = self._by_digest.get(digest_of(text))
        return key if key is not None and state_of(key, now) == "active" else None
