"""Limits of a request, checked before any of it is parsed."""

from __future__ import annotations

from typing import Any

import pytest

from console.http.fields import MAX_MEMBERS, MAX_UNKNOWN
from console.http.request_bodies import MAX_PARAMETERS, MAX_PATH, MAX_QUERY_BYTES, MAX_VALUES
from tests.unit.console.console_parts import LIST, NUMBER, Api, refusal

MESSAGE = {"message_id": "m", "provider": "infobip", "provider_message_id": "p", "list_number": LIST, "to": NUMBER}


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.mark.parametrize("start", ["/api/deliveries", "/sign-in"])
@pytest.mark.parametrize("rest", ["/" + "x" * MAX_PATH, "?a=" + "x" * MAX_QUERY_BYTES, "?a" + "&a" * MAX_PARAMETERS])
async def test_a_url_that_no_page_has_is_refused(api: Api, start: str, rest: str) -> None:
    answer = await api.get(start + rest)
    assert answer.status_code == 422
    assert "too long" in answer.text


async def test_a_body_of_more_values_than_anybody_sends_is_not_read(api: Api) -> None:
    answer = await api.post("/api/messages", content=b"[" + b"1," * MAX_VALUES + b"1]")
    assert refusal(answer) == (422, "validation_failed")
    assert "more than 100,000 values" in answer.text


def members(count: int, value: Any) -> dict[str, Any]:
    return {f"f{n}": value for n in range(count)}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"messages": [MESSAGE], **members(2, 1)}, "f0: is not a known field; f1: is not a known field"),
        ({"messages": [MESSAGE], **members(MAX_UNKNOWN + 1, 1)}, "too many unknown fields"),
        ({"messages": [{**MESSAGE, **members(2_000, 1)}]}, "messages[0]: has too many unknown fields"),
        (
            {"messages": [{**MESSAGE, "unique_args": members(MAX_MEMBERS + 1, "x")}]},
            "messages[0]: has an object of more than 100 fields",
        ),
    ],
)
async def test_of_an_object_with_thousands_of_fields_one_sentence_is_said(
    api: Api, body: dict[str, Any], told: str
) -> None:
    answer = await api.post("/api/messages", json=body)
    assert refusal(answer) == (422, "validation_failed")
    assert told in answer.json()["message"]
