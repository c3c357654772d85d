"""API keys: how they are made, known and revoked.

A key is `trk_` and 32 random characters (190 bits). It is shown once; what is stored is its SHA-256. A slow hash
protects passwords that people choose; nobody can guess 190 random bits, so it would only slow down every request.
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
"""Characters of a key that are kept to recognise it by; what remains is still more than 160 bits."""

_ALPHABET = string.ascii_letters + string.digits


CUSTOMER = "customer"
"""Role of a key of one endpoint. It is none in the account: a version that does not know it lets it open nothing."""


def new_key(
    account: str | None, name: str, expires_at: int | None = None, *, endpoint: str | None = None
) -> tuple[ApiKey, str]:
    """A key of an account, of all accounts (None) or of one endpoint of an account, and its secret text.

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
    """SHA-256 of a key's text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def state_of(key: ApiKey, now: int) -> str:
    """`active`, `revoked` or `expired` at a time in milliseconds."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


class ApiKeys:
    """All keys as they stand: plain lookups, no I/O."""

    def __init__(self) -> None:
        self.by_id: dict[str, ApiKey] = {}
        self._by_digest: dict[str, ApiKey] = {}

    def put(self, key: ApiKey) -> None:
        """Add or replace a key."""
        self.drop(KEYS_TOPIC, key.id)
        self.by_id[key.id] = self._by_digest[key.digest] = key

    def drop(self, topic: str, key: str) -> None:
        """Forget a key by its id."""
        known = self.by_id.pop(key, None)
        if known is not None:
            self._by_digest.pop(known.digest, None)

    def unreadable(self, topic: str, key: str) -> None:
        """A key that this version cannot read is not taken: the record may be its revocation."""
        self.drop(topic, key)

    def find(self, text: str, now: int) -> ApiKey | None:
        """The active key with this text, or None. The time that it takes tells nothing about any key: a digest is
        looked up, and nobody can choose a digest."""
        key = self._by_digest.get(digest_of(text))
        return key if key is not None and state_of(key, now) == "active" else None
