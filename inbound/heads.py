"""Inspects a request's head before the parser does: bounds its size and finds where the body ends. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

_END = re.compile(rb"\r?\n\r?\n")
# Spaces around the value are stripped afterwards: a regex for them takes time quadratic in their number.
_FIELD = re.compile(rb"\n(host|content-length|transfer-encoding|upgrade)[ \t]*:([^\r\n]*)", re.IGNORECASE)
_UPGRADE = re.compile(rb"\n(?:upgrade|http2-settings)[ \t]*:[^\n]*(?=\n)", re.IGNORECASE)
_OLD = re.compile(rb" HTTP/1\.0\r?\n")

LONGEST_CHUNK_LINE = 1 << 10

MOST_CHUNKS = 8_192
"""Maximum chunks of one body, trailer fields included. Each costs as much as a few hundred bytes of body."""


class BadHead(Exception):
    """A refused head: the status of the answer, a code, and a text."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class Body(Protocol):
    """A body that is still arriving."""

    def take(self, data: bytes) -> int:
        """Return how many of these bytes belong to the body."""

    @property
    def complete(self) -> bool:
        """Whether the last byte has been taken."""


class Sized:
    """A body with a declared length; `left` bytes are still to come."""

    def __init__(self, length: int) -> None:
        self.left = length

    @property
    def complete(self) -> bool:
        """Whether the last byte has been taken."""
        return self.left == 0

    def take(self, data: bytes) -> int:
        """Return how many of these bytes belong to the body."""
        taken = min(self.left, len(data))
        self.left -= taken
        return taken


class Chunked:
    """A chunked body (RFC 9112 section 7.1). A malformed one never ends: the parser rejects it."""

    def __init__(self) -> None:
        self.complete = False
        self._left = MOST_CHUNKS
        self._line = b""
        self._skip = 0
        self._is_trailer = self._is_broken = False

    def take(self, data: bytes) -> int:
        """Return how many of these bytes belong to the body. Raises BadHead if it has too many chunks."""
        at = 0
        while at < len(data) and not self.complete:
            if self._is_broken:
                return len(data)
            if self._skip:
                skipped = min(self._skip, len(data) - at)
                self._skip -= skipped
                at += skipped
                continue
            end = data.find(b"\n", at)
            self._line += data[at:] if end < 0 else data[at : end + 1]
            at = len(data) if end < 0 else end + 1
            if len(self._line) > LONGEST_CHUNK_LINE:
                self._is_broken = True
            elif end >= 0:
                self._end_line()
        return at

    def _end_line(self) -> None:
        line, self._line = self._line.strip(), b""
        self._left -= 1
        if self._left < 0:
            raise BadHead(
                413, "too_many_chunks", f"A body may have at most {MOST_CHUNKS:,} chunks, trailer fields included."
            )
        if self._is_trailer:
            self.complete = not line
            return
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            self._is_broken = True
            return
        self._is_trailer = size == 0
        self._skip = size + 2 if size > 0 else 0  # with its CRLF


class Head(NamedTuple):
    """A head for the parser, with protocol upgrades removed, and the body that follows it, if any."""

    text: bytes
    body: Body | None


def end_of_head(data: bytes, start: int = 0) -> int | None:
    """Return where the head at the start of these bytes ends, or None if it is incomplete. It does not end before
    `start`."""
    found = _END.search(data, max(0, start - 3))
    return None if found is None else found.end()


def read_head(text: bytes, most_fields: int) -> Head:
    """Check and rewrite a complete head. Raises BadHead.

    A server may ignore Upgrade (RFC 9110 section 7.8), but must then answer the whole request. The parser would stop at
    the head and lose the body.
    """
    if text.count(b"\n") - 2 > most_fields:
        raise BadHead(431, "too_many_headers", f"A request may have at most {most_fields} header fields.")
    hosts, length, coding, asks_for_upgrade = 0, b"", b"", False
    for name, value in _FIELD.findall(text):
        match name.lower():
            case b"host":
                hosts += 1
            case b"content-length":
                length = value.strip(b" \t")
            case b"transfer-encoding":
                coding = b", ".join(filter(None, (coding, value.strip(b" \t").lower())))
            case _:
                asks_for_upgrade = True
    if hosts != 1 and (hosts or not _OLD.search(text)):
        raise BadHead(400, "bad_host", "A request must have exactly one Host field.")
    if coding and coding != b"chunked":
        raise BadHead(501, "unknown_coding", "The only supported transfer coding is chunked.")
    if asks_for_upgrade:
        text = _UPGRADE.sub(b"", text)
    if coding:
        return Head(text, Chunked())
    # Leave an invalid length to the parser, which rejects it.
    size = int(length) if length.isdigit() and len(length) <= 15 else 0
    return Head(text, Sized(size) if size else None)
