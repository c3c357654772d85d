"""Answers about who may be texted are evidence if the account wants it: durable before they are given."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from console.contacts.answers import MARKETING, TRANSACTIONAL
from console.contacts.freshness import Freshness
from schemas.records import ContactAnswers
from tests.unit.console.console_parts import LIST, NUMBER, Api, refusal

CHECK = {"list_number": LIST, "numbers": [NUMBER, "nobody"]}
LOOK_UP = f"/api/contacts/{LIST}/{NUMBER}"


@pytest.fixture
def api() -> Api:
    api = Api()
    api.accounts.put(replace(api.accounts.accounts["acme"], keeps_answers=True))
    return api


def kept(api: Api) -> list[ContactAnswers]:
    return [each for each in api.written.records("answers") if isinstance(each, ContactAnswers)]


async def test_a_check_is_kept_byte_by_byte_with_who_asked_and_for_what(api: Api) -> None:
    answer = await api.post("/api/contacts/check", json=CHECK | {"purpose": TRANSACTIONAL})
    [one] = kept(api)
    assert one.body.encode() == answer.content
    assert (one.account, one.list_number, one.purpose, one.asked_by) == ("acme", LIST, TRANSACTIONAL, "key:acme shop")
    assert one.answered_at == api.clock.now_ms()
    [(_, entry)] = api.written.entries
    assert entry.key == b"acme"


async def test_a_look_up_is_kept_as_it_was_answered(api: Api) -> None:
    answer = await api.get(LOOK_UP)
    assert answer.json()["may_be_texted"]
    [one] = kept(api)
    assert (one.body.encode(), one.purpose) == (answer.content, MARKETING)


async def test_a_list_that_is_none_of_the_accounts_is_kept_as_it_was_written(api: Api) -> None:
    await api.post("/api/contacts/check", json=CHECK | {"list_number": "summer"})
    assert [each.list_number for each in kept(api)] == ["summer"]


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/contacts/check"), ("GET", LOOK_UP)])
async def test_an_answer_that_cannot_be_kept_is_not_given(api: Api, method: str, path: str) -> None:
    api.written.broken_topics = {"answers"}
    answer = await api.request(method, path, json=CHECK if method == "POST" else None)
    assert refusal(answer) == (503, "not_available")
    assert "keeps its answers as evidence" in answer.json()["message"]
    assert "may_be_texted" not in answer.text


async def test_what_is_refused_is_not_kept(api: Api) -> None:
    api.view.freshness = Freshness()
    assert refusal(await api.post("/api/contacts/check", json=CHECK))[0] == 503
    assert kept(api) == []


@pytest.mark.parametrize("account", ["acme", "other"])
async def test_other_accounts_keep_none(account: str) -> None:
    api = Api()
    keeping = "other" if account == "acme" else "acme"
    api.accounts.put(replace(api.accounts.accounts[keeping], keeps_answers=True))
    key = api.acme if account == "acme" else api.other
    assert (await api.post("/api/contacts/check", json=CHECK, key=key)).status_code == 200
    assert api.written.entries == []
