"""API keys: random, known by their digest, revocable."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from accounts.keys import ApiKeys, digest_of, new_key, state_of
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry

NOW = 1_795_000_000_000


def test_a_key_is_trk_and_32_characters_and_no_two_are_alike() -> None:
    texts = {new_key("acme", "web")[1] for _ in range(100)}
    assert len(texts) == 100
    assert all(re.fullmatch(r"trk_[A-Za-z0-9]{32}", text) for text in texts)


def test_what_is_stored_does_not_hold_the_key() -> None:
    key, text = new_key("acme", "web")
    stored = Codec(FolderRegistry()).encode(key)
    assert text[len(key.prefix) :].encode() not in stored
    assert text.startswith(key.prefix)
    assert key.digest == digest_of(text)
    # What is not shown is more than 160 bits: 62 characters, 5.95 bits each.
    assert (len(text) - len(key.prefix)) * 5.95 > 160


def test_a_key_is_found_by_its_text_alone() -> None:
    keys = ApiKeys()
    key, text = new_key("acme", "web")
    keys.put(key)
    assert keys.find(text, NOW) == key
    for other in (text[:-1], text + "x", text.swapcase(), key.digest, key.prefix, key.id, ""):
        assert keys.find(other, NOW) is None


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "active"),
        ({"expires_at": NOW + 1}, "active"),
        ({"expires_at": NOW}, "expired"),
        ({"revoked_at": NOW - 1}, "revoked"),
        ({"revoked_at": NOW - 1, "expires_at": NOW - 1}, "revoked"),
    ],
)
def test_only_an_active_key_opens_anything(changes: dict[str, Any], state: str) -> None:
    keys = ApiKeys()
    key, text = new_key("acme", "web")
    key = replace(key, **changes)
    keys.put(key)
    assert state_of(key, NOW) == state
    assert (keys.find(text, NOW) is not None) == (state == "active")


def test_a_revocation_that_cannot_be_read_revokes_all_the_same() -> None:
    keys = ApiKeys()
    key, text = new_key("acme", "web")
    keys.put(key)
    keys.unreadable("config_keys", key.id)
    assert keys.find(text, NOW) is None


def test_a_deleted_key_is_forgotten_and_others_stay() -> None:
    keys = ApiKeys()
    made = [new_key("acme", "web") for _ in range(2)]
    for key, _ in made:
        keys.put(key)
    keys.drop("config_keys", made[0][0].id)
    keys.drop("config_keys", "key_unknown")
    assert [keys.find(text, NOW) for _, text in made] == [None, made[1][0]]
