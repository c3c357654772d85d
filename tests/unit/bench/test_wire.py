"""The bench's own client of HTTP."""

from __future__ import annotations

import asyncio

from bench.wire import connections


async def test_a_client_knows_that_the_server_has_closed_its_connection() -> None:
    close = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await close.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        (client,) = await connections("127.0.0.1", server.sockets[0].getsockname()[1], 1)
        assert not client.is_closed
        close.set()
        async with asyncio.timeout(5):
            while not client.is_closed:
                await asyncio.sleep(0)
