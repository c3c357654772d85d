"""Real connections: to the checked address, with verified TLS, and reading no more than needed."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from outbound import sender as sender_module
from outbound.outcomes import Outcome, answered
from outbound.sender import MAX_RESPONSE_BYTES, Sender, tls_context

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
HOST = "hooks.example.com"

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    sender = Sender(timeout=5.0, allow_http=True, allowed=[ip_network("127.0.0.1/32")])
    await sender.start()
    yield sender
    await sender.stop()


@pytest.fixture
async def listen() -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """Start a server on an address; returns its port."""
    servers: list[asyncio.Server] = []

    async def start(serve: Answer, host: str = "127.0.0.1", **options: Any) -> int:
        servers.append(await asyncio.start_server(serve, host, **{"port": 0, **options}))
        return int(servers[-1].sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()


async def say_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    writer.close()


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Resolve names to one address after the other, the last one repeatedly; returns the list of queries."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name[0].isdigit():
            return real(host, port, *arguments, **options)
        asked.append(name)
        address = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


# Rebinding


async def test_the_connection_goes_to_the_address_that_was_checked(
    sender: Sender, listen: Callable[..., Awaitable[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[str] = []

    def noting(name: str) -> Answer:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reached.append(name)
            await say_ok(reader, writer)

        return serve

    port = await listen(noting("checked"))
    await listen(noting("internal"), "127.0.0.2", port=port)
    asked = resolving(monkeypatch, "127.0.0.1", "127.0.0.2")
    url = f"http://{HOST}:{port}/"
    assert await sender.post(url, {}, b"{}") == answered(200)
    assert (asked, reached) == ([HOST], ["checked"])


async def test_a_name_that_changes_to_an_internal_address_is_refused_when_it_is_looked_up_again(
    listen: Callable[..., Awaitable[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[str] = []

    async def internal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append("internal")
        await say_ok(reader, writer)

    port = await listen(say_ok)
    await listen(internal, "127.0.0.2", port=port)
    monkeypatch.setattr(sender_module, "ADDRESS_SECONDS", 1e-9)
    sender = Sender(timeout=5.0, allow_http=True, allowed=[ip_network("127.0.0.1/32")])
    await sender.start()
    asked = resolving(monkeypatch, "127.0.0.1", "127.0.0.2")
    url = f"http://{HOST}:{port}/"
    assert await sender.post(url, {}, b"{}") == answered(200)
    assert await sender.post(url, {}, b"{}") == Outcome(error_class="refused_address")
    assert len(asked) == 2
    assert reached == []
    await sender.stop()


async def test_a_redirect_to_an_internal_address_is_not_followed(
    sender: Sender, listen: Callable[..., Awaitable[int]]
) -> None:
    reached: list[str] = []

    async def internal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append("internal")
        await say_ok(reader, writer)

    inner = await listen(internal, "127.0.0.2")

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.2:%d/\r\nContent-Length: 0\r\n\r\n" % inner
        )
        writer.close()

    port = await listen(redirect)
    assert await sender.post(f"http://127.0.0.1:{port}/", {}, b"{}") == Outcome(307, "http_status")
    assert reached == []


# Answers


async def test_a_compressed_answer_is_not_unpacked(
    sender: Sender, listen: Callable[..., Awaitable[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    assert len(bomb) < MAX_RESPONSE_BYTES

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)
        await writer.drain()
        writer.close()

    read: list[int] = []
    feed_data = aiohttp.StreamReader.feed_data

    def counting(reader: aiohttp.StreamReader, data: bytes, *more: Any) -> Any:
        read.append(len(data))
        return feed_data(reader, data, *more)

    monkeypatch.setattr(aiohttp.StreamReader, "feed_data", counting)
    port = await listen(serve)
    assert await sender.post(f"http://127.0.0.1:{port}/", {}, b"{}") == answered(200)
    assert 0 < sum(read) <= len(bomb)


async def test_an_answer_without_an_end_is_read_no_further_than_its_bound(
    sender: Sender, listen: Callable[..., Awaitable[int]]
) -> None:
    ended = asyncio.Event()
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"400\r\n" + b"x" * 1_024 + b"\r\n")
                await writer.drain()
                sent += 1_024
        except ConnectionError:
            ended.set()
        writer.close()

    port = await listen(serve)
    assert await sender.post(f"http://127.0.0.1:{port}/", {}, b"{}") == answered(200)
    await asyncio.wait_for(ended.wait(), 5)
    assert sent < 50_000_000  # what buffers of the system hold, not a stream without end


# TLS


SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """A certificate authority of one test."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        self.file = directory / "ca.pem"
        self._certificate = (
            self._builder(self._name, self._key, NOW + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(SIGNS_CERTIFICATES, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, ends: datetime, issuer: x509.Name | None = None
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 30 * DAY)
            .not_valid_after(ends)
        )

    def elsewhere(self) -> Path:
        """Return a directory for another authority."""
        directory = self._directory / "elsewhere"
        directory.mkdir()
        return directory

    def server(self, *names: str, ends: datetime = NOW + DAY, trusted: bool = True) -> ssl.SSLContext:
        """Return a server's TLS context for these names; if not `trusted`, with a self-signed certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        signer = self._key if trusted else key
        builder = self._builder(subject, key, ends, None if trusted else subject).add_extension(
            # Python 3.13 and newer refuse certificates without one.
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
        certificate = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False).sign(
            signer, hashes.SHA256()
        )
        path = self._directory / "server.pem"
        path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    """The only authority that the test's senders trust."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    tls_context.cache_clear()
    yield authority
    tls_context.cache_clear()


def only_tls_1_1(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def only_tls_1_2(context: ssl.SSLContext) -> ssl.SSLContext:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def refused_by_tls(detail: str) -> Outcome:
    return Outcome(error_class="tls", detail=f"the certificate is not valid: {detail}" if detail else "")


SERVERS: dict[str, tuple[Callable[[Authority], ssl.SSLContext], Outcome]] = {
    "as it should be": (lambda ca: ca.server(HOST), answered(200)),
    "TLS 1.2": (lambda ca: only_tls_1_2(ca.server(HOST)), answered(200)),
    "a wildcard": (lambda ca: ca.server("*.example.com"), answered(200)),
    "self-signed": (lambda ca: ca.server(HOST, trusted=False), refused_by_tls("self-signed certificate")),
    "expired": (lambda ca: ca.server(HOST, ends=NOW - DAY), refused_by_tls("certificate has expired")),
    "for another host": (
        lambda ca: ca.server("other.example.com"),
        refused_by_tls(f"Hostname mismatch, certificate is not valid for '{HOST}'"),
    ),
    "for the address alone": (
        lambda ca: ca.server("127.0.0.1"),
        refused_by_tls(f"Hostname mismatch, certificate is not valid for '{HOST}'"),
    ),
    "of an authority that nobody knows": (
        lambda ca: Authority(ca.elsewhere()).server(HOST),
        refused_by_tls("unable to get local issuer certificate; does the server send the whole chain?"),
    ),
    "TLS 1.1": (lambda ca: only_tls_1_1(ca.server(HOST)), refused_by_tls("")),
}


@contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[int]:
    """Yield the port of a server in a thread. asyncio's would hang up before its alert is sent."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as tls:
                    tls.recv(65_536)
                    tls.sendall(OK)
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


@pytest.mark.parametrize("kind", SERVERS)
async def test_tls_is_verified(kind: str, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    server_context, outcome = SERVERS[kind]
    resolving(monkeypatch, "127.0.0.1")
    sender = Sender(timeout=5.0, allowed=[ip_network("127.0.0.1/32")])
    await sender.start()
    with tls_server(server_context(authority)) as port:
        answer = await sender.post(f"https://{HOST}:{port}/", {}, b"{}")
    await sender.stop()
    assert (answer, answer.detail) == (outcome, outcome.detail)


def test_the_server_of_tls_1_1_would_talk_to_who_wants_it(authority: Authority) -> None:
    client = ssl.create_default_context()
    client.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        client.minimum_version = ssl.TLSVersion.TLSv1_1
    with (
        tls_server(only_tls_1_1(authority.server(HOST))) as port,
        socket.create_connection(("127.0.0.1", port)) as connection,
        client.wrap_socket(connection, server_hostname=HOST) as tls,
    ):
        assert tls.version() == "TLSv1.1"
        tls.sendall(b"x")
