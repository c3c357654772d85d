"""What callbacks of providers and postbacks of networks have in common: who posts, how much, and the write."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from accounts.addresses import is_within
from accounts.callers import Proxies
from accounts.rates import RateLimits
from accounts.store import Accounts
from ingest.errors import Refused, not_stored, too_large
from ingest.redaction import secrets_of_url, storable_headers, storable_query
from ingest.settings import IngestSettings
from ingest.writer import CallbackWriter, NotStored
from schemas.ids import random_id
from schemas.records import AccountConfig, RawCallback

MAX_QUERY_BYTES = 32 << 10
"""Bytes of a query string. Those that providers and networks fill have some hundred."""

BURST_SECONDS = 10.0
"""After a rest, an account may post at once what its limit gives in this time."""

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_ACCOUNT = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Intake:
    """Checks that a request must pass, and the topic that it ends in. What does not pass is Refused."""

    def __init__(self, settings: IngestSettings, writer: CallbackWriter, view: Accounts) -> None:
        self._settings = settings
        self._writer = writer
        self._view = view
        self._proxies = Proxies(settings.forwarded_allow_ips)
        self._limits = RateLimits()
        self._pending_bytes = 0

    def check_query(self, request: Request) -> None:
        """Refuse what nobody's template can have become."""
        if len(request.scope["query_string"]) > MAX_QUERY_BYTES:
            raise Refused(414, "query_too_long", f"The query is longer than {MAX_QUERY_BYTES} bytes.")

    def account(self, given: Sequence[str]) -> AccountConfig:
        """The account that the values of `account` name."""
        if len(given) != 1 or not _ACCOUNT.fullmatch(given[0]):
            raise Refused(404, "unknown_account", "Put the account into the URL once: ?account=ID.")
        account = self._view.accounts.get(given[0])
        if account is None:
            raise Refused(404, "unknown_account", f"There is no account {given[0]!r}.")
        return account

    def caller(self, request: Request) -> str:
        """Address of the caller, "" where it is not known."""
        peer = request.client.host if request.client else None
        return self._proxies.caller(peer, request.headers.getlist("x-forwarded-for"))

    def check_caller(self, caller: str, trusted: Sequence[str]) -> None:
        """Pass a caller in one of these networks; where there are none, everybody."""
        if trusted and not is_within(caller, trusted):
            shown = caller or "An address that is not known"
            raise Refused(403, "address_not_trusted", f"{shown} may not post callbacks for this account.")

    def check_rate(self, account: AccountConfig) -> None:
        """Count a callback that has proved itself, where the account has a limit."""
        limit = account.callback_rate_limit
        wait = self._limits.take(account.id, limit, limit * BURST_SECONDS) if limit is not None else 0.0
        if wait > 0:
            raise Refused(429, "rate_limited", f"The account takes {limit:g} callbacks a second. Send it again.",
                          {"Retry-After": str(math.ceil(wait))})  # fmt: skip

    @asynccontextmanager
    async def body(self, request: Request, limit: int | None = None) -> AsyncIterator[bytes]:
        """The body, within bounds of size and time. It counts as pending until the block ends."""
        body = await self._read(request, self._settings.max_body_bytes if limit is None else limit)
        self._pending_bytes += len(body)
        try:
            if self._pending_bytes > self._settings.max_pending_bytes:
                raise not_stored()
            yield body
        finally:
            self._pending_bytes -= len(body)

    async def store(
        self,
        request: Request,
        *,
        provider: str,
        account: str,
        path: str,
        body: bytes,
        caller: str,
        credentials: Mapping[str, str],
        path_secret: str | None = None,
    ) -> None:
        """Write the request to `sms.raw`, without what proves it. `path` is without secrets already."""
        headers, query = headers_of(request), query_of(request)
        raw = RawCallback(
            event_id=random_id(),
            provider=provider,
            account=account,
            method=request.method,
            path=path,
            query=storable_query(query),
            headers=storable_headers(headers, credentials, secrets_of_url(query, path_secret)),
            content_type=headers.get("content-type"),
            body=body,
            remote_ip=caller,
            received_at=time.time_ns() // 1_000_000,
        )
        trace = headers.get("traceparent", "")
        try:
            await self._writer.write(raw, trace.encode() if _TRACEPARENT.fullmatch(trace) else None)
        except NotStored:
            raise not_stored() from None

    async def _read(self, request: Request, limit: int) -> bytes:
        length = request.headers.get("content-length", "")
        if (int(length) if length.isdigit() else 0) > limit:
            raise too_large(limit)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._settings.body_timeout):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > limit:
                        raise too_large(limit)
                    chunks.append(chunk)
        except TimeoutError:
            raise Refused(408, "body_timeout", "The body did not arrive in time.") from None
        except ClientDisconnect:
            raise Refused(400, "disconnected", "The connection was closed before the body was complete.") from None
        return b"".join(chunks)


def headers_of(request: Request) -> dict[str, str]:
    """Headers by lower-case name; of one that comes twice, the last."""
    return {key.decode("latin-1"): value.decode("latin-1") for key, value in request.scope["headers"]}


def query_of(request: Request) -> str:
    """The query string as it came."""
    return str(request.scope["query_string"].decode("latin-1"))
