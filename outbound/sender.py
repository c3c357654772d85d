"""One HTTP POST: returns an outcome for everything that can happen, and never raises."""

from __future__ import annotations

import errno
import logging
import math
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import aiohttp
from aiohttp import AddrInfoType
from yarl import URL

from bus.clock import now_seconds
from outbound.addresses import Networks
from outbound.answers import Answered, AnswerResponse, watch_answers
from outbound.guard import WEB_PORTS, GuardedResolver, RefusedAddress, RefusedUrl, check_url
from outbound.outcomes import DELIVERY_CONTROL, THROTTLES, Outcome, answered, parse_controls, parse_retry_after

log = logging.getLogger(__name__)

MAX_RESPONSE_BYTES = 16 << 10
"""Bytes read of an answer, so that its connection can be reused; a longer answer closes the connection."""

RECEIVE_BUFFER = 64 << 10
"""Kernel buffer of each connection, for the unread part of an answer; by default it grows to megabytes."""

MOST_HEADERS = 1_000
"""Maximum header fields of an answer. With more, its status still counts, but its connection is closed."""

ADDRESS_SECONDS = 30
"""Seconds for which a looked-up address is used for new connections."""

IDLE_SECONDS = 15.0
"""Seconds to keep an idle connection."""

STALE_SECONDS = 1.0
"""A connection lost within this many seconds of the request, before any answer, may have been idle and closed by the
receiver. The request is then sent once more."""

URLS = 10_000
"""Maximum parsed URLs to cache."""

