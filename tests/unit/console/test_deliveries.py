"""The list of deliveries, by the API and on its page."""

from __future__ import annotations

from typing import Any

import pytest

from console.principals import Role
from database.tables import messages
from tests.unit.console.console_parts import Api, refusal
from tests.unit.console.rows import message


@pytest.fixture
def api() -> Api:
    return Api()


async def ids(api: Api, **query: Any) -> list[str]:
    answer = await api.get("/api/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    return [row["message_id"] for row in answer.json()["data"]]


async def test_the_newest_comes_first_and_pages_follow_without_gap_or_repeat(api: Api) -> None:
    api.put(messages, *(message(number, updated_at=number // 3) for number in range(10)))
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        answer = await api.get("/api/deliveries", params={"limit": 3, "cursor": cursor})
        seen += [row["message_id"] for row in answer.json()["data"]]
        cursor = answer.json()["next_cursor"]
    assert seen == [f"m-{number}" for number in reversed(range(10))]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("status", "expired"),
        ("status_detail", "EXPIRED"),
        ("provider", "twilio"),
        ("list_number", "+18005559999"),
        ("number", "+15551239999"),
        ("message_id", "other"),
        ("provider_message_id", "other"),
    ],
)
async def test_a_filter_leaves_what_fits(api: Api, column: str, value: str) -> None:
    api.put(messages, message(1), message(2, **{column: value}))
    (found,) = (await api.get("/api/deliveries", params={column: value})).json()["data"]
    assert found["to" if column == "number" else column] == value


async def test_another_accounts_messages_are_never_listed(api: Api) -> None:
    api.put(messages, message(1, account="other"))
    assert await ids(api) == []


@pytest.mark.parametrize("cursor", ["x", "MS4y", "MS4yLjM0", "%00", "é"])
async def test_a_cursor_that_is_none_is_refused(api: Api, cursor: str) -> None:
    answer = await api.get("/api/deliveries", params={"cursor": cursor})
    assert refusal(answer) == (422, "validation_failed")


async def test_a_cursor_of_another_question_is_refused(api: Api) -> None:
    api.put(messages, message(1), message(2))
    cursor = (await api.get("/api/deliveries", params={"limit": 1})).json()["next_cursor"]
    answer = await api.get("/api/deliveries", params={"limit": 1, "cursor": cursor, "status": "delivered"})
    assert refusal(answer) == (422, "validation_failed")


async def test_a_viewer_sees_numbers_masked_and_cannot_search_by_them(api: Api) -> None:
    api.put(messages, message(1))
    api.sign_in(Role.VIEWER)
    listed = await api.page("/deliveries")
    assert "+15551230001" not in listed.text
    assert "•••0001" in listed.text
    assert (await api.page("/deliveries", params={"number": "+15551230001"})).status_code == 403


async def test_the_page_escapes_what_providers_and_senders_wrote(api: Api) -> None:
    api.put(messages, message(1, message_id="<script>alert(1)</script>"))
    api.sign_in(Role.ADMIN)
    listed = await api.page("/deliveries")
    assert listed.status_code == 200
    assert "<script>alert" not in listed.text
    assert "&lt;script&gt;alert(1)" in listed.text


async def test_a_page_without_rows_says_what_to_do_next(api: Api) -> None:
    api.sign_in(Role.ADMIN)
    assert "Connect a provider" in (await api.page("/deliveries")).text
    assert "Clear filters" in (await api.page("/deliveries", params={"status": "expired"})).text


async def test_a_page_of_another_account_is_not_there(api: Api) -> None:
    api.sign_in(Role.ADMIN, "other")
    answer = await api.page("/deliveries")
    assert answer.status_code == 404


async def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(api: Api) -> None:
    answer = await api.page("/deliveries", params={"status": "expired"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Faccounts%2Facme%2Fdeliveries%3Fstatus%3Dexpired"


async def test_deliveries_are_found_and_exported_by_their_tag(api: Api) -> None:
    api.put(messages, message(1, tag="spring"), message(2, tag="summer"), message(3))
    found = (await api.get("/api/deliveries", params={"tag": "spring"})).json()["data"]
    assert [(each["provider_message_id"], each["tag"]) for each in found] == [("ib-1", "spring")]
    exported = (await api.get("/api/deliveries.csv", params={"tag": "spring"})).text
    assert exported.count("\n") == 2
    assert "spring" in exported
