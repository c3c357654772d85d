"""The proxies of docs/recipes/proxies, started unchanged except for ports and certificates, in front of two doors:
everything necessary passes, and logs contain no secrets. A proxy that is not installed is skipped.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bus.embedded.broker import free_port
from inbound.protocol import Limits, bounded
from ingest.protocol import TolerantProtocol, encoded
from tests.http_servers import served
from tests.patience import PATIENCE

RECIPES = Path("docs/recipes/proxies")
SMS, CONSOLE = "sms.example.com", "console.example.com"
SECRET = "s3cret-of-the-url"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the received request; 413 above 4 MiB, like trackly, without reading further."""
    size, more, status = 0, True, 200
    while more and status == 200:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
        status = 200 if size <= 4 << 20 else 413
    seen = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    target = f"{scope['raw_path'].decode('latin-1')}?{scope['query_string'].decode('latin-1')}"
    body = json.dumps({"target": target, "size": size, "headers": seen}).encode()
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("NOT TESTED: openssl is not installed")
    certificate, key = (tmp_path_factory.mktemp("tls") / name for name in ("cert.pem", "key.pem"))
    names = f"subjectAltName=DNS:{SMS},DNS:{CONSOLE}"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    command += ["-addext", names, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def nginx(directory: Path, port: int, ports: tuple[int, int], tls: tuple[Path, Path]) -> list[str]:
    text = (RECIPES / "nginx.conf").read_text("utf-8").replace("listen 443", f"listen 127.0.0.1:{port}")
    for name in ("sms", "console"):
        text = text.replace(f"/etc/ssl/trackly/{name}.pem", str(tls[0])).replace(
            f"/etc/ssl/trackly/{name}.key", str(tls[1])
        )
    temporary = "".join(
        f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    events = f"daemon off;\npid {directory}/pid;\nerror_log {directory}/start.log;\nevents {{}}\n"
    if os.geteuid() == 0:
        events = f"user root;\n{events}"
    text = text.replace("/var/log/nginx", str(directory))
    (directory / "nginx.conf").write_text(f"{events}http {{\n{temporary}{with_ports(text, ports)}}}\n", "utf-8")
    return ["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")]


def caddy(directory: Path, port: int, ports: tuple[int, int], tls: tuple[Path, Path]) -> list[str]:
    text = (RECIPES / "Caddyfile").read_text("utf-8")
    text = text.replace("{\n\tservers {", "{\n\tadmin off\n\tauto_https off\n\tservers {", 1)
    text = text.replace("\tlog {", f"\tlog {{\n\t\toutput file {directory}/caddy.log", 1)
    for name in (SMS, CONSOLE):
        text = text.replace(f"\n{name} {{", f"\nhttps://{name}:{port} {{\n\tbind 127.0.0.1\n\ttls {tls[0]} {tls[1]}", 1)
    (directory / "Caddyfile").write_text(with_ports(text, ports), "utf-8")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(directory / "Caddyfile")]


def with_ports(text: str, ports: tuple[int, int]) -> str:
    return text.replace("127.0.0.1:8080", f"127.0.0.1:{ports[0]}").replace("127.0.0.1:8081", f"127.0.0.1:{ports[1]}")


Start = Callable[[Path, int, tuple[int, int], tuple[Path, Path]], list[str]]
PROXIES: dict[str, Start] = {"nginx": nginx, "caddy": caddy}


class Proxy:
    """A running proxy, and the directory with its logs."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port

    def ask(self, host: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with ssl_connection(self.port, host, context) as connection:
            connection.request(method, path, body, {"Host": host, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def seen(self, path: str, body: bytes = b"", **headers: str) -> Any:
        """Return the request as received by ingest."""
        status, answer = self.ask(SMS, "POST", path, body, **headers)
        assert status == 200, answer
        return json.loads(answer)

    def raw(self, target: bytes) -> tuple[int, bytes]:
        """Send a target byte by byte as it is."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with ssl_connection(self.port, SMS, context) as connection:
            connection.connect()
            connection.sock.sendall(b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, SMS.encode()))
            answer = http.client.HTTPResponse(connection.sock)
            answer.begin()
            return answer.status, answer.read()

    def logs(self) -> str:
        logs = [*self.directory.glob("*.log"), self.directory / "said.txt"]
        return "".join(path.read_text("utf-8", "replace") for path in logs)


class ssl_connection:
    """An HTTPS connection to loopback under another name."""

    def __init__(self, port: int, host: str, context: ssl.SSLContext) -> None:
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=context)
        self._connection.connect = self._connect  # type: ignore[method-assign]
        self._host, self._context = host, context

    def _connect(self) -> None:
        http.client.HTTPConnection.connect(self._connection)
        self._connection.sock = self._context.wrap_socket(self._connection.sock, server_hostname=self._host)

    def __enter__(self) -> http.client.HTTPSConnection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


@contextmanager
def started(name: str, directory: Path, ports: tuple[int, int], tls: tuple[Path, Path]) -> Iterator[Proxy]:
    if shutil.which(name) is None:
        pytest.skip(f"NOT TESTED: {name} is not installed")
    found = Proxy(directory, free_port())
    command = PROXIES[name](directory, found.port, ports, tls)
    said = directory / "said.txt"
    with said.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment(directory))
    try:
        deadline = time.monotonic() + PATIENCE
        while not is_up(found):
            assert process.poll() is None, said.read_text("utf-8", "replace")
            assert time.monotonic() < deadline, said.read_text("utf-8", "replace")
            time.sleep(0.05)
        yield found
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture(scope="module", params=PROXIES)
def proxy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]
) -> Iterator[Proxy]:
    tolerant, strict = bounded(Limits(), TolerantProtocol), bounded(Limits())
    with served(echo, http=tolerant, ws="none") as ingest, served(echo, http=strict, ws="none") as console:
        ports = (urlsplit(ingest).port or 0, urlsplit(console).port or 0)
        with started(request.param, tmp_path_factory.mktemp(request.param), ports, certificate) as found:
            yield found


