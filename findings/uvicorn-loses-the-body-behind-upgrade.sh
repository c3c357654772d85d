#!/usr/bin/env bash
# A client may ask for another protocol while it sends a whole HTTP/1.1 request (RFC 9110, 7.8), and a server may ignore
# the wish. Java's own HttpClient at its defaults does so on plain http: `Upgrade: h2c` with every first POST.
# uvicorn 0.54.0 on httptools 0.9.0 gives such a request to the application with an empty body, whatever its
# Content-Length says; on h11 the body comes whole. The application cannot tell, and answers 200.
#
# Seen: h11 "8 bytes"; httptools "0 bytes", both with status 200; without the header both "8 bytes".
# What to do: h11, or a protocol class that handles the request as plain HTTP/1.1.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0
cat > seen.py <<'PYTHON'
import re
import socket
import sys
import threading

import uvicorn


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d bytes" % len(body)})


def ask(http: str, wish: bytes) -> str:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=http, log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    with socket.create_connection(listening.getsockname(), timeout=10) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n" + wish + b"Content-Length: 8\r\n\r\n12345678")
        answer = b""
        while b" bytes" not in answer and (more := client.recv(4096)):
            answer += more
    server.should_exit = True
    thread.join(10)
    status, count = answer.split()[1], re.search(rb"[0-9] bytes", answer)
    return f"{status.decode()} {count[0].decode() if count else 'nothing'}"


wish = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
seen = {http: (ask(http, b""), ask(http, wish)) for http in ("h11", "httptools")}
for http, (plain, wished) in seen.items():
    print(f"{http}: {plain}; with Upgrade: {wished}")
sys.exit(seen != {"h11": ("200 8 bytes", "200 8 bytes"), "httptools": ("200 8 bytes", "200 0 bytes")})
PYTHON
timeout 60 venv/bin/python seen.py
