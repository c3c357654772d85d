"""Decode compressed bodies (RFC 9110 section 8.4.1): gzip and deflate. Pure."""

from __future__ import annotations

import zlib

MOST_LAYERS = 2

MOST_MEMBERS = 16
"""Maximum members of a gzip body. After each one, the rest of the body is copied."""

_PADDING = b"\x00\r\n"
"""What may follow the last member: zeros, as gzip itself skips them, or a line break of the sender."""

_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS


class NotDecodable(Exception):
    """The body does not match its Content-Encoding, or the coding is not supported."""


class TooLong(Exception):
    """The decoded body exceeds the limit."""


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the body without its content codings, at most `limit` bytes. Raises NotDecodable, TooLong."""
    layers = [name for name in (part.strip().lower() for part in encoding.split(",")) if name not in ("", "identity")]
    if len(layers) > MOST_LAYERS or any(name not in ("gzip", "x-gzip", "deflate") for name in layers):
        raise NotDecodable(encoding)
    for name in reversed(layers):
        try:
            body = _inflated(body, _ZLIB_OR_GZIP, limit)
        except zlib.error as error:
            if name != "deflate":
                raise NotDecodable(str(error)) from None
            body = _raw(body, limit)  # some senders omit the zlib wrapper
    return body


def _raw(body: bytes, limit: int) -> bytes:
    try:
        return _inflated(body, -zlib.MAX_WBITS, limit)
    except zlib.error as error:
        raise NotDecodable(str(error)) from None


def _inflated(body: bytes, window: int, limit: int) -> bytes:
    whole = bytearray()
    for _ in range(MOST_MEMBERS):
        if not body:
            return bytes(whole)
        inflater = zlib.decompressobj(window)
        whole += inflater.decompress(body, limit - len(whole) + 1)
        if len(whole) > limit:
            raise TooLong
        if not inflater.eof:
            raise NotDecodable("the body is truncated")
        body = inflater.unused_data  # gzip may have several members
        if not body.strip(_PADDING):
            return bytes(whole)
    if body:
        raise NotDecodable("the body has too many members")
    return bytes(whole)
