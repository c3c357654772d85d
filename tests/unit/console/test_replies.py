"""Replies: the list, and what must not reach a viewer or a browser."""

from __future__ import annotations

import pytest

from console.principals import Role
from database.tables import contact_changes, replies
from schemas.ids import derived_id
from tests.unit.console.console_parts import LIST, Api
from tests.unit.console.rows import change, reply


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.mark.parametrize(
    ("column", "value"), [("kind", "opt_in"), ("number", "+15551239999"), ("list_number", "+18005559999")]
)
async def test_a_filter_leaves_what_fits(api: Api, column: str, value: str) -> None:
    api.put(replies, reply(1), reply(2, **{column: value}))
    (found,) = (await api.get("/api/replies", params={column: value})).json()["data"]
    assert found["event_id"] == "evt_reply_2"


async def test_the_newest_reply_comes_first_and_none_of_another_account(api: Api) -> None:
    api.put(replies, reply(1), reply(2), reply(3, account="other"))
    found = (await api.get("/api/replies")).json()["data"]
    assert [row["event_id"] for row in found] == ["evt_reply_2", "evt_reply_1"]


async def test_a_reply_without_a_list_tells_the_number_that_it_was_sent_to(api: Api) -> None:
    api.put(replies, reply(1, list_number=None, to_number="+18005550000"))
    assert (await api.get("/api/replies")).json()["data"][0]["list_number"] == "+18005550000"


@pytest.mark.parametrize("lists", [(), (LIST,)])
async def test_a_reply_that_removed_its_contact_says_so_and_by_what(api: Api, lists: tuple[str, ...]) -> None:
    api.put(replies, *(reply(n, kind="reply", keyword=None) for n in (1, 2)))
    removal = derived_id("evt_reply_2", "unsubscribe", *lists)
    api.put(contact_changes, change(event_id=removal, keyword="STOP"))
    found = (await api.get("/api/replies")).json()["data"]
    assert [(row["removed"], row["keyword"]) for row in found] == [(True, "STOP"), (False, None)]


async def test_what_a_recipient_wrote_is_escaped(api: Api) -> None:
    api.put(replies, reply(1, text="<img src=x onerror=alert(1)>"))
    api.sign_in(Role.SUPPORT)
    shown = (await api.page("/replies")).text
    assert "<img src=x" not in shown
    assert "&lt;img src=x" in shown


async def test_a_viewer_sees_neither_numbers_nor_texts(api: Api) -> None:
    api.put(replies, reply(1, text="call me"))
    api.sign_in(Role.VIEWER)
    shown = (await api.page("/replies")).text
    assert "+15551230001" not in shown
    assert "call me" not in shown
    assert (await api.page("/replies", params={"number": "+15551230001"})).status_code == 403
