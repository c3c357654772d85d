"""What a request's head determines, and where its body ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbound.heads import MOST_CHUNKS, BadHead, Body, Chunked, Sized, end_of_head, read_head

LINE = b"POST /x HTTP/1.1\r\n"
HOST = b"Host: a\r\n"


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (LINE + HOST + b"\r\n", 29),
        (LINE + HOST + b"\r\nbody", 29),
        (b"GET / HTTP/1.1\nHost: a\n\nrest", 24),
        (LINE + HOST, None),
        (LINE + HOST + b"\r", None),
        (b"", None),
    ],
)
def test_where_a_head_ends(data: bytes, end: int | None) -> None:
    assert end_of_head(data) == end
    assert end_of_head(data, start=len(data) - 1) == end or end is not None


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        (b"", 400, "bad_host"),
        (HOST * 2, 400, "bad_host"),
        (b"Host: a\r\nhost : b\r\n", 400, "bad_host"),
        (HOST + b"Transfer-Encoding: gzip, chunked\r\n", 501, "unknown_coding"),
        (HOST + b"transfer-encoding: identity\r\n", 501, "unknown_coding"),
        (HOST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501, "unknown_coding"),
        (HOST + b"X: y\r\n" * 20, 431, "too_many_headers"),
    ],
)
def test_what_is_refused_by_its_head(fields: bytes, status: int, code: str) -> None:
    with pytest.raises(BadHead) as bad:
        read_head(LINE + fields + b"\r\n", 20)
    assert (bad.value.status, bad.value.code) == (status, code)


def test_http_1_0_needs_no_host() -> None:
    assert read_head(b"GET / HTTP/1.0\r\n\r\n", 20).body is None


@pytest.mark.parametrize(
    "fields",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP\r\n",
        b"connection: upgrade\r\nupgrade:websocket\r\n",
        b"UPGRADE : h2c\r\nX: y\r\n",
    ],
)
def test_what_asks_for_another_protocol_is_left_out(fields: bytes) -> None:
    head = read_head(LINE + HOST + fields + b"Content-Length: 3\r\n\r\n", 20)
    assert b"upgrade:" not in head.text.lower().replace(b" ", b"")
    assert head.text.startswith(LINE + HOST)
    assert head.text.endswith(b"\r\n\r\n")
    assert isinstance(head.body, Sized)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (b"", type(None)),
        (b"Content-Length: 0\r\n", type(None)),
        (b"Content-Length: 5\r\n", Sized),
        (b"content-length:5 \r\n", Sized),
        (b"Transfer-Encoding: Chunked\r\n", Chunked),
        (b"X-Content-Length: 5\r\n", type(None)),
        (b"Content-Length: five\r\n", type(None)),
    ],
)
def test_what_body_follows_a_head(fields: bytes, kind: type) -> None:
    head = read_head(LINE + HOST + fields + b"\r\n", 20)
    assert isinstance(head.body, kind)
    assert head.text == LINE + HOST + fields + b"\r\n"


def taken(body: Body, data: bytes, sizes: list[int]) -> int:
    """Return how many bytes of the data belong to a body that arrives in pieces of these sizes."""
    at = 0
    for size in [*sizes, len(data)]:
        part = data[at : at + size]
        if not part or body.complete:
            break
        took = body.take(part)
        at += took
        if took < len(part):
            break
    return at


PIECES = st.lists(st.integers(1, 9), max_size=40)


@given(length=st.integers(1, 60), after=st.binary(max_size=20), pieces=PIECES)
def test_a_body_of_a_length_takes_that_much(length: int, after: bytes, pieces: list[int]) -> None:
    body = Sized(length)
    assert taken(body, b"x" * length + after, pieces) == length
    assert body.complete


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    trailer=st.sampled_from([b"", b"X: y\r\n"]),
    extension=st.sampled_from([b"", b";a=b"]),
    pieces=PIECES,
)
def test_a_body_in_chunks_ends_behind_its_trailer(
    chunks: list[bytes], trailer: bytes, extension: bytes, pieces: list[int]
) -> None:
    sent = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    sent += b"0\r\n" + trailer + b"\r\n"
    body = Chunked()
    assert taken(body, sent + b"POST /next", pieces) == len(sent)
    assert body.complete


@pytest.mark.parametrize("sent", [b"no size\r\n", b"5" * 2_000, b"5;" + b"x" * 2_000])
def test_malformed_chunks_have_no_end(sent: bytes) -> None:
    body = Chunked()
    assert body.take(sent) == len(sent)
    assert body.take(b"0\r\n\r\n") == 5
    assert not body.complete


@pytest.mark.parametrize("sent", [b"1\r\nx\r\n" * (MOST_CHUNKS + 1), b"0\r\n" + b"a: b\r\n" * MOST_CHUNKS])
def test_a_body_of_too_many_chunks_or_fields_behind_them_is_refused(sent: bytes) -> None:
    with pytest.raises(BadHead) as bad:
        Chunked().take(sent)
    assert (bad.value.status, bad.value.code) == (413, "too_many_chunks")


def test_as_many_chunks_as_allowed_are_taken() -> None:
    body = Chunked()
    sent = b"1\r\nx\r\n" * (MOST_CHUNKS - 2) + b"0\r\n\r\n"
    assert body.take(sent) == len(sent)
    assert body.complete
