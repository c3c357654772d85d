"""Compressed bodies are read within a limit."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbound.codings import MOST_MEMBERS, NotDecodable, TooLong, decoded

BODY = b'{"results": []}' * 10


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("sent", "coding"),
    [
        (BODY, ""),
        (BODY, "identity"),
        (gzip.compress(BODY, mtime=0), "gzip"),
        (gzip.compress(BODY, mtime=0), "GZip"),
        (gzip.compress(BODY, mtime=0), "x-gzip"),
        (gzip.compress(BODY[:20], mtime=0) + gzip.compress(BODY[20:], mtime=0), "gzip"),
        (gzip.compress(b"", mtime=0) * (MOST_MEMBERS - 1) + gzip.compress(BODY, mtime=0), "gzip"),
        (zlib.compress(BODY), "deflate"),
        (raw_deflate(BODY), "deflate"),
        (gzip.compress(zlib.compress(BODY), mtime=0), "deflate, gzip"),
        (gzip.compress(BODY, mtime=0) + bytes(8), "gzip"),
        (gzip.compress(BODY, mtime=0) + b"\r\n", "gzip"),
        (zlib.compress(BODY) + b"\n", "deflate"),
    ],
)
def test_a_body_is_what_it_was_before_it_was_compressed(sent: bytes, coding: str) -> None:
    assert decoded(sent, coding, 1_000) == BODY


@pytest.mark.parametrize(
    ("sent", "coding"),
    [
        (BODY, "gzip"),
        (BODY, "deflate"),
        (gzip.compress(BODY, mtime=0)[:-4], "gzip"),
        (gzip.compress(BODY, mtime=0) + b"more", "gzip"),
        (gzip.compress(b"", mtime=0) * MOST_MEMBERS + gzip.compress(BODY, mtime=0), "gzip"),
        (BODY, "br"),
        (gzip.compress(gzip.compress(gzip.compress(BODY, mtime=0), mtime=0), mtime=0), "gzip, gzip, gzip"),
    ],
)
def test_what_is_not_what_it_says_is_refused(sent: bytes, coding: str) -> None:
    with pytest.raises(NotDecodable):
        decoded(sent, coding, 1_000)


def test_an_empty_body_has_no_coding() -> None:
    assert decoded(b"", "gzip", 10) == b""


def test_no_more_is_unpacked_than_allowed() -> None:
    sent = gzip.compress(b"0" * 1_000_000)
    with pytest.raises(TooLong):
        decoded(sent, "gzip", 999_999)
    assert len(decoded(sent, "gzip", 1_000_000)) == 1_000_000


def test_members_count_together() -> None:
    with pytest.raises(TooLong):
        decoded(gzip.compress(b"0" * 600) * 2, "gzip", 1_000)


@given(sent=st.binary(max_size=200), coding=st.sampled_from(["gzip", "deflate", "gzip, deflate"]))
def test_whatever_comes_it_is_decoded_or_refused(sent: bytes, coding: str) -> None:
    try:
        assert len(decoded(sent, coding, 100)) <= 100
    except (NotDecodable, TooLong):
        pass
