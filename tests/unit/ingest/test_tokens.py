"""Which account owns a postback token."""

from __future__ import annotations

from pathlib import Path

import pytest

from accounts.secrets import SecretMissing
from accounts.store import AccountsReader
from bus.settings import BusSettings
from ingest.tokens import PostbackTokens
from providers.base import NotAuthentic
from schemas.codec import Codec
from schemas.folder_registry import FolderRegistry
from schemas.records import AccountConfig


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AccountsReader:
    monkeypatch.setenv("BETA_TOKEN", "beta's")
    reader = AccountsReader(BusSettings(data_dir=tmp_path), Codec(FolderRegistry()))
    put(reader, AccountConfig(id="open", name="Open"))
    put(reader, AccountConfig(id="acme", name="Acme", postbacks={"token": "new", "token_previous": "old"}))
    put(reader, AccountConfig(id="beta", name="Beta", postbacks={"token": "env:BETA_TOKEN"}))
    put(reader, AccountConfig(id="lost", name="Lost", postbacks={"token": "env:NOBODY_SET_THIS"}))
    return reader


def put(reader: AccountsReader, account: AccountConfig) -> None:
    reader.view.put(account)
    for listener in reader.on_change:
        listener("config_accounts", account.id)


async def code(tokens: PostbackTokens, reader: AccountsReader, account: str, given: str | None) -> str:
    try:
        await tokens.check(reader.view.accounts[account], given)
    except NotAuthentic as refused:
        return refused.code
    return "passed"


@pytest.mark.parametrize(
    ("account", "given", "outcome"),
    [
        ("open", None, "passed"),
        ("open", "anything", "passed"),
        ("acme", "new", "passed"),
        ("acme", "old", "passed"),
        ("acme", None, "missing_token"),
        ("acme", "", "wrong_token"),
        ("acme", "ne", "wrong_token"),
        ("acme", "beta's", "wrong_token"),
        ("acme", "\ud800", "wrong_token"),
        ("beta", "beta's", "passed"),
        ("beta", "env:BETA_TOKEN", "wrong_token"),
    ],
)
async def test_a_token_proves_its_own_account(
    reader: AccountsReader, account: str, given: str | None, outcome: str
) -> None:
    assert await code(PostbackTokens(reader), reader, account, given) == outcome


async def test_a_token_that_cannot_be_had_is_no_open_door(reader: AccountsReader) -> None:
    with pytest.raises(SecretMissing, match="NOBODY_SET_THIS"):
        await PostbackTokens(reader).check(reader.view.accounts["lost"], "anything")


@pytest.mark.parametrize(("given", "owner"), [("new", "acme"), ("old", "acme"), ("beta's", "beta")])
async def test_a_token_names_its_account(reader: AccountsReader, given: str, owner: str) -> None:
    assert await PostbackTokens(reader).owner(given) == owner


async def test_a_token_of_nobody_is_refused(reader: AccountsReader) -> None:
    with pytest.raises(NotAuthentic) as caught:
        await PostbackTokens(reader).owner("nobody's")
    assert caught.value.code == "wrong_token"


async def test_a_token_of_two_accounts_names_neither(reader: AccountsReader) -> None:
    put(reader, AccountConfig(id="twin", name="Twin", postbacks={"token": "new"}))
    with pytest.raises(NotAuthentic) as caught:
        await PostbackTokens(reader).owner("new")
    assert caught.value.code == "ambiguous_token"


async def test_a_token_that_is_changed_counts_at_once(reader: AccountsReader) -> None:
    tokens = PostbackTokens(reader)
    assert await code(tokens, reader, "acme", "newest") == "wrong_token"
    put(reader, AccountConfig(id="acme", name="Acme", postbacks={"token": "newest", "token_previous": "new"}))
    assert await code(tokens, reader, "acme", "newest") == "passed"
    assert await code(tokens, reader, "acme", "old") == "wrong_token"
