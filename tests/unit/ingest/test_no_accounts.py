"""Where no account exists, settings were lost, or lie elsewhere: providers are asked to send again."""

from __future__ import annotations

from pathlib import Path

from schemas.records import AccountConfig
from tests.unit.ingest.ingest_parts import Door

URL = "/api/webhook-feedbacks/infobip?account=acme"


async def test_a_callback_is_refused_for_now_while_there_is_no_account_at_all(tmp_path: Path) -> None:
    answer = await Door(tmp_path).request("POST", URL, content=b"{}")
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "no_accounts", "60")


async def test_a_callback_of_an_unknown_account_is_refused_for_good_where_there_are_others(tmp_path: Path) -> None:
    answer = await Door(tmp_path, AccountConfig(id="other", name="Other")).request("POST", URL, content=b"{}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_account")
