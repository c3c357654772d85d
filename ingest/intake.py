"""What provider callbacks and network postbacks share: account lookup, limits, and the write to Kafka."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from accounts.addresses import is_within
from accounts.callers import Proxies
from accounts.model import Accounts
from accounts.rates import RateLimits
from accounts.secrets import SecretMissing
from bus.clock import now_ms
from inbound.codings import NotDecodable, TooLong, decoded
from ingest.errors import Refused, bad_target, no_accounts, no_credentials, not_stored, too_large
from ingest.incoming import Disconnected, Incoming
from ingest.quotas import BURST_SECONDS, Quotas
from ingest.redaction import MOST_SECRETS, secret_parameters, secrets_of_url, storable_headers, storable_query
from ingest.settings import IngestSettings
from ingest.telling import Seldom
from ingest.writer import CallbackWriter, NotStored
from providers.base import MAX_CONTENT_TYPE
from schemas.ids import random_id
from schemas.records import AccountConfig, RawCallback

log = logging.getLogger(__name__)

MAX_QUERY_BYTES = 32 << 10
"""Maximum bytes of a query string. Real ones have a few hundred."""

MAX_PARAMETERS = 256
"""Maximum parameters of a query string. Real ones have fewer than fifty."""

MAX_PATH_BYTES = 4 << 10
"""Maximum bytes of a path. It holds a name, and perhaps an account or a secret."""

_ACCOUNT = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Sender(NamedTuple):
    """Who sent a request: a provider or network, the account it names, and the caller's address.

    `is_proven`: something proves it. `credentials` are those of the account, which are not stored.
    """

    provider: str
    account: str
    caller: str
    is_proven: bool
    credentials: Mapping[str, str]


class Intake:
    """The checks that a request must pass, and the topic it is written to. Raises Refused for a request that
    fails one."""

    def __init__(self, settings: IngestSettings, writer: CallbackWriter, view: Accounts) -> None:
        self._settings = settings
        self._writer = writer
        self._view = view
        self._proxies = Proxies(settings.forwarded_allow_ips)
        self._limits = RateLimits()
        self._quotas = Quotas(settings)
        self._seldom = Seldom(log, level=logging.ERROR)
        self._pending_bytes = 0

    def account(self, given: Sequence[str]) -> AccountConfig:
        """Return the account that the values of `account` name."""
        if len(given) != 1 or not _ACCOUNT.fullmatch(given[0]):
            raise Refused(404, "unknown_account", "Name the account once in the URL: ?account=ID.")
        account = self._view.accounts.get(given[0])
        if account is None and not self._view.accounts:
            self._seldom.say("", "there are no accounts at all under the prefix %r: every callback is answered 503",
                             self._settings.topic_prefix)  # fmt: skip
            raise no_accounts()
        if account is None:
            raise Refused(404, "unknown_account", f"There is no account {given[0]!r}.")
        return account

    def caller(self, request: Incoming) -> str:
        """The caller's address, or "" if it is unknown."""
        return self._proxies.caller(request.peer, request.values("x-forwarded-for"))

    def check_caller(self, caller: str, trusted: Sequence[str]) -> None:
        """Check that the caller is in one of these networks. With no networks, anyone may call."""
        if trusted and not is_within(caller, trusted):
            shown = caller or "An unknown address"
            raise Refused(403, "address_not_trusted", f"{shown} may not post callbacks for this account.")

    def check_rate(self, account: AccountConfig) -> None:
        """Count a verified callback against the account's rate limit, if it has one."""
        limit = account.callback_rate_limit
        wait = self._limits.take(account.id, limit, limit * BURST_SECONDS) if limit is not None else 0.0
        if wait > 0:
            told = f"This account accepts at most {limit:g} callbacks a second. Send it again."
            raise Refused(429, "rate_limited", told, {"Retry-After": str(math.ceil(wait))})

    def unprovable(self, account: str, missing: SecretMissing) -> Refused:
        """Return the answer for a request whose secret is unavailable, and log the reason."""
        self._seldom.say(account, "cannot verify callbacks for account %s: %s", account, missing)
        return no_credentials()

    @asynccontextmanager
    async def body(self, request: Incoming, limit: int) -> AsyncIterator[bytes]:
        """Yield the body, bounded in size and time, and decompressed if its content coding is supported.

        It counts as pending from its first byte until the block ends.
        """
        limit = min(limit, self._settings.max_body_bytes)
        pending = _Pending(self)
        try:
            sent = await self._read(request, limit, pending)
            body = await _decoded(request, sent, limit)
            if body is not sent:
                pending.add(len(body))
            yield body
        finally:
            self._pending_bytes -= pending.size

    async def store(
        self,
        request: Incoming,
        sender: Sender,
        *,
        path: str,
        body: bytes,
        answer_within: float | None,
        path_secret: str | None = None,
    ) -> None:
        """Write the request to `sms.raw` without its proof. `path` must already be free of secrets."""
        provider, account, caller, is_proven, credentials = sender
        headers = request.headers
        if request.sent_body is not None:  # it is stored decompressed
            headers = {name: value for name, value in headers.items() if name != "content-encoding"}
        raw = RawCallback(
            event_id=random_id(),
            provider=provider,
            account=account,
            method=request.method,
            path=path,
            query=storable_query(request.query),
            headers=storable_headers(headers, credentials, secrets_of_url(request.parameters, path_secret)),
            content_type=headers.get("content-type", "")[:MAX_CONTENT_TYPE] or None,
            body=body,
            remote_ip=caller,
            received_at=now_ms(),
        )
        size = len(raw.body) + len(raw.query) + sum(len(name) + len(value) for name, value in raw.headers.items())
        if is_proven:
            self._quotas.take_proven(account, size)
        else:
            self._quotas.take_unproven(account, provider, caller, size)
        try:
            await self._writer.write(raw, request.traceparent, answer_within)
        except NotStored:
            raise not_stored() from None

    def _await(self, size: int) -> None:
        self._pending_bytes += size
        if self._pending_bytes > self._settings.max_pending_bytes:
            raise not_stored()

    async def _read(self, request: Incoming, limit: int, pending: _Pending) -> bytes:
        length = request.headers.get("content-length", "")
        if (int(length) if length.isdigit() else 0) > limit:
            raise too_large(limit)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._settings.body_timeout):
                async for chunk in request.chunks():
                    size += len(chunk)
                    if size > limit:
                        raise too_large(limit)
                    pending.add(len(chunk))
                    chunks.append(chunk)
        except TimeoutError:
            raise Refused(408, "body_timeout", "The body did not arrive in time.") from None
        except Disconnected:
            raise Refused(400, "disconnected", "The connection closed before the body was complete.") from None
        request.complete_at = time.monotonic()
        return b"".join(chunks)


