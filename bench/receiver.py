"""Takes webhooks and writes down when each arrived. One port answers at once, the other never does.

    python -m bench.receiver PORT DEAD_PORT OUT

Writes a line `message_id nanoseconds` per webhook to OUT; ends on SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from bench.wire import Server

_KEY = b'"message_id":"'
QUOTE = b'"'


class Silent(asyncio.Protocol):
    """Takes connections and never answers."""


async def receive(port: int, dead_port: int, out: Path) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, done.set)
    with out.open("w") as lines:

        def told(head: bytes, body: bytes, at: int) -> None:
            start = body.find(_KEY) + len(_KEY)
            lines.write(f"{body[start : body.find(QUOTE, start)].decode()} {at}\n")

        await loop.create_server(lambda: Server(told), "127.0.0.1", port)
        await loop.create_server(Silent, "127.0.0.1", dead_port)
        while not done.is_set():
            lines.flush()
            await asyncio.wait([asyncio.ensure_future(done.wait())], timeout=0.25)


def main() -> None:
    """See the module's text."""
    uvloop.run(receive(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))


if __name__ == "__main__":
    main()
