"""Tolerates malformed request lines: unencoded spaces, letters, or a `#`.

Some senders fill in a template without encoding the values (`datetime=2026-03-01 09:00:00`). The parser rejects such a
line before trackly sees it, so the callback would be lost without a trace.
"""

from __future__ import annotations

import re

from inbound.protocol import BoundedProtocol

_request_line = re.compile(rb"([A-Z]{3,7}) (/[^\r\n]*) (HTTP/1\.[01]\r?\n)").match
_not_encoded = re.compile(rb"[^\x21\x22\x24-\x7e]")


class TolerantProtocol(BoundedProtocol):
    """A protocol that encodes request lines before the parser sees them."""

    def head_of(self, head: bytes) -> bytes:
        """Return the head with its request line encoded."""
        return encoded(head)


def encoded(data: bytes) -> bytes:
    """Percent-encode what is invalid in the request line, if the data begins with one."""
    line = _request_line(data)
    if line is None or not _not_encoded.search(line[2]):
        return data
    target = _not_encoded.sub(lambda found: b"%%%02X" % found[0][0], line[2])
    return b"%b %b %b%b" % (line[1], target, line[3], data[line.end() :])
