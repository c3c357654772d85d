"""The checks before every page: its URL, where a form comes from, and how large it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Engine

from console.pages.gate import MAX_FORM_BYTES
from console.principals import Role
from tests.unit.console.console_parts import Api

OURS = {"sec-fetch-site": "same-origin"}
FORMS = ["/sign-in", "/welcome/nonsense", "/me/password", "/accounts/acme/webhooks", "/nowhere"]


class Body:
    """A body in parts that records how much of it was read."""

    def __init__(self, *parts: bytes, stalls: bool = False) -> None:
        self._parts = parts
        self._stalls = stalls
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            self.read += len(part)
            yield part
        if self._stalls:
            await asyncio.sleep(60)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "headers",
    [{}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}],
    ids=str,
)
async def test_the_body_of_another_sites_form_is_not_read(api: Api, path: str, headers: dict[str, str]) -> None:
    body = Body(b"email=a")
    answer = await api.request("POST", path, key="", content=aiter(body), headers=headers)
    assert (answer.status_code, body.read) == (403, 0)
    assert "This form has expired." in answer.text


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_that_says_it_is_too_large_is_not_read(api: Api, path: str) -> None:
    answer = await api.request("POST", path, key="", content=b"x" * (MAX_FORM_BYTES + 1), headers=OURS)
    assert answer.status_code == 413
    assert "65,536 bytes" in answer.text


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
async def test_of_a_form_without_an_end_no_more_is_read_than_may_be(api: Api, content_type: str) -> None:
    body = Body(*[b"x" * 1_000] * 200)
    headers = {**OURS, "content-type": content_type}
    answer = await api.request("POST", "/sign-in", key="", content=aiter(body), headers=headers)
    assert answer.status_code == 413
    assert body.read <= MAX_FORM_BYTES + 1_000


async def test_a_form_that_does_not_arrive_is_given_up() -> None:
    api = Api(api_timeout=0.05)
    body = Body(b"email=a", stalls=True)
    answer = await api.request("POST", "/sign-in", key="", content=aiter(body), headers=OURS)
    assert answer.status_code == 422
    assert "did not arrive in time" in answer.text


async def test_who_asks_for_very_many_pages_is_told_to_wait() -> None:
    api = Api(api_rate=0.1, api_burst=2)
    api.sign_in(Role.VIEWER)
    statuses = [(await api.page("/lists")).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert (await api.request("GET", "/assets/console.css", key="")).status_code != 429


async def test_old_browsers_say_by_origin_where_a_form_is_from(api: Api) -> None:
    answer = await api.request("POST", "/sign-in", key="", data={}, headers={"origin": "http://console"})
    assert answer.status_code == 422
    assert "The email address or the password is wrong." in answer.text


@pytest.mark.parametrize("fields", [1_001, 20_000])
async def test_very_many_fields_are_no_fault_of_the_console(api: Api, fields: int) -> None:
    headers = {**OURS, "content-type": "application/x-www-form-urlencoded"}
    answer = await api.request("POST", "/sign-in", key="", content=b"a=&" * fields, headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize("email", ["a\x00@example.com", "\x00", "ann@example.com\x00"])
async def test_an_address_that_a_database_cannot_hold_is_answered_like_every_other(
    database: Engine, email: str
) -> None:
    answer = await Api(database).request("POST", "/sign-in", key="", data={"email": email}, headers=OURS)
    assert answer.status_code == 422
    assert "The email address or the password is wrong." in answer.text


@pytest.mark.parametrize(
    "url", ["/accounts/acme/deliveries?status=%00", "/accounts/acme/contacts/a%00b", "/sign-in?next=/%00", "/%00"]
)
async def test_a_zero_byte_in_the_address_of_a_page_is_refused(api: Api, url: str) -> None:
    api.sign_in(Role.ADMIN)
    answer = await api.request("GET", url, key="")
    assert answer.status_code == 422
    assert "URL: contains a zero byte" in answer.text
