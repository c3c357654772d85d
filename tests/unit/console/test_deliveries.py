"""The list of deliveries, by the API and on its page."""

from __future__ import annotations

import csv
import html
import io
import re
from typing import Any

import orjson
import pytest

from console.principals import Role
from database.bulk import insert
from database.tables import message_tags, messages
from tests.unit.console.console_parts import Api, refusal
from tests.unit.console.rows import message, tags_of


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


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/api/deliveries?status=failed", "status: is not one of queued, pending, delivered, undeliverable"),
        ("/api/replies?kind=optout", "kind: is not one of reply, opt_out, opt_in"),
        ("/api/contacts?reason=stop", "reason: is not one of message, manual, complaint"),
        ("/api/statistics?group=hour&group=provider", "group: is given more than once"),
        ("/api/attempts?endpoint=crm&outcome=5xx&endpoint=bi", "endpoint: is given more than once"),
    ],
)
async def test_a_filter_that_cannot_be_meant_is_refused_and_not_answered_with_nothing(
    api: Api, path: str, told: str
) -> None:
    answer = await api.get(path)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert told in answer.json()["message"]


async def test_a_tag_may_be_given_for_each_of_its_names(api: Api) -> None:
    answer = await api.get("/api/deliveries?tag=one&tag=two&status=")
    assert answer.json()["message"] == "tag: names tag twice, but a message has one value of it."


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


def put_tagged(api: Api, **tags: dict[str, str]) -> None:
    """Put messages with tags, by their ids from `m1` on: the later, the newer."""
    found = [
        message(nth, message_id=name, tags=orjson.dumps(each).decode() if each else None)
        for nth, (name, each) in enumerate(tags.items())
    ]
    api.put(messages, *found)
    with api.engine.begin() as connection:
        insert(connection, message_tags, tags_of(connection))


@pytest.fixture
def tagged() -> Api:
    """An installation with two tags, and with messages that have none, one, or both."""
    api = Api(tag_arguments="campaign,flow")
    put_tagged(
        api,
        none={},
        spring={"campaign": "spring"},
        both={"campaign": "spring", "flow": "cart: 7"},
        other={"campaign": "summer", "flow": "spring"},
    )
    return api


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["campaign:spring"], ["both", "spring"]),
        (["spring"], ["both", "spring"]),
        (["flow:spring"], ["other"]),
        (["campaign:spring", "flow:cart: 7"], ["both"]),
        (["flow:cart: 7", "spring"], ["both"]),
        (["campaign:summer", "flow:cart: 7"], []),
        (["campaign:winter"], []),
        (["", "campaign:summer"], ["other"]),
    ],
)
async def test_deliveries_are_found_by_all_of_the_tags_that_are_given(
    tagged: Api, wanted: list[str], found: list[str]
) -> None:
    assert await ids(tagged, tag=wanted) == found


async def test_a_delivery_has_its_tags(tagged: Api) -> None:
    found = (await tagged.get("/api/deliveries")).json()["data"]
    assert {each["message_id"]: each["tags"] for each in found} == {
        "none": {},
        "spring": {"campaign": "spring"},
        "both": {"campaign": "spring", "flow": "cart: 7"},
        "other": {"campaign": "summer", "flow": "spring"},
    }


async def test_a_tag_filters_together_with_others(tagged: Api) -> None:
    assert await ids(tagged, tag="campaign:spring", status="delivered") == ["both", "spring"]
    assert await ids(tagged, tag="campaign:spring", message_id="spring") == ["spring"]
    assert await ids(tagged, tag=["campaign:spring", "flow:cart: 7"], message_id="spring") == []
    assert await ids(tagged, tag="flow:cart: 7", number="+15551230001") == ["both"]
    assert await ids(tagged, tag="campaign:spring", status="expired") == []
    assert await ids(tagged, tag="campaign:spring", until="2026-11-18T10:26:41Z") == []


