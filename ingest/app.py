"""The HTTP service that takes provider callbacks.

One route does the work: find the account, let the provider's file check the proof, write to Kafka, answer. The
body is not read for its meaning here: what cannot be understood is stored like everything else, since a provider
that is answered 4xx gives up.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from accounts.store import AccountsReader
from bus.health import Health
from bus.producer import Producer
from ingest.credentials import Credentials, SecretMissing
from ingest.errors import NOT_FOUND, NOT_STORED, TOO_LARGE, Refused, refusal
from ingest.redaction import secrets_of_url, storable_headers, storable_path, storable_query
from ingest.settings import IngestSettings
from ingest.writer import CallbackWriter, NotStored
from providers import PROVIDERS
from providers.base import CallbackRequest, NotAuthentic, Provider
from providers.proof import is_secret
from schemas.codec import Codec
from schemas.ids import random_id
from schemas.records import AccountConfig, RawCallback
from schemas.registry import registry_for

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_ACCOUNT = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Ingest:
    """The service: its connections and its one route."""

    def __init__(self, settings: IngestSettings) -> None:
        self.settings = settings
        codec = Codec(registry_for(settings.schema_registry_url))
        self.producer = Producer(settings, linger_ms=5, delivery_timeout=10.0)
        self.writer = CallbackWriter(self.producer, codec, settings.catalogue["raw"], settings.ack_timeout)
        self.accounts = AccountsReader(settings, codec)
        self.credentials = Credentials()
        self.health = Health("ingest")
        self._callbacks = self.health.counter("callbacks", "Provider callbacks by answer.", ["provider", "answer"])
        self._pending_bytes = 0

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Connect before the first request, flush after the last."""
        await self.producer.start()
        try:
            await self.writer.start()
            await self.accounts.start()
            self.health.ready = True
            yield
        finally:
            self.health.ready = False
            await self.accounts.stop()
            await self.producer.stop()

    async def callback(self, request: Request) -> Response:
        """`/api/webhook-feedbacks/{provider}?account=ID`: store one callback, then answer as the provider expects."""
        name = request.path_params["provider"]
        try:
            response = await self._callback(name, request)
        except Refused as refused:
            self._callbacks.labels(name if name in PROVIDERS else "unknown", refused.code).inc()
            return refusal(refused)
        self._callbacks.labels(name, "stored").inc()
        return response

    async def _callback(self, name: str, request: Request) -> Response:
        provider = PROVIDERS.get(name)
        secret = request.path_params.get("webhook_secret")
        if provider is None or not _path_is_right(provider, secret, self.settings):
            raise NOT_FOUND
        if request.method not in provider.methods:
            allow = ", ".join(sorted(provider.methods))
            raise Refused(405, "method_not_allowed", f"{name} callbacks come as {allow}.", {"Allow": allow})
        account = self._account(request)
        remote_ip = request.client.host if request.client else ""
        _check_address(account, remote_ip)
        length = request.headers.get("content-length", "")
        expected = int(length) if length.isdigit() else 0
        if expected > self.settings.max_body_bytes:
            raise Refused(413, "body_too_large", TOO_LARGE.format(limit=self.settings.max_body_bytes))
        body = await self._body(request)
        self._pending_bytes += len(body)
        try:
            if self._pending_bytes > self.settings.max_pending_bytes:
                raise NOT_STORED
            return await self._store(name, account, request, body, remote_ip)
        finally:
            self._pending_bytes -= len(body)

    async def _store(
        self, name: str, account: AccountConfig, request: Request, body: bytes, remote_ip: str
    ) -> Response:
        provider = PROVIDERS[name]
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in request.scope["headers"]}
        query = request.scope["query_string"].decode("latin-1")
        path = request.scope["path"]
        target = f"{path}?{query}" if query else path
        urls = [base + target for base in self.settings.public_urls]
        secret = request.path_params.get("webhook_secret")
        # The deployment's own secret has been checked; an account's is for `verify`.
        claim = None if provider.behind_path_secret else secret
        seen = [CallbackRequest(request.method, url, query, headers, body, claim) for url in urls]
        try:
            credentials = await self.credentials.of(account, name)
            _verify(provider, seen, credentials)
        except NotAuthentic as refused:
            raise (Refused(403, refused.code, str(refused)) if claim is None else NOT_FOUND) from None
        except SecretMissing as missing:
            raise Refused(503, "credentials_unavailable", f"The account's credentials: {missing}.",
                          {"Retry-After": "60"}) from None  # fmt: skip
        raw = RawCallback(
            event_id=random_id(),
            provider=name,
            account=account.id,
            method=request.method,
            path=storable_path(name, request.path_params),
            query=storable_query(query),
            headers=storable_headers(headers, credentials, secrets_of_url(query, secret)),
            content_type=headers.get("content-type"),
            body=body,
            remote_ip=remote_ip,
            received_at=time.time_ns() // 1_000_000,
        )
        trace = headers.get("traceparent", "")
        try:
            await self.writer.write(raw, trace.encode() if _TRACEPARENT.fullmatch(trace) else None)
        except NotStored:
            raise NOT_STORED from None
        answer = provider.answer(seen[0])
        return Response(answer.body, 200, media_type=answer.content_type)

    def _account(self, request: Request) -> AccountConfig:
        given = request.query_params.getlist("account")
        if len(given) != 1 or not _ACCOUNT.fullmatch(given[0]):
            raise Refused(404, "unknown_account", "Put the account into the URL once: ?account=ID.")
        account = self.accounts.view.accounts.get(given[0])
        if account is None:
            raise Refused(404, "unknown_account", f"There is no account {given[0]!r}.")
        return account

    async def _body(self, request: Request) -> bytes:
        limit = self.settings.max_body_bytes
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.settings.body_timeout):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > limit:
                        raise Refused(413, "body_too_large", TOO_LARGE.format(limit=limit))
                    chunks.append(chunk)
        except TimeoutError:
            raise Refused(408, "body_timeout", "The body did not arrive in time.") from None
        except ClientDisconnect:
            raise Refused(400, "disconnected", "The connection was closed before the body was complete.") from None
        return b"".join(chunks)


