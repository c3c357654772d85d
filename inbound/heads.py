"""The head of a request, before the parser sees it: how much of it there is, and where its body ends. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

_END = re.compile(rb"\r?\n\r?\n")
# Blanks around the value are stripped afterwards: an expression for them takes time by the square of their number.
_FIELD = re.compile(rb"\n(host|content-length|transfer-encoding|upgrade)[ \t]*:([^\r\n]*)", re.IGNORECASE)
_UPGRADE = re.compile(rb"\n(?:upgrade|http2-settings)[ \t]*:[^\n]*(?=\n)", re.IGNORECASE)
_OLD = re.compile(rb" HTTP/1\.0\r?\n")

LONGEST_CHUNK_LINE = 1 << 10

MOST_CHUNKS = 8_192
"""Chunks of one body, and fields behind them. Each costs as much as some hundred bytes of it."""


class BadHead(Exception):
    """A head that is refused: the status of the answer, a code and a text."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class Body(Protocol):
    """A body that is still arriving."""

    def take(self, data: bytes) -> int:
        """How many of these bytes belong to it."""

    @property
    def complete(self) -> bool:
        """Whether its last byte was taken."""


class Sized:
    """A body of a length that was said before; `left` of it is still to come."""

    def __init__(self, length: int) -> None:
        self.left = length

    @property
    def complete(self) -> bool:
        """Whether its last byte was taken."""
        return self.left == 0

    def take(self, data: bytes) -> int:
        """How many of these bytes belong to it."""
        taken = min(self.left, len(data))
        self.left -= taken
        return taken


class Chunked:
    """A body in chunks (RFC 9112 section 7.1). A malformed one has no end: the parser refuses it."""

    def __init__(self) -> None:
        self.complete = False
        self._left = MOST_CHUNKS
        self._line = b""
        self._skip = 0
        self._is_trailer = self._is_broken = False

    def take(self, data: bytes) -> int:
        """How many of these bytes belong to it. Raises BadHead where it has too many chunks."""
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
            raise BadHead(413, "too_many_chunks", f"A body may have {MOST_CHUNKS:,} chunks, fields behind it included.")
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
    """A head for the parser, without what asks for another protocol, and the body that follows it, if any."""

    text: bytes
    body: Body | None


def end_of_head(data: bytes, start: int = 0) -> int | None:
    """Where the head ends that these bytes begin with, None if it is not all there. Before `start` it does not end."""
    found = _END.search(data, max(0, start - 3))
    return None if found is None else found.end()


def read_head(text: bytes, most_fields: int) -> Head:
    """What follows from a whole head. Raises BadHead.

    A server may ignore Upgrade (RFC 9110 section 7.8), but then it answers the request, all of it. The parser would
    stop at the head and the body would be lost.
    """
    if text.count(b"\n") - 2 > most_fields:
        raise BadHead(431, "too_many_headers", f"A request may have {most_fields} header fields.")
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
        raise BadHead(400, "bad_host", "A request has one Host field.")
    if coding and coding != b"chunked":
        raise BadHead(501, "unknown_coding", "The only transfer coding that is read is chunked.")
    if asks_for_upgrade:
        text = _UPGRADE.sub(b"", text)
    if coding:
        return Head(text, Chunked())
    # What is not a length is the parser's to refuse.
    size = int(length) if length.isdigit() and len(length) <= 15 else 0
    return Head(text, Sized(size) if size else None)
