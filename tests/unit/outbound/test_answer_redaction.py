from __future__ import annotations

import base64
import html
import json
import struct
from collections.abc import Callable
from urllib.parse import quote, unquote, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbound.redaction import KEPT, redacted_head, secrets_in, secrets_in_header, without_query
from outbound.signing import Signer
from tests.unit.sinks.sink_parts import SECRET


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("ok", "ok"),
        ("your secret is hunter2hunter2!", "your secret is ***!"),
        (f"key {SECRET}.", "key ***."),
        ("sha256=" + "0af" * 20, "***"),
        ("webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", "webhook-signature: ***"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: ***"),
        ("the bearer of this", "the bearer of this"),
        ("a\x00b", "ab"),
        ("version v1, released", "version v1, released"),
    ],
)
def test_secrets_and_signatures_are_not_kept(answer: str, shown: str) -> None:
    assert redacted_head(answer, ["hunter2hunter2"]) == shown


def test_a_receiver_that_prints_our_request_gives_nothing_away() -> None:
    headers = Signer(SECRET).headers("evt_1", b"{}", 1)
    head = redacted_head(f"bad request: {headers}", [SECRET])
    for name in ("X-Trackly-Signature", "webhook-signature"):
        assert headers[name][-20:] not in head
    assert "evt_1" in head


def test_a_secret_at_the_cut_is_found() -> None:
    assert "hunter" not in redacted_head("x" * (KEPT - 6) + "hunter2hunter2", ["hunter2hunter2"])


@given(st.text())
def test_what_is_kept_is_bounded(answer: str) -> None:
    assert len(redacted_head(answer * 50).encode()) <= KEPT


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/hook", "https://a.example/hook"),
        ("https://a.example/hook?token=1#x", "https://a.example/hook"),
        ("https://me:pw@a.example/hook", "https://a.example/hook"),
        ("https://a.example/x@y", "https://a.example/x@y"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert without_query(url) == shown


TOKEN = 'k1/y+z"é='
QUERY = "token=k1%2Fy%2Bz%22%C3%A9%3D&user=anna.doe"
URL = f"https://me:pa55word@a.example/hook?{QUERY}#here"


@pytest.mark.parametrize(
    "echo",
    [
        f"POST /hook?{QUERY} HTTP/1.1",
        quote(f"/hook?{QUERY}", safe=""),
        quote(f"/hook?{QUERY}", safe="").lower(),
        f"token is {TOKEN} here",
        json.dumps({"token": TOKEN}),
        json.dumps({"token": TOKEN}, ensure_ascii=False),
        json.dumps({"token": TOKEN}).replace("/", "\\/"),
        json.dumps(json.dumps({"token": TOKEN})),
        json.dumps({"url": URL}),
        # As Go writes it, and .NET.
        json.dumps({"query": QUERY}).replace("&", "\\u0026"),
        json.dumps({"token": TOKEN}).replace("+", "\\u002B").replace("=", "\\u003D"),
        f"<p>{html.escape(TOKEN)}</p>",
        f"<a href='/hook?{html.escape(QUERY)}'>",
        "".join(f"%{byte:02X}" for byte in TOKEN.encode()),
        "".join(f"\\u{ord(char):04x}" for char in TOKEN),
        unquote_plus(QUERY),
        "Authorization: Basic " + base64.b64encode(b"me:pa55word").decode(),
        base64.b64encode(b"me:pa55word").decode(),
        "the password is pa55word",
    ],
)
def test_a_receiver_that_repeats_its_own_address_gives_no_secret_of_it_away(echo: str) -> None:
    head = redacted_head(echo, secrets_in(URL))
    assert "***" in head
    for hidden in ("k1", "pa55word", "bWU6cGE1NXdvcmQ"):
        assert hidden not in head
        assert hidden not in unquote(unquote(head)).replace("\\", "")


@pytest.mark.parametrize(
    ("value", "echo"),
    [
        ("Bearer tok-123456", "the token is tok-123456"),
        ("Basic bWU6cGE1NXdvcmQ=", "me:pa55word is unknown"),
        ("Basic bWU6cGE1NXdvcmQ=", "the password is pa55word"),
        ("Basic bWU6cGE1NXdvcmQ=", '{"credentials": "bWU6cGE1NXdvcmQ="}'),
        ("tok-123456", "no key tok-123456"),
        ("Basic tok-123456", "no key tok-123456"),
    ],
)
def test_a_receiver_that_repeats_a_part_of_a_header_gives_nothing_away(value: str, echo: str) -> None:
    head = redacted_head(echo, secrets_in_header(value))
    assert "***" in head
    assert not any(hidden in head for hidden in ("tok-123456", "pa55word", "bWU6"))


def test_what_stands_around_it_is_kept() -> None:
    answer = json.dumps({"error": "no such path", "path": f"/hook?{QUERY}", "took": "5 ms"})
    shown = '{"error": "no such path", "path": "/hook?***", "took": "5 ms"}'
    assert redacted_head(answer, secrets_in(URL)) == shown


def test_what_webhooks_show_of_the_address_is_no_secret() -> None:
    assert redacted_head("POST https://a.example/hook", secrets_in(URL)) == "POST https://a.example/hook"
    assert secrets_in("https://a.example/hook?v=2") == frozenset()


def test_many_repetitions_hide_one_another() -> None:
    secret = "x1y2z3" * 50
    for start in range(0, 600, 7):
        head = redacted_head("-" * start + f"?token={secret}&" * 100, [secret])
        assert "x1y2z3" not in head


def spelled(draw: st.DrawFn, text: str) -> str:
    """Return the text, with each character in some encoding."""
    forms: list[Callable[[str], str]] = [
        lambda char: char,
        lambda char: "".join(f"%{byte:02x}" for byte in char.encode()),
        lambda char: "".join(f"%25{byte:02X}" for byte in char.encode()),
        lambda char: json.dumps(char)[1:-1],
        lambda char: "".join(f"\\u{unit:04X}" for unit in struct.unpack(f">{len(char.encode('utf-16-be')) // 2}H",
                                                                       char.encode("utf-16-be"))),
        lambda char: f"&#{ord(char)};",
        lambda char: html.escape(char),
    ]  # fmt: skip
    return "".join(draw(st.sampled_from(forms))(char) for char in text)


@given(
    st.data(),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="%\\&"), min_size=6, max_size=20),
)
def test_a_secret_is_found_however_its_characters_are_written(data: st.DataObject, secret: str) -> None:
    answer = f"<{spelled(data.draw, secret)}>"  # type: ignore[arg-type]
    assert redacted_head(answer, [secret]) == "<***>"