def create_app(settings: IngestSettings) -> FastAPI:
    """The FastAPI application."""
    ingest = Ingest(settings)
    app = FastAPI(title="trackly ingest", lifespan=ingest.lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    every_method = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    # A secret may hold a slash.
    for path in ("/api/webhook-feedbacks/{provider}", "/api/webhook-feedbacks/{provider}/{webhook_secret:path}"):
        app.add_route(path, ingest.callback, methods=every_method)
    app.add_route("/livez", ingest.health.livez)
    app.add_route("/readyz", ingest.health.readyz)
    app.add_route("/metrics", ingest.health.metrics)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
        text = str(NOT_FOUND) if error.status_code == 404 else str(error.detail)
        return refusal(Refused(error.status_code, code, text, error.headers))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return refusal(NOT_STORED)

    return app


def server(settings: IngestSettings) -> uvicorn.Server:
    """The HTTP server, not yet running."""
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,  # access lines hold query strings
        server_header=False,
        date_header=False,
        log_config=None,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        backlog=4096,
    )
    return uvicorn.Server(config)


def _path_is_right(provider: Provider, secret: str | None, settings: IngestSettings) -> bool:
    """Whether the path has the deployment's secret that the provider's callbacks stand behind.

    Other providers may have an account's secret there, which they verify themselves.
    """
    if not provider.behind_path_secret:
        return True
    return secret is not None and is_secret(secret, settings.path_secrets(provider.name))


def _verify(provider: Provider, seen: list[CallbackRequest], credentials: Mapping[str, str]) -> None:
    """Return when the callback proves itself under one of its URLs, else raise NotAuthentic."""
    for number, request in enumerate(seen, 1):
        try:
            return provider.verify(request, credentials)
        except NotAuthentic:
            if number == len(seen):
                raise


def _check_address(account: AccountConfig, remote_ip: str) -> None:
    if account.trusted_cidrs:
        address = ipaddress.ip_address(remote_ip)
        if not any(address in ipaddress.ip_network(cidr, strict=False) for cidr in account.trusted_cidrs):
            raise Refused(403, "address_not_trusted", f"{remote_ip} may not post callbacks for this account.")
