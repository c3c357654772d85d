"""Lists as CSV: complete, bounded, harmless to spreadsheets, and never a stranger's."""

from __future__ import annotations

import csv
import io

import pytest

from console.access import csv_export
from database.tables import messages, replies
from tests.unit.console.console_parts import Api, refusal
from tests.unit.console.rows import message, reply


@pytest.fixture
def api() -> Api:
    return Api()


async def rows(api: Api, path: str, **query: str) -> list[dict[str, str]]:
    answer = await api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_all_pages_are_in_it_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_export, "PAGE_ROWS", 3)
    api.put(messages, *(message(number) for number in range(10)))
    found = await rows(api, "/api/deliveries.csv")
    assert [row["message_id"] for row in found] == [f"m-{number}" for number in reversed(range(10))]


async def test_it_ends_at_its_bound(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_export, "PAGE_ROWS", 3)
    monkeypatch.setattr(csv_export, "MOST_ROWS", 5)
    api.put(messages, *(message(number) for number in range(10)))
    assert len(await rows(api, "/api/deliveries.csv")) == 5


async def test_filters_hold_and_times_have_a_zone(api: Api) -> None:
    api.put(messages, message(1), message(2, status="expired"))
    (found,) = await rows(api, "/api/deliveries.csv", status="expired")
    assert found["message_id"] == "m-2"
    assert found["updated_at"].endswith("Z")
    assert found["to"] == "+15551230001"


async def test_a_reply_cannot_be_a_formula(api: Api) -> None:
    api.put(replies, reply(1, text='=HYPERLINK("http://evil.example")'))
    (found,) = await rows(api, "/api/replies.csv")
    assert found["text"] == '\'=HYPERLINK("http://evil.example")'


async def test_a_bad_cursor_is_refused_before_the_first_byte(api: Api) -> None:
    assert refusal(await api.get("/api/replies.csv", params={"cursor": "x"})) == (422, "validation_failed")


async def test_a_stranger_gets_nothing(api: Api) -> None:
    api.put(replies, reply(1))
    answer = await api.get("/api/replies.csv", key=api.other, params={"account": "acme"})
    assert refusal(answer) == (404, "not_found")
