"""What ingest tells unverified callers: no name of a variable and no file."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from ingest.app import Ingest, create_app
from ingest.settings import IngestSettings
from schemas.records import AccountConfig

VARIABLE, FILE = "NOT_SET_ANYWHERE", "/run/secrets/not-there"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = IngestSettings(data_dir=tmp_path, bootstrap_servers="localhost:1")
    ingest = Ingest(settings)
    for name, secret in (("env", f"env:{VARIABLE}"), ("file", f"file:{FILE}")):
        account = AccountConfig(
            id=name, name=name, providers={"twilio": {"auth_token": secret}}, postbacks={"token": secret}
        )
        ingest.accounts.view.put(account)
    transport = httpx.ASGITransport(create_app(settings, ingest))
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
        yield client


@pytest.mark.parametrize("account", ["env", "file"])
@pytest.mark.parametrize(
    "path", ["/api/webhook-feedbacks/twilio?account={}", "/api/postbacks/tune?account={}&click_id=x"]
)
async def test_a_secret_that_is_missing_is_named_in_the_log_alone(
    client: httpx.AsyncClient, account: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await client.post(path.format(account), content=b"")
    assert (answer.status_code, answer.json()["code"]) == (503, "credentials_unavailable")
    assert answer.headers["retry-after"] == "60"
    for name in (VARIABLE, FILE, "environment", "/run"):
        assert name not in answer.text
    assert f"account {account}:" in caplog.text
    assert (VARIABLE if account == "env" else FILE) in caplog.text
