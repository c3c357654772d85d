"""`POST /api/messages`: the records of a batch, and the errors of an invalid one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bus.clock import now_ms
from schemas.ids import recipient_key
from schemas.records import Link, MessageSent
from tests.unit.console.console_parts import CODEC, LIST, OTHER_LIST, Api, refusal

PATH = "/api/messages"


@pytest.fixture
def api() -> Api:
    return Api()


def message(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "message_id": "order-4711",
        "provider": "infobip",
        "provider_message_id": "ib-1",
        "list_number": LIST,
        "to": "+15551230001",
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not ...}


async def test_a_message_is_written_with_everything_that_was_said(api: Api) -> None:
    whole = message(
        to="1 (555) 123-0001",
        part_count=2,
        unique_args={"order": "4711"},
        callback={"url": "https://shop.example.com/sms"},
        links=[{"click_id": "c-1", "url": "https://shop.example.com/sale"}],
        sent_at="2026-11-20T10:15:00.120+01:00",
    )
    answer = await api.post(PATH, json={"messages": [whole]})
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    ((topic, entry),) = api.written.entries
    assert (topic, entry.key) == ("messages", recipient_key("acme", "+15551230001"))
    assert entry.record == MessageSent(
        message_id="order-4711",
        account="acme",
        provider="infobip",
        provider_message_id="ib-1",
        list_number=LIST,
        to="+15551230001",
        part_count=2,
        unique_args={"order": "4711"},
        callback_url="https://shop.example.com/sms",
        links=(Link("c-1", "https://shop.example.com/sale"),),
        sent_at=1_795_166_100_120,
    )


async def test_without_a_time_it_was_sent_when_it_was_accepted(api: Api) -> None:
    before = now_ms()
    await api.post(PATH, json={"messages": [message()]})
    (record,) = api.written.records("messages")
    assert isinstance(record, MessageSent)
    assert before <= record.sent_at <= now_ms()


async def test_a_batch_of_a_thousand_is_taken_and_one_more_is_not(api: Api) -> None:
    batch = [message(message_id=f"m-{n}", provider_message_id=f"p-{n}") for n in range(1_001)]
    assert (await api.post(PATH, json={"messages": batch[:1_000]})).status_code == 202
    assert len({entry.event_id for _, entry in api.written.entries}) == 1_000
    assert refusal(await api.post(PATH, json={"messages": batch})) == (422, "validation_failed")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"message_id": ...}, "message_id: is missing"),
        ({"message_id": ""}, "message_id: "),
        ({"message_id": 4711}, "message_id: "),
        ({"message_id": "x" * 201}, "message_id: "),
        ({"provider": "nobody"}, "provider: is not a known provider; known are "),
        ({"to": "nobody"}, "to: is not a valid phone number; write it as +18005551234"),
        ({"to": "2125550100"}, "to: may lack its country code; write it as +18005551234"),
        ({"to": None}, "to: "),
        ({"list_number": OTHER_LIST}, "list_number: is not a list in account acme"),
        ({"list_number": "+18005550000"}, "list_number: is not a list in account acme"),
        ({"part_count": 0}, "part_count: "),
        ({"part_count": "2"}, "part_count: "),
        ({"part_count": True}, "part_count: "),
        ({"unique_args": {"order": 4711}}, "unique_args.order: "),
        ({"unique_args": {str(n): "x" for n in range(51)}}, "unique_args: "),
        ({"callback": {"url": "https://u:p@shop.example.com/"}}, "callback.url: contains a user name or password"),
        ({"callback": {"url": "shop.example.com"}}, 'callback.url: "shop.example.com" is not a valid web address'),
        ({"callback": {"url": "javascript:alert(1)"}}, "callback.url: "),
        ({"callback": {}}, "callback.url: is missing"),
        ({"links": [{"click_id": "c"}]}, "links[0].url: is missing"),
        ({"sent_at": "yesterday"}, "sent_at: is not a time with a zone; write it as 2026-11-20T10:15:00Z"),
        ({"sent_at": "2026-11-20T10:15:00"}, "sent_at: is not a time with a zone"),
        ({"sent_at": 1_795_166_100}, "sent_at: is not a time with a zone"),
        ({"sent_at": "1795166100"}, "sent_at: is not a time with a zone"),
        ({"sent_at": "2999-01-01T00:00:00Z"}, "sent_at: is in the future"),
        ({"sent_at": "0001-01-01T00:00:00Z"}, "sent_at: "),
        ({"uniqueArgs": {}}, "uniqueArgs: is not a known field"),
    ],
)
async def test_a_mistake_is_named_by_its_place_and_nothing_is_written(
    api: Api, changes: dict[str, Any], told: str
) -> None:
    answer = await api.post(PATH, json={"messages": [message(), message(**changes)]})
    assert refusal(answer) == (422, "validation_failed")
    assert answer.json()["message"].startswith(f"messages[1].{told}")
    assert not api.written.entries


async def test_of_many_mistakes_the_first_ten_are_told(api: Api) -> None:
    answer = await api.post(PATH, json={"messages": [message(to="x")] * 12})
    told = answer.json()["message"]
    assert told.startswith("messages[0].to: ")
    assert told.endswith("; and 2 more.")
    assert "messages[10]" not in told


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"message_id": "\ud800"}, ".message_id"),
        ({"provider": "\ud800"}, ".provider"),
        ({"to": "\ud800"}, ".to"),
        ({"unique_args": {"a": "\ud800"}}, ".unique_args.a"),
        ({"unique_args": {"\ud800": "a"}}, ".unique_args"),
        ({"callback": {"url": "https://shop.example.com/\ud800"}}, ".callback.url"),
        ({"\ud800": 1}, ": "),
    ],
)
async def test_half_an_emoji_is_no_text(api: Api, changes: dict[str, Any], place: str) -> None:
    content = json.dumps({"messages": [message(**changes)]})
    answer = await api.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert refusal(answer) == (422, "validation_failed")
    assert f"messages[0]{place}" in answer.json()["message"]
    assert not api.written.entries


@pytest.mark.parametrize("body", [{}, {"messages": []}, {"messages": None}, {"messages": [None]}, {"message": []}])
async def test_a_body_of_another_shape_is_refused(api: Api, body: dict[str, Any]) -> None:
    assert refusal(await api.post(PATH, json=body)) == (422, "validation_failed")


async def test_the_largest_message_fits_the_topic(api: Api) -> None:
    texts = {f"{n:02d}" + "ä" * 98: "€" * 1_000 for n in range(50)}
    links = [{"click_id": f"{n:02d}" + "€" * 198, "url": "https://x.example/" + "ä" * 1_982} for n in range(50)]
    largest = message(message_id="€" * 200, provider_message_id="€" * 200, unique_args=texts, links=links)
    assert (await api.post(PATH, json={"messages": [largest]})).status_code == 202
    (record,) = api.written.records("messages")
    assert len(CODEC.encode(record)) < api.settings.catalogue["messages"].max_message_bytes


async def test_when_kafka_does_not_take_it_the_sender_is_told_to_come_back(api: Api) -> None:
    api.written.broken = True
    answer = await api.post(PATH, json={"messages": [message()]})
    assert refusal(answer) == (503, "not_available")
    assert int(answer.headers["Retry-After"]) > 0


# Idempotency keys


async def test_a_repeat_writes_the_same_records_and_is_answered_the_same(api: Api) -> None:
    first, again = [
        await api.post(PATH, json={"messages": [message()]}, headers={"Idempotency-Key": "a"}) for _ in range(2)
    ]
    assert first.json() == again.json()
    assert api.written.entries[0] == api.written.entries[1]


async def test_other_keys_are_other_requests(api: Api) -> None:
    for key in ("a", "b"):
        await api.post(PATH, json={"messages": [message()]}, headers={"Idempotency-Key": key})
    assert len({entry.event_id for _, entry in api.written.entries}) == 2


async def test_a_mistake_does_not_use_up_the_key(api: Api) -> None:
    for number, status in (("+18005550000", 422), (LIST, 202)):
        body = {"messages": [message(list_number=number)]}
        assert (await api.post(PATH, json=body, headers={"Idempotency-Key": "a"})).status_code == status
