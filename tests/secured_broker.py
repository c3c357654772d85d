"""An embedded Kafka that authenticates users and permits only what an access rule (ACL) allows.

Besides the listener of every embedded Kafka, through which tests may do everything, it has one with SASL: users with a
password (PLAIN), and users named in an unsigned token (OAUTHBEARER; Kafka's own validator for development).
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from bus.embedded.broker import HOST, EmbeddedKafka, free_port

PASSWORD = "a password of every user"

_AUTHORIZER_LOG = "-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=info"
_DENIED = re.compile(r"Principal = User:(\S+) is Denied operation = (\w+) from host = \S+ on resource = (\S+)")


class SecuredKafka(EmbeddedKafka):
    """`sasl_servers` are the bootstrap servers for users; `denied` returns what they were refused."""

    def __init__(self, data_dir: Path, users: Sequence[str]) -> None:
        super().__init__(data_dir, jvm_options=("-Xmx512m", "-XX:+UseSerialGC", _AUTHORIZER_LOG))
        self._users = users
        self.sasl_servers = f"{HOST}:{free_port()}"

    def denied(self) -> set[tuple[str, str, str]]:
        """Return user, operation, and resource of every refusal so far."""
        return set(_DENIED.findall(self.log_path.read_text("utf-8", errors="replace")))

    def _properties(self, port: int, controller: int) -> str:
        properties = super()._properties(port, controller)
        users = " ".join(f'user_{user}="{PASSWORD}"' for user in self._users)
        for name, more in (
            ("listeners", f",USERS://{self.sasl_servers}"),
            ("advertised.listeners", f",USERS://{self.sasl_servers}"),
            ("listener.security.protocol.map", ",USERS:SASL_PLAINTEXT"),
        ):
            properties = re.sub(rf"^({re.escape(name)}=.*)$", rf"\1{more}", properties, flags=re.MULTILINE)
        module = "org.apache.kafka.common.security"
        return properties + (
            "listener.name.users.sasl.enabled.mechanisms=PLAIN,OAUTHBEARER\n"
            f"listener.name.users.plain.sasl.jaas.config={module}.plain.PlainLoginModule required {users};\n"
            "listener.name.users.oauthbearer.sasl.jaas.config="
            f'{module}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";\n'
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
            "super.users=User:ANONYMOUS\n"
            "allow.everyone.if.no.acl.found=false\n"
        )


class Issuer:
    """A token issuer's received requests, and its answer: a token for the requesting client."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.life = 300
        self.asked: list[tuple[str, dict[str, str]]] = []


@contextmanager
def token_issuer() -> Iterator[Issuer]:
    """Yield an issuer on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            form = {key: values[0] for key, values in parse_qs(self.rfile.read(length).decode()).items()}
            known_by = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
            issuer.asked.append((known_by, form))
            body = json.dumps({"access_token": unsecured(known_by.partition(":")[0]), "expires_in": issuer.life})
            self.send_response(issuer.status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = Issuer(f"http://127.0.0.1:{server.server_port}/token")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()


def unsecured(user: str, life: float = 300.0) -> str:
    """Return an unsigned token (RFC 7515, appendix A.5)."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": user, "iat": now, "exp": now + life})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."
