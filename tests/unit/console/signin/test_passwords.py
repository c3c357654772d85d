"""How passwords are stored."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from console.signin import passwords

# Taken before a fixture has tests hash with less work.
IN_PRODUCTION = passwords._HASHER


def test_a_hash_takes_as_much_work_as_owasp_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_HASHER", IN_PRODUCTION)
    assert passwords.hash_of("a long enough sentence").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_hash_of_less_work_is_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_HASHER", IN_PRODUCTION)
    stored = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("a long enough sentence")
    assert passwords.fits("a long enough sentence", stored)
    assert passwords.is_outdated(stored)
    assert not passwords.is_outdated(passwords.hash_of("a long enough sentence"))