def environment(directory: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(directory), "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}


def is_up(proxy: Proxy) -> bool:
    try:
        return proxy.ask(SMS, "GET", "/")[0] == 404
    except OSError:
        return False


def test_the_url_arrives_as_it_was_sent(proxy: Proxy) -> None:
    path = "/api/webhook-feedbacks/lime/a%2Fb%20c?account=acme&x=a%2Bb+c%22"
    assert proxy.seen(path)["target"] == path


@pytest.mark.parametrize(
    "target",
    [
        "/api/postbacks/tune?sub=Gr\u00fc\u00dfe".encode(),
        "/api/postbacks/tune?sub=Gr\u00fc\u00dfe".encode("latin-1"),
        b"/api/postbacks/tune?sub=a#b&x=1",
        b'/api/postbacks/tune?sub=a|b{c}"<>^`\\',
        b"/api/postbacks/tune?sub=100%&x=1;y=2&amp;z=3?w=4",
        b"//api/webhook-feedbacks/lime/a%2Fb//?account=acme",
    ],
    ids=["UTF-8", "Latin-1", "number sign", "marks", "separators", "slashes"],
)
def test_a_url_that_its_sender_did_not_encode_arrives_as_without_a_proxy(proxy: Proxy, target: bytes) -> None:
    status, answer = proxy.raw(target)
    assert status == 200, answer
    arrived = json.loads(answer)["target"].encode("latin-1")
    assert b"GET %b HTTP/1.1\r\n" % arrived == encoded(b"GET %b HTTP/1.1\r\n" % target)


def test_a_blank_that_a_sender_did_not_encode_is_refused_before_trackly_as_documented(proxy: Proxy) -> None:
    assert proxy.raw(b"/api/postbacks/tune?at=2026-03-01 09:00:00")[0] == 400


def test_the_caller_is_whoever_connected_and_not_whom_it_names(proxy: Proxy) -> None:
    headers = proxy.seen("/api/postbacks/tune?x=1", **{"X-Forwarded-For": "203.0.113.9"})["headers"]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["host"].partition(":")[0] == SMS


def test_a_request_that_asks_for_another_protocol_arrives_whole(proxy: Proxy) -> None:
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP"}
    assert proxy.seen("/api/postbacks/tune?x=1", b"x" * 1_000, **upgrade)["size"] == 1_000


@pytest.mark.parametrize("size", [300 << 10, 4 << 20], ids=["300 KiB", "4 MiB"])
def test_bodies_come_through_up_to_trackly_s_own_bound(proxy: Proxy, size: int) -> None:
    assert proxy.seen("/api/webhook-feedbacks/infobip?account=acme", b"x" * size)["size"] == size


def test_a_query_as_long_as_trackly_takes_comes_through(proxy: Proxy) -> None:
    path = "/api/postbacks/tune?click_id=" + "x" * (31 << 10)
    assert proxy.seen(path)["target"] == path


@pytest.mark.parametrize("host", [SMS, CONSOLE])
@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/livez"])
def test_health_and_metrics_are_not_for_the_world(proxy: Proxy, host: str, path: str) -> None:
    assert proxy.ask(host, "GET", path)[0] == 404


def test_pages_and_the_api_are(proxy: Proxy) -> None:
    status, body = proxy.ask(CONSOLE, "GET", "/api/contacts/check")
    assert (status, json.loads(body)["target"]) == (200, "/api/contacts/check?")


def test_a_body_that_is_too_large_is_refused_and_not_asked_for_again(proxy: Proxy) -> None:
    path = "/api/webhook-feedbacks/infobip?account=acme"
    assert proxy.ask(SMS, "POST", path, b"x" * (9 << 19))[0] == 413


def test_no_log_has_a_secret_or_a_number(proxy: Proxy) -> None:
    proxy.seen(f"/api/webhook-feedbacks/lime/{SECRET}?account=acme")
    proxy.seen(f"/api/webhook-feedbacks/cm?account=acme&secret={SECRET}")
    proxy.ask(CONSOLE, "GET", f"/welcome/{SECRET}")
    proxy.ask(CONSOLE, "GET", "/accounts/acme/contacts/+15551230001?x=1", Authorization=f"Bearer {SECRET}")
    proxy.ask(SMS, "POST", f"/api/postbacks/tune/acme?token={SECRET}", b"x" * (6 << 20))
    logs = proxy.logs()
    assert SECRET not in logs
    assert "5551230001" not in logs


@pytest.mark.parametrize("name", PROXIES)
def test_no_log_has_a_secret_when_trackly_is_away(name: str, tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    with started(name, tmp_path, (free_port(), free_port()), certificate) as proxy:
        assert proxy.ask(SMS, "POST", f"/api/postbacks/tune/acme?token={SECRET}", Cookie=SECRET)[0] == 502
        assert proxy.ask(CONSOLE, "GET", f"/welcome/{SECRET}", Authorization=SECRET)[0] == 502
    assert SECRET not in proxy.logs()