_ERRORS: tuple[tuple[type[BaseException], str], ...] = (
    # The first match counts, so subclasses come before their bases.
    (aiohttp.ClientConnectorCertificateError, "tls"),
    (aiohttp.ClientSSLError, "tls"),
    (ssl.SSLError, "tls"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (TimeoutError, "timeout"),
    (aiohttp.InvalidURL, "invalid_url"),
    (aiohttp.ClientResponseError, "bad_response"),
    (aiohttp.ClientPayloadError, "bad_response"),
    (aiohttp.ClientConnectionError, "connect"),
    (OSError, "connect"),
)


_NO_ISSUER = (20, 21)
"""OpenSSL's codes for a certificate whose signer is not known: an unknown authority, or an incomplete chain."""


def user_agent() -> str:
    """`trackly/` and the installed version."""
    try:
        return f"trackly/{version('trackly')}"
    except PackageNotFoundError:
        return "trackly/dev"


def classify(error: BaseException) -> str:
    """Return the error class (a key of `outcomes.ERROR_CLASSES`) of an attempt's exception."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, RefusedAddress):
        return "refused_address"
    return next((name for kind, name in _ERRORS if isinstance(error, kind)), "internal_error")


@cache
def tls_context() -> ssl.SSLContext:
    """Return a context with TLS 1.2 or newer, with certificate and host name verification."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Sender:
    """Sends webhooks through one connection pool. `timeout` is in seconds for a whole attempt; `ports` None: any.

    `requests` and `connections` count the requests sent and the connections opened for them. `per_host` limits
    connections to one host and port: it is more than any one endpoint can use, so that a dead endpoint does not block
    its neighbors there.
    """

    def __init__(
        self,
        *,
        timeout: float = 5.0,
        allow_http: bool = False,
        allowed: Networks = (),
        ports: frozenset[int] | None = WEB_PORTS,
        per_host: int = 256,
    ) -> None:
        self._timeout = timeout
        self._per_host = per_host
        self._whole_timeout = _within(timeout)
        self._allow_http = allow_http
        self._allowed = tuple(allowed)
        self._ports = ports
        self._agent = user_agent()
        self._urls: dict[tuple[str, bool], URL | Outcome] = {}
        self.requests = self.connections = 0
        self._answers: dict[int, Outcome] = {}
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the pool."""
        connector = aiohttp.TCPConnector(
            limit=0,  # each endpoint has its own limit; with a shared one, it could block the others
            resolver=GuardedResolver(self._allowed, self._ports),
            ttl_dns_cache=ADDRESS_SECONDS,
            keepalive_timeout=IDLE_SECONDS,
            ssl=tls_context(),
            limit_per_host=self._per_host,
            socket_factory=self._open_socket,
        )
        watch_answers(connector)
        self._session = aiohttp.ClientSession(
            connector=connector,
            response_class=AnswerResponse,
            max_field_size=MAX_RESPONSE_BYTES,
            max_headers=MOST_HEADERS,
            timeout=self._whole_timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=MAX_RESPONSE_BYTES,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    async def stop(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, allow_http: bool = False) -> Outcome:
        """POST a body with these headers, User-Agent, and (unless given) a JSON Content-Type.

        `allow_http`: the account may use http even if the deployment does not.
        """
        target = self._urls.get((url, allow_http))
        if target is None:
            target = self._target(url, allow_http)
        if isinstance(target, Outcome):
            return target
        complete = {"Content-Type": "application/json", "User-Agent": self._agent, **headers}
        started = time.monotonic()
        self.requests += 1
        try:
            return await self._post(target, complete, body, self._whole_timeout)
        except Answered as answer:
            return _cut_short(answer)
        except Exception as error:
            elapsed = time.monotonic() - started
            if _was_lost(error) and elapsed < min(STALE_SECONDS, self._timeout):
                return await self._post_again(target, complete, body, self._timeout - elapsed)
            return _failure(error)

    async def _post_again(self, url: URL, headers: Mapping[str, str], body: bytes, timeout: float) -> Outcome:
        try:
            return await self._post(url, headers, body, _within(timeout))
        except Answered as answer:
            return _cut_short(answer)
        except Exception as error:
            return _failure(error)

    async def _post(self, url: URL, headers: Mapping[str, str], body: bytes, timeout: aiohttp.ClientTimeout) -> Outcome:
        assert self._session is not None, "the sender is not started"
        response = await self._session.request(
            "POST", url, data=body, headers=headers, allow_redirects=False, timeout=timeout
        )
        head = await _read_up(response)
        status = response.status
        wait = response.headers.get("Retry-After") if status in THROTTLES else None
        asked = response.headers.getall(DELIVERY_CONTROL, ())
        if wait is not None or head or asked:
            seconds = None if wait is None else parse_retry_after(wait, now_seconds())
            return answered(status, seconds, head.decode("utf-8", "replace"), parse_controls(asked))
        outcome = self._answers.get(status)
        if outcome is None:
            outcome = self._answers[status] = answered(status)
        return outcome

    def _open_socket(self, address: AddrInfoType) -> socket.socket:
        self.connections += 1
        family, kind, protocol, _, _ = address
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        return opened

    def _target(self, text: str, allow_http: bool) -> URL | Outcome:
        target: URL | Outcome
        try:
            plain = self._allow_http or allow_http
            target = check_url(text, allow_http=plain, allowed=self._allowed, ports=self._ports)
        except RefusedUrl as refused:
            target = Outcome(error_class=refused.error_class)
        if len(self._urls) >= URLS:
            self._urls.clear()
        self._urls[text, allow_http] = target
        return target


async def _read_up(response: aiohttp.ClientResponse) -> bytes:
    """Read and return the rest of an answer. The status counts even if the rest is too long or never arrives."""
    content = response.content
    if content.at_eof():
        return b""
    head = bytearray()
    try:
        async for chunk in content.iter_any():
            head += chunk
            if len(head) > MAX_RESPONSE_BYTES:
                break
    except (aiohttp.ClientError, OSError):
        pass
    finally:
        if not content.is_eof():
            response.close()
    return bytes(head[:MAX_RESPONSE_BYTES])


def _within(seconds: float) -> aiohttp.ClientTimeout:
    # aiohttp rounds timeouts above a threshold up to whole seconds of its clock.
    return aiohttp.ClientTimeout(total=seconds, ceil_threshold=math.inf)


def _cut_short(answer: Answered) -> Outcome:
    """Return the outcome if a head broke off after its status: the status counts, unless it is only interim."""
    if answer.status >= 200:
        return answered(answer.status)
    assert isinstance(answer.__cause__, Exception)
    return replace(_failure(answer.__cause__), status=answer.status)


def _was_lost(error: Exception) -> bool:
    """Whether an established connection ended before the answer."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return False
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError | BrokenPipeError):
        return True
    if not isinstance(error, aiohttp.ClientOSError):
        return False
    # If the connection was closed before the body was written, aiohttp says so only in the cause.
    return error.errno in (errno.ECONNRESET, errno.EPIPE) or isinstance(error.__cause__, ConnectionResetError)


def _failure(error: Exception) -> Outcome:
    name = classify(error)
    if name == "internal_error":
        log.error("an attempt failed unexpectedly", exc_info=error)
    return Outcome(error_class=name, detail=_wrong_with_tls(error))


def _wrong_with_tls(error: Exception) -> str:
    """Return what is wrong with a server's certificate; empty if nothing is known to be."""
    cause = getattr(error, "certificate_error", error)
    if not isinstance(cause, ssl.SSLCertVerificationError):
        return ""
    chain = "; does the server send the whole chain?" if cause.verify_code in _NO_ISSUER else ""
    return f"the certificate is not valid: {cause.verify_message.rstrip('.')}{chain}"
