#!/usr/bin/env bash
# A password may hold a colon (RFC 7617: only the user's name may not), generated API secrets do. In
# python-schema-registry-client 2.6.1 with httpx 0.28.1 there are two ways to give one to a schema registry. As
# `basic.auth.user.info` it is split at every colon, and the client cannot be made (TypeError); in the URL, where a colon
# must be written %3A, the client sends the three characters %3A as they stand, and the registry refuses it.
# confluent-kafka 2.16.1 takes both (its source).
#
# Seen: USER_INFO "reader:pass:word": TypeError; URL "reader:pass%3Aword": the registry is given "pass%3Aword".
# What to do: give the client httpx's own `auth=BasicAuth(user, password)`.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check python-schema-registry-client==2.6.1 httpx==0.28.1
cat > seen.py <<'PYTHON'
import base64
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
from schema_registry.client import SchemaRegistryClient

given = []


class Registry(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        given.append(base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode())
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_args: object) -> None: ...


server = HTTPServer(("127.0.0.1", 0), Registry)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"127.0.0.1:{server.server_port}"


def asked(*args: object, **options: object) -> str:
    try:
        SchemaRegistryClient(*args, **options).get_subjects()
    except TypeError as error:
        return type(error).__name__
    return given[-1]


seen = [
    asked(
        {
            "url": f"http://{address}",
            "basic.auth.credentials.source": "USER_INFO",
            "basic.auth.user.info": "reader:pass:word",
        }
    ),
    asked(f"http://reader:pass%3Aword@{address}"),
    asked(f"http://{address}", auth=httpx.BasicAuth("reader", "pass:word")),
]
print("USER_INFO: %s; URL: %s; BasicAuth: %s" % tuple(seen))
sys.exit(seen != ["TypeError", "reader:pass%3Aword", "reader:pass:word"])
PYTHON
venv/bin/python seen.py 2>/dev/null
