"""The checks before every route: key, rate, size, and the form of refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from bus.clock import now_ms
from tests.unit.console.console_parts import LIST, Api, refusal

CHECK = {"list_number": LIST, "numbers": ["+15551230001"]}
PATH = "/api/contacts/check"


@pytest.fixture
def api() -> Api:
    return Api()


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_without_a_key_there_is_no_answer(api: Api) -> None:
    answer = await api.post(PATH, key="", json=CHECK)
    assert refusal(answer) == (401, "missing_api_key")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Api-Key", "trk_00000000000000000000000000000000"),
        ("X-Api-Key", "nonsense"),
        ("X-Api-Key", "trk_" + "ä" * 32),
        ("Authorization", "Bearer trk_00000000000000000000000000000000"),
    ],
)
async def test_an_unknown_key_is_refused(api: Api, name: str, value: str) -> None:
    answer = await api.post(PATH, key="", json=CHECK, headers={name: value.encode()})
    assert refusal(answer) == (401, "invalid_api_key")


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer "])
async def test_other_authorization_is_no_key(api: Api, value: str) -> None:
    answer = await api.post(PATH, key="", json=CHECK, headers={"Authorization": value})
    assert refusal(answer) == (401, "missing_api_key")


async def test_a_key_is_taken_in_either_header(api: Api) -> None:
    for headers in ({"X-Api-Key": api.acme}, {"Authorization": f"Bearer {api.acme}"}):
        assert (await api.post(PATH, key="", json=CHECK, headers=headers)).status_code == 200


async def test_an_expired_key_is_refused(api: Api) -> None:
    expired = api.key("acme", expires_at=now_ms() - 1)
    assert refusal(await api.post(PATH, key=expired, json=CHECK)) == (401, "invalid_api_key")


async def test_a_key_whose_role_is_of_a_newer_version_opens_nothing(api: Api) -> None:
    (key,) = (key for key in api.keys.by_id.values() if key.account == "acme")
    api.keys.put(replace(key, role="auditor"))
    for params in ({}, {"account": "acme"}):
        assert refusal(await api.get("/api/deliveries", params=params)) == (404, "not_found")


async def test_a_body_is_not_read_before_the_key_is_known(api: Api) -> None:
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append(True)
        yield b"{}"

    assert refusal(await api.post(PATH, key="", content=body())) == (401, "missing_api_key")
    assert not read


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_is_refused(chunked: bool) -> None:
    api = Api(api_max_body_bytes=2_000)
    answer = await api.post(PATH, content=chunks(b"x" * 1_000, b"x" * 1_001) if chunked else b"x" * 2_001)
    assert refusal(answer) == (413, "validation_failed")


async def test_a_key_that_asks_too_often_is_told_when_to_come_back() -> None:
    api = Api(api_rate=0.1, api_burst=2)
    assert [(await api.post(PATH, json=CHECK)).status_code for _ in range(2)] == [200, 200]
    answer = await api.post(PATH, json=CHECK)
    assert refusal(answer) == (429, "rate_limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    assert (await api.post(PATH, key=api.other, json=CHECK)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "refused"),
    [
        ("GET", "/api/nothing", (404, "not_found")),
        ("GET", "/api/messages", (405, "method_not_allowed")),
        ("GET", "/api/contacts/check", (405, "method_not_allowed")),
        ("GET", "/api/contacts/remove", (405, "method_not_allowed")),
        ("GET", "/api/contacts/restore", (405, "method_not_allowed")),
        ("POST", "/api/contacts/+18005551234/+15551230001", (405, "method_not_allowed")),
    ],
)
async def test_what_is_not_there_is_said_like_every_error(
    api: Api, method: str, path: str, refused: tuple[int, str]
) -> None:
    assert refusal(await api.request(method, path)) == refused


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"messages": []}', "text/plain"),
        (b"\xff\xfe", "application/json"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(api: Api, content: bytes, content_type: str) -> None:
    answer = await api.post("/api/messages", content=content, headers={"Content-Type": content_type})
    assert refusal(answer) == (422, "validation_failed")


async def test_a_body_that_is_not_declared_as_json_is_told_how(api: Api) -> None:
    answer = await api.post(PATH, data={"list_number": "+18005551234"})
    assert refusal(answer) == (422, "validation_failed")
    assert answer.json()["message"] == "body: is not a JSON object; send one with `Content-Type: application/json`."


@pytest.mark.parametrize("url", ["/api/deliveries?status=%00", "/api/deliveries/infobip/a%00b", "/api/%00"])
async def test_a_zero_byte_in_a_url_is_refused(api: Api, url: str) -> None:
    answer = await api.get(url)
    assert refusal(answer) == (422, "validation_failed")
    assert answer.json()["message"] == "URL: contains a zero byte."


@pytest.mark.parametrize(
    "since",
    ["99999999999999999d", "36501d", "0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"],
)
async def test_a_time_before_or_after_all_times_is_refused(api: Api, since: str) -> None:
    answer = await api.get("/api/deliveries", params={"since": since})
    assert refusal(answer) == (422, "validation_failed")
    assert "since" in answer.json()["message"]
    ordered = await api.post("/api/replays", json={"endpoint": "crm", "since": since})
    assert refusal(ordered) == (422, "validation_failed")
    assert not api.written.entries


async def test_answers_are_not_to_be_stored_on_the_way(api: Api) -> None:
    for key in ("", None):
        assert (await api.post(PATH, key=key, json=CHECK)).headers["Cache-Control"] == "no-store"


async def test_requests_are_counted_by_route_and_no_number_stands_in_the_metrics(api: Api) -> None:
    await api.get(f"/api/contacts/{LIST}/+15551230001")
    metrics = (await api.get("/metrics", key="")).text
    counted = 'trackly_console_requests_total{route="/api/contacts/{list_number}/{number}",status="200"} 1.0'
    assert counted in metrics
    assert "+1555" not in metrics
