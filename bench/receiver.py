"""Customers' endpoints, good and bad. The path determines the behavior; every received webhook is recorded.

    python -m bench.receiver PORT OUT

/ok/NAME answers at once; /slow/NAME after 4.9 s; /hole/NAME never; /reset/NAME resets the connection; /big/NAME
sends 10 MB; /flaky/NAME answers 503 to every third request. Writes a line
`NAME webhook-id message-id nanoseconds status crc` for each webhook to OUT (status 0: not answered, message id `-`:
none in the body); ends on SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import zlib
from collections.abc import Callable
from itertools import count
from pathlib import Path

import uvloop

from bench.wire import NO_CONTENT, Server

SLOW = 4.9
_BIG = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 10_000_000
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
_WEBHOOK_ID = b"\r\nwebhook-id: "
_MESSAGE_ID = b'"message_id":"'


class Endpoint(Server):
    """One connection."""

    def __init__(self, write_down: Callable[[str], object], numbers: count[int]) -> None:
        super().__init__(lambda head, body, at: None)
        self._write_down = write_down
        self._numbers = numbers

    def took(self, head: bytes, body: bytes, at: int) -> None:
        """Behave according to the path."""
        kind, name = head.split(b" ", 2)[1].decode().split("/")[1:3]
        status = 204
        match kind:
            case "slow":
                asyncio.get_running_loop().call_later(SLOW, self.write, NO_CONTENT)
            case "reset":
                status = 0
                if self.transport is not None:
                    self.transport.abort()
            case "big":
                self.write(_BIG)
            case "hole":
                status = 0
            case "flaky" if next(self._numbers) % 3 == 0:
                status = 503
                self.write(_UNAVAILABLE)
            case _:
                self.write(NO_CONTENT)
        webhook_id = _between(head + b"\r\n", _WEBHOOK_ID, b"\r\n")
        message_id = _between(body, _MESSAGE_ID, b'"')
        self._write_down(f"{name} {webhook_id} {message_id} {at} {status} {zlib.crc32(body)}\n")


def _between(text: bytes, before: bytes, after: bytes) -> str:
    start = text.find(before)
    if start < 0:
        return "-"
    start += len(before)
    return text[start : text.find(after, start)].decode()


async def serve(port: int, out: Path) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, done.set)
    numbers = count()
    with out.open("w") as lines:
        await loop.create_server(lambda: Endpoint(lines.write, numbers), "127.0.0.1", port, backlog=1_024)
        while not done.is_set():
            lines.flush()
            await asyncio.wait([asyncio.ensure_future(done.wait())], timeout=0.25)


def main() -> None:
    """Run; see the module's docstring."""
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))


if __name__ == "__main__":
    main()
