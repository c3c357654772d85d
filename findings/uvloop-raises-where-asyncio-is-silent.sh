#!/usr/bin/env bash
# Writing to a connection that the peer has reset: asyncio's StreamWriter.write says nothing. uvloop 0.23.0 raises
# RuntimeError ("unable to perform operation on <TCPTransport closed=True ...>; the handler is closed"), no OSError.
# Asking `reader.at_eof()` before does not help: after a reset it stays False on both, `reader.exception()` tells.
# A client that expects OSError around its write, as aiokafka 0.14.0 does, lets the RuntimeError through; where it leaves
# a background task, that task ends and nobody is told.
#
# Seen, in 20 connections each: asyncio no exception; uvloop RuntimeError; at_eof() False on both.
# What to do: take a RuntimeError of a write for a lost connection.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uvloop==0.23.0
cat > seen.py <<'PYTHON'
import asyncio
import socket
import struct
import sys

import uvloop


async def reset(reader, writer):
    await reader.readexactly(1)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def write_on(port):
    """What a write raised, and what the reader says then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for _ in range(1_000):
            writer.write(b"x")
            await asyncio.sleep(0)
        return f"nothing, at_eof {reader.at_eof()}"
    except Exception as error:
        return f"{type(error).__name__}, at_eof {reader.at_eof()}"
    finally:
        writer.close()


async def seen():
    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = {await write_on(port) for _ in range(20)}
    server.close()
    return found


found = {"asyncio": asyncio.run(seen()), "uvloop": uvloop.run(seen())}
for loop, raised in found.items():
    print(f"{loop}: {', '.join(sorted(raised))}")
sys.exit(found != {"asyncio": {"nothing, at_eof False"}, "uvloop": {"RuntimeError, at_eof False"}})
PYTHON
timeout 60 venv/bin/python seen.py
