"""Posts delivery reports, one per request, at a rate or as fast as they are answered; records when each was sent.

python -m bench.loader PORT ACCOUNTS COUNT RATE CONNECTIONS OUT
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import uvloop

from bench.wire import Client, connections


def request(port: int, account: str, number: int) -> bytes:
    """Return an Infobip callback with one report, whose body has a realistic 600 bytes or so."""
    recipient = 15_550_000_000 + number % 50_000
    body = json.dumps(
        {
            "results": [
                {
                    "bulkId": "BULK-1",
                    "price": {"pricePerMessage": 0.0075, "currency": "USD"},
                    "status": {
                        "groupId": 3,
                        "groupName": "DELIVERED",
                        "id": 5,
                        "name": "DELIVERED_TO_HANDSET",
                        "description": "Message delivered to handset",
                    },
                    "error": {
                        "groupId": 0,
                        "groupName": "OK",
                        "id": 0,
                        "name": "NO_ERROR",
                        "description": "No Error",
                        "permanent": False,
                    },
                    "messageId": f"bench-{number}",
                    "to": str(recipient),
                    "sender": "18005551234",
                    "sentAt": "2026-11-20T10:15:30.000+0000",
                    "doneAt": "2026-11-20T10:15:32.120+0000",
                    "messageCount": 1,
                    "mccMnc": "310260",
                }
            ]
        },
        separators=(",", ":"),
    ).encode()
    return (
        f"POST /api/webhook-feedbacks/infobip?account={account} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nUser-Agent: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def load(port: int, accounts: list[str], first: int, count: int, rate: float, width: int) -> dict[str, int]:
    """Post reports `first` to `first + count - 1`; returns the time each was sent (monotonic ns) if answered 200."""
    idle = await connections("127.0.0.1", port, width)
    free = asyncio.Semaphore(width)
    sent: dict[str, int] = {}
    refused = 0

    async def one(client: Client, number: int) -> None:
        nonlocal refused
        if client.is_closed:
            (client,) = await connections("127.0.0.1", port, 1)
        at = time.monotonic_ns()
        status = await client.post(request(port, accounts[number % len(accounts)], number))
        if status == 200:
            sent[f"bench-{number}"] = at
        else:
            refused += 1
        idle.append(client)
        free.release()

    started = time.monotonic()
    tasks: set[asyncio.Task[None]] = set()
    for number in range(first, first + count):
        if rate:
            wait = started + (number - first) / rate - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
        await free.acquire()
        task = asyncio.create_task(one(idle.popleft(), number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    if refused:
        print(f"{refused} callbacks were refused", file=sys.stderr)
    return sent


def main() -> None:
    """Run; see the module's docstring."""
    port, accounts, first, count, rate, width, out = sys.argv[1:]
    sent = uvloop.run(load(int(port), accounts.split(","), int(first), int(count), float(rate), int(width)))
    Path(out).write_text(json.dumps(sent))


if __name__ == "__main__":
    main()
