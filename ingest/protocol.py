"""HTTP as some senders write it: a request line with blanks, letters or a `#` that nobody encoded.

A template that is filled without encoding (`datetime=2026-03-01 09:00:00`) gives such lines. The parser refuses them
before anything of trackly sees them, and what was posted would be lost without a trace.
"""

from __future__ import annotations

import re

from inbound.protocol import BoundedProtocol

_request_line = re.compile(rb"([A-Z]{3,7}) (/[^\r\n]*) (HTTP/1\.[01]\r?\n)").match
_not_encoded = re.compile(rb"[^\x21\x22\x24-\x7e]")


class TolerantProtocol(BoundedProtocol):
    """The protocol of a door. Its parser is given request lines that are encoded."""

    def head_of(self, head: bytes) -> bytes:
        """The head, with its request line encoded."""
        return encoded(head)


def encoded(data: bytes) -> bytes:
    """The data, with what does not belong into its request line percent-encoded, if it begins with one."""
    line = _request_line(data)
    if line is None or not _not_encoded.search(line[2]):
        return data
    target = _not_encoded.sub(lambda found: b"%%%02X" % found[0][0], line[2])
    return b"%b %b %b%b" % (line[1], target, line[3], data[line.end() :])
