"""Secrets are resolved by reference, and literals are stored encrypted."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.secrets import SEALED, KeyRing, SecretMissing, keep_key, keyring, new_key, resolve, with_secrets
from bus.up_files import KEY_FILE
from schemas.records import AccountConfig, EndpointConfig, ListConfig

OLD, NEW = new_key(), new_key()
RING = KeyRing((OLD,))

ACCOUNT = AccountConfig(
    id="acme",
    name="Acme",
    providers={"twilio": {"auth_token": "s1"}, "infobip": {"username": "s2", "password": "s3"}},
    postbacks={"token": "s4"},
    discord_webhook_url="s5",
    callback_secret="s6",
    slack_webhook_url="s10",
    alert_webhook_url="s11",
    alert_webhook_secret="s12",
)
ENDPOINT = EndpointConfig(
    account="acme",
    id="crm",
    url="https://a.example/",
    secret="s7",
    events=("reply",),
    secret_next="s8",
    headers={"Authorization": "s9"},
)


@pytest.fixture(autouse=True)
def _no_keys_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.delenv("TRACKLY_SECRET_KEYS", raising=False)
    monkeypatch.setenv("TRACKLY_DATA_DIR", str(tmp_path))
    keyring.cache_clear()
    yield
    keyring.cache_clear()


@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda s: not s.startswith(("env:", "file:", SEALED))))
def test_what_is_sealed_can_be_opened_and_does_not_show(secret: str) -> None:
    sealed = RING.seal(secret)
    assert sealed.startswith(SEALED)
    assert RING.open(sealed) == secret
    assert len(secret) < 4 or secret not in sealed


@pytest.mark.parametrize("reference", ["env:NAME", "file:/run/secrets/x", RING.seal("s3cret")])
def test_references_and_what_is_sealed_are_not_sealed(reference: str) -> None:
    assert RING.seal(reference) == reference


def test_without_a_key_a_literal_stays_as_it_is() -> None:
    assert KeyRing().seal("s3cret") == "s3cret"
    assert KeyRing().open("s3cret") == "s3cret"


@pytest.mark.parametrize("ring", [KeyRing(), KeyRing((NEW,))])
def test_without_the_right_key_nothing_is_opened_or_shown(ring: KeyRing) -> None:
    with pytest.raises(SecretMissing, match="TRACKLY_SECRET_KEYS") as missing:
        ring.open(RING.seal("s3cret"))
    assert "s3cret" not in str(missing.value)
    assert SEALED not in str(missing.value)


def test_a_new_key_in_front_seals_and_the_old_one_still_opens() -> None:
    both = KeyRing((NEW, OLD))
    assert both.open(RING.seal("s3cret")) == "s3cret"
    assert KeyRing((NEW,)).open(both.seal("s3cret")) == "s3cret"


def test_reseal_uses_the_newest_key_and_leaves_what_has_it() -> None:
    both = KeyRing((NEW, OLD))
    resealed = both.reseal(RING.seal("s3cret"))
    assert KeyRing((NEW,)).open(resealed) == "s3cret"
    assert both.reseal(resealed) == resealed
    assert KeyRing((NEW,)).open(both.reseal("plain")) == "plain"
    assert both.reseal("env:NAME") == "env:NAME"


def test_every_secret_of_every_setting_is_sealed() -> None:
    for config in (ACCOUNT, ENDPOINT):
        sealed = with_secrets(config, RING.seal)
        assert not any(f"'s{number}'" in repr(sealed) for number in range(1, 13))
        assert with_secrets(sealed, RING.open) == config
    unchanged = ListConfig(account="acme", number="+18005551234")
    assert with_secrets(unchanged, RING.seal) is unchanged


def test_a_secret_is_resolved_with_the_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLY_SECRET_KEYS", f"{NEW}, {OLD}")
    monkeypatch.setenv("CRM", "from the environment")
    assert resolve(RING.seal("s3cret")) == "s3cret"
    assert resolve("s3cret") == "s3cret"
    assert resolve("env:CRM") == "from the environment"


def test_a_secret_is_resolved_with_the_key_that_up_keeps(tmp_path: Path) -> None:
    assert keep_key(tmp_path / KEY_FILE)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert resolve(keyring().seal("s3cret")) == "s3cret"
    assert keyring()


def test_a_key_that_is_kept_is_never_replaced(tmp_path: Path) -> None:
    keep_key(tmp_path / KEY_FILE)
    before = (tmp_path / KEY_FILE).read_text()
    assert not keep_key(tmp_path / KEY_FILE)
    assert (tmp_path / KEY_FILE).read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
