from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sink_parts import SECRET

from outbound.redaction import KEPT, redacted_head, without_query
from outbound.signing import Signer


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
