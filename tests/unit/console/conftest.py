"""A key for secrets, as consoles have one, and passwords that are hashed soon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from accounts.secrets import keyring, new_key
from console.signin import passwords


@pytest.fixture(autouse=True)
def secret_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Secrets that the console writes are sealed."""
    monkeypatch.setenv("TRACKLY_SECRET_KEYS", new_key())
    keyring.cache_clear()
    yield
    keyring.cache_clear()


_SOON = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_NOBODY_S = _SOON.hash("")


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash with the least work: that of production is most of the time of tests that sign in."""
    monkeypatch.setattr(passwords, "_HASHER", _SOON)
    monkeypatch.setattr(passwords, "_NOBODY_S", _NOBODY_S)