class _Pending:
    """The pending bytes of one request."""

    def __init__(self, intake: Intake) -> None:
        self.size = 0
        self._intake = intake

    def add(self, size: int) -> None:
        """Count more bytes. Raises Refused when too many are pending."""
        self.size += size
        self._intake._await(size)


async def _decoded(request: Incoming, body: bytes, limit: int) -> bytes:
    """Return the body decompressed. One that cannot be decoded stays as received, and is handled later."""
    coding = ", ".join(request.values("content-encoding"))
    if not coding or not body:
        return body
    try:
        plain = await asyncio.to_thread(decoded, body, coding, limit)
    except TooLong:
        raise too_large(limit) from None
    except NotDecodable:
        return body
    request.sent_body = body
    return plain


def check_target(request: Incoming) -> None:
    """Refuse a URL that no template can produce, before parsing any of it."""
    query, path = request.query, request.raw_path
    if len(path) > MAX_PATH_BYTES:
        raise bad_target("path_too_long", f"The path is longer than {MAX_PATH_BYTES} bytes.")
    if len(query) > MAX_QUERY_BYTES:
        raise bad_target("query_too_long", f"The query is longer than {MAX_QUERY_BYTES} bytes.")
    if query.count("&") >= MAX_PARAMETERS:
        raise bad_target("too_many_parameters", f"The query has more than {MAX_PARAMETERS} parameters.")
    if len(secret_parameters(request.parameters)) > MOST_SECRETS:
        raise bad_target("too_many_secrets", f"The query has more than {MOST_SECRETS} parameters that may be secrets.")
    request.is_parsed = True
