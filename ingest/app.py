"""The HTTP service that takes callbacks of providers and postbacks of affiliate networks.

Two routes do the work: find the account, check the proof, write to Kafka, answer. The body of a callback is not read
for its meaning here: what cannot be understood is stored like everything else, since a provider that is answered 4xx
gives up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from accounts.store import AccountsReader
from bus.health import Health
from bus.producer import Producer
from ingest.credentials import Credentials, SecretMissing
from ingest.errors import Refused, not_found, not_stored, refusal
from ingest.intake import Intake, headers_of, query_of
from ingest.postbacks import Postbacks
from ingest.redaction import storable_path
from ingest.seen import Seen, SeenWriter
from ingest.settings import IngestSettings
from ingest.writer import CallbackWriter
from providers import NETWORKS, PROVIDERS
from providers.base import CallbackRequest, NotAuthentic, Provider
from providers.networks import ACCOUNT
from providers.proof import is_secret
from schemas.codec import Codec
from schemas.records import AccountConfig
from schemas.registry import registry_for

_Take = Callable[[str, Request], Awaitable[Response]]


class Ingest:
    """The service: its connections and its routes."""

    def __init__(self, settings: IngestSettings) -> None:
        self.settings = settings
        codec = Codec(registry_for(settings.schema_registry_url))
        self.producer = Producer(settings, linger_ms=5, delivery_timeout=10.0)
        self.writer = CallbackWriter(self.producer, codec, settings.catalogue["raw"], settings.ack_timeout)
        self.accounts = AccountsReader(settings, codec)
        self.intake = Intake(settings, self.writer, self.accounts.view)
        self.credentials = Credentials()
        self.postbacks = Postbacks(self.intake, self.accounts)
        self.seen = Seen()
        self._seen_writer = SeenWriter(self.seen, self.producer, codec, settings.catalogue["callbacks_seen"])
        self.health = Health("ingest")
        self._callbacks = self.health.counter(
            "callbacks", "Callbacks of providers, and postbacks of networks, by answer.", ["provider", "answer"]
        )

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Connect before the first request, flush after the last."""
        await self.producer.start()
        try:
            await self.writer.start()
            await self.accounts.start()
            self._seen_writer.start()
            self.health.ready = True
            yield
        finally:
            self.health.ready = False
            await self._seen_writer.stop()
            await self.accounts.stop()
            await self.producer.stop()

    async def callback(self, request: Request) -> Response:
        """`/api/webhook-feedbacks/{provider}?account=ID`: store one callback, then answer as the provider expects."""
        return await self._counted(request.path_params["provider"], PROVIDERS, request, self._callback)

    async def postback(self, request: Request) -> Response:
        """`/api/postbacks/{network}?click_id=...`: store one postback, then answer `OK`."""
        return await self._counted(request.path_params["network"], NETWORKS, request, self.postbacks.take)

    async def _counted(self, name: str, known: Container[str], request: Request, take: _Take) -> Response:
        try:
            self.intake.check_query(request)
            response = await take(name, request)
        except Refused as refused:
            self._callbacks.labels(name if name in known else "unknown", refused.code).inc()
            if name in known:
                self.seen.refused(self._account_of(request), name, refused.cause)
            return refusal(refused)
        self._callbacks.labels(name, "stored").inc()
        self.seen.taken(self._account_of(request), name)
        return response

    def _account_of(self, request: Request) -> str:
        """The account that a request is for, as far as it was found out or names a known one; else none."""
        named = [*request.query_params.getlist(ACCOUNT), request.path_params.get(ACCOUNT, "")]
        known = [name for name in named if name in self.accounts.view.accounts]
        return str(getattr(request.state, ACCOUNT, None) or next(iter(known), ""))

    async def _callback(self, name: str, request: Request) -> Response:
        provider = PROVIDERS.get(name)
        secret = request.path_params.get("webhook_secret")
        if provider is None:
            raise not_found()
        if not _path_is_right(provider, secret, self.settings):
            raise not_found("wrong_path_secret")
        if request.method not in provider.methods:
            allow = ", ".join(sorted(provider.methods))
            raise Refused(405, "method_not_allowed", f"{name} callbacks come as {allow}.", {"Allow": allow})
        account = self.intake.account(request.query_params.getlist("account"))
        caller = self.intake.caller(request)
        self.intake.check_caller(caller, account.trusted_cidrs)
        async with self.intake.body(request) as body:
            return await self._store(provider, account, request, body, caller)

    async def _store(
        self, provider: Provider, account: AccountConfig, request: Request, body: bytes, caller: str
    ) -> Response:
        headers, query, path = headers_of(request), query_of(request), request.scope["path"]
        target = f"{path}?{query}" if query else path
        urls = [base + target for base in self.settings.public_urls]
        secret = request.path_params.get("webhook_secret")
        # The deployment's own secret has been checked; an account's is for `verify`.
        claim = None if provider.behind_path_secret else secret
        seen = [CallbackRequest(request.method, url, query, headers, body, claim) for url in urls]
        try:
            credentials = await self.credentials.of(account, provider.name)
            _verify(provider, seen, credentials)
        except NotAuthentic as refused:
            told = Refused(403, refused.code, str(refused)) if claim is None else not_found(refused.code)
            raise told from None
        except SecretMissing as missing:
            raise Refused(503, "credentials_unavailable", f"The account's credentials: {missing}.",
                          {"Retry-After": "60"}) from None  # fmt: skip
        self.intake.check_rate(account)
        await self.intake.store(
            request,
            provider=provider.name,
            account=account.id,
            path=storable_path(provider.name, request.path_params),
            path_secret=secret,
            body=body,
            caller=caller,
            credentials=credentials,
        )
        answer = provider.answer(seen[0])
        return Response(answer.body, 200, media_type=answer.content_type)


def create_app(settings: IngestSettings, ingest: Ingest | None = None) -> FastAPI:
    """The FastAPI application, of this service or of a new one."""
    ingest = ingest or Ingest(settings)
    app = FastAPI(title="trackly ingest", lifespan=ingest.lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    every_method = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    # A secret may hold a slash.
    for path in ("/api/webhook-feedbacks/{provider}", "/api/webhook-feedbacks/{provider}/{webhook_secret:path}"):
        app.add_route(path, ingest.callback, methods=every_method)
    for path in ("/api/postbacks/{network}", "/api/postbacks/{network}/{account}"):
        app.add_route(path, ingest.postback, methods=every_method)
    app.add_route("/livez", ingest.health.livez)
    app.add_route("/readyz", ingest.health.readyz)
    app.add_route("/metrics", ingest.health.metrics)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
        text = str(not_found()) if error.status_code == 404 else str(error.detail)
        return refusal(Refused(error.status_code, code, text, error.headers))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return refusal(not_stored())

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
        proxy_headers=False,  # see accounts.callers
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