async def test_pages_of_a_tag_follow_without_gap_or_repeat() -> None:
    api = Api(tag_arguments="campaign")
    api.put(
        messages,
        *(message(nth, updated_at=nth // 3, tags='{"campaign":"a"}' if nth % 2 else None) for nth in range(12)),
    )
    with api.engine.begin() as connection:
        insert(connection, message_tags, tags_of(connection))
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        answer = await api.get("/api/deliveries", params={"tag": "campaign:a", "limit": 2, "cursor": cursor})
        seen += [row["message_id"] for row in answer.json()["data"]]
        cursor = answer.json()["next_cursor"]
    assert seen == ["m-11", "m-9", "m-7", "m-5", "m-3", "m-1"]


async def test_a_cursor_of_other_tags_is_refused(tagged: Api) -> None:
    query = {"tag": "campaign:spring", "limit": 1}
    cursor = (await tagged.get("/api/deliveries", params=query)).json()["next_cursor"]
    answer = await tagged.get("/api/deliveries", params={**query, "tag": "flow:spring", "cursor": cursor})
    assert refusal(answer) == (422, "validation_failed")


async def test_another_accounts_tags_are_never_found() -> None:
    api = Api(tag_arguments="campaign")
    api.put(messages, message(1, account="other", tags='{"campaign":"spring"}'))
    with api.engine.begin() as connection:
        insert(connection, message_tags, tags_of(connection))
    assert await ids(api, tag="campaign:spring") == []
    assert (await api.get("/api/deliveries.csv", params={"tag": "campaign:spring"})).text.count("\n") == 1


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (["user:7"], "tag: has an unknown name; write NAME:VALUE with a name of TRACKLY_TAG_ARGUMENTS: campaign, flow"),
        (["12:30"], "tag: has an unknown name"),
        (["flow:" + "x" * 256], "tag: the value of flow must have 1 to 255 characters"),
        (["x" * 256], "tag: the value of campaign must have 1 to 255 characters"),
        (["flow:"], "tag: the value of flow must have 1 to 255 characters"),
        (["campaign:" + "x" * 500], "tag[0]: string should have at most 356 characters"),
        (["campaign:a", "campaign:b"], "tag: names campaign twice"),
        (["campaign:a"] * 9, "tag: "),
    ],
)
@pytest.mark.parametrize("path", ["/api/deliveries", "/api/deliveries.csv", "/accounts/acme/deliveries"])
async def test_tags_that_cannot_be_are_refused(tagged: Api, path: str, wanted: list[str], problem: str) -> None:
    tagged.sign_in(Role.ADMIN)
    answer = await tagged.get(path, params={"tag": wanted})
    assert answer.status_code == 422
    assert problem in answer.text


async def test_deliveries_of_tags_are_exported_with_them(tagged: Api) -> None:
    exported = await tagged.get("/api/deliveries.csv", params={"tag": ["campaign:spring", "flow:cart: 7"]})
    (found,) = csv.DictReader(io.StringIO(exported.text))
    assert orjson.loads(found["tags"]) == {"campaign": "spring", "flow": "cart: 7"}
    assert (await tagged.get("/api/deliveries.csv", params={"message_id": "none"})).text.splitlines()[1].count(
        ",,"
    ) == 1


async def test_the_page_has_a_field_for_each_tag_and_keeps_the_filter_in_its_links(tagged: Api) -> None:
    tagged.sign_in(Role.VIEWER)
    empty = {"tag.campaign": "", "tag.flow": "", "status": ""}
    assert "Clear filters" not in (await tagged.page("/deliveries", params=empty)).text
    listed = (await tagged.page("/deliveries", params={"tag.campaign": "spring", "tag.flow": "cart: 7"})).text
    assert "/deliveries/infobip/ib-2" in listed
    assert "/deliveries/infobip/ib-1" not in listed
    assert 'name="tag.flow" value="cart: 7"' in listed
    link = "/accounts/acme/deliveries.csv?tag=campaign%3Aspring&amp;tag=flow%3Acart%3A+7"
    assert link in listed
    exported = await tagged.get(html.unescape(link), key="")
    assert exported.text.count("\n") == 2


async def test_older_pages_of_a_tag_are_linked(tagged: Api) -> None:
    tagged.sign_in(Role.VIEWER)
    listed = (await tagged.page("/deliveries", params={"tag.campaign": "spring", "limit": "1"})).text
    (older,) = re.findall(r'rel="next" href="([^"]+)"', listed)
    assert "/deliveries/infobip/ib-1" in (await tagged.get(html.unescape(older), key="")).text


async def test_a_trace_tells_the_tags_of_its_message(tagged: Api) -> None:
    found = (await tagged.get("/api/deliveries/infobip/ib-2")).json()
    assert found["delivery"]["tags"] == {"campaign": "spring", "flow": "cart: 7"}
    facts = found["steps"][0]["facts"]
    assert {name: facts[name] for name in facts if name.startswith("Tag ")} == {
        "Tag campaign": "spring",
        "Tag flow": "cart: 7",
    }
