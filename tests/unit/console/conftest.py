"""A key for secrets, as consoles have one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from accounts.secrets import keyring, new_key


@pytest.fixture(autouse=True)
def secret_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Secrets that the console writes are sealed."""
    monkeypatch.setenv("TRACKLY_SECRET_KEYS", new_key())
    keyring.cache_clear()
    yield
    keyring.cache_clear()
