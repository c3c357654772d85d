"""A key for secrets, as a console has one."""

from __future__ import annotations

import pytest

from accounts.secrets import KeyRing, new_key


@pytest.fixture(autouse=True)
def secret_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets that the console writes are sealed."""
    keys = KeyRing((new_key(),))
    for module in ("console.endpoint_changes", "console.api.endpoints", "console.pages.endpoints"):
        monkeypatch.setattr(f"{module}.keyring", lambda: keys)
