"""What is trusted and read of a request before its sender is known."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers

from console.http.browser_security import PlainCookies, is_same_origin
from tests.unit.console.console_parts import Api


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "https://console"}, False),
        ({"origin": "https://console"}, True),
        ({"origin": "https://console:8081"}, False),
        ({"origin": "https://elsewhere"}, False),
        ({"origin": "null"}, False),
        ({"origin": "https://["}, False),
        ({"origin": "https://"}, False),
        ({}, False),
    ],
)
def test_a_form_is_ours_where_the_browser_says_so(headers: dict[str, str], is_ours: bool) -> None:
    assert is_same_origin(Headers({**headers, "host": "console"})) is is_ours


async def test_nothing_that_a_stranger_writes_into_origin_is_an_error_of_ours() -> None:
    answer = await Api().request("POST", "/sign-in", key="", headers={"origin": "http://["}, data={"email": "a"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b"trackly=abc; theme=dark", b"trackly=abc; theme=dark"),
        (b'other="\\"quoted\\""; trackly=abc', b" trackly=abc"),
        (b'trackly=abc;a="' + b"\\" * 60_000 + b'"', b"trackly=abc"),
    ],
)
async def test_cookies_with_escapes_are_left_out(sent: bytes, seen: bytes) -> None:
    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.extend(value for name, value in scope["headers"] if name == b"cookie")

    scope = {"type": "http", "headers": [(b"host", b"a"), (b"cookie", sent)]}
    await PlainCookies(app)(scope, None, None)  # type: ignore[arg-type]
    assert found == [seen]
