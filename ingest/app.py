"""The HTTP service that receives provider callbacks and affiliate network postbacks.

Two routes do the work: find the account, check the proof, write to Kafka, answer. Ingest does not interpret a
callback's body: one that cannot be understood is stored like any other, because a provider gives up after a 4xx.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from accounts.store import AccountsReader
from bus.ending import CRASH_SECONDS, end_within
from bus.garbage import collect_by_plan
from bus.health import Health
from bus.producer import Producer
from bus.telemetry import current
from bus.watch import Watch
from inbound.server import NO_TELEMETRY, HttpServer, http_server
from ingest.credentials import Credentials, SecretMissing
from ingest.errors import Refused, not_found, not_stored, refusal
from ingest.incoming import Incoming
from ingest.intake import Intake, Sender, check_target
from ingest.postbacks import Postbacks
from ingest.protocol import TolerantProtocol
from ingest.redaction import storable_path
from ingest.seen import SeenCallbacks, SeenWriter
from ingest.settings import IngestSettings
from ingest.targets import CallbackRoutes, claims_of
from ingest.writer import LINGER_MS, CallbackWriter
from providers import NETWORKS, PROVIDERS
from providers.base import CallbackRequest, NotAuthentic, Provider
from providers.proof import PATH_SECRET, accepted, is_secret
from schemas.codec import Codec
from schemas.records import AccountConfig
from schemas.registry import registry_for

GRACE = 2.0
"""Seconds to keep a callback that was answered 503. After that it is no longer stored."""

LONG_BODY = 16 << 10
"""Bodies of this many bytes or more are verified off the event loop: parsing a 256 KiB form takes 60 ms."""

_Take = Callable[[Incoming], Awaitable[Response]]


class Ingest:
    """The service: its connections and routes."""

    def __init__(self, settings: IngestSettings) -> None:
        self.settings = settings
        codec = Codec(registry_for(settings.schema_registry_url))
        self.producer = Producer(
            settings, linger_ms=LINGER_MS, delivery_timeout=longest_wait(settings.ack_timeout) + GRACE
        )
        self.writer = CallbackWriter(self.producer, codec, settings.catalogue["raw"], settings.ack_timeout)
        self.accounts = AccountsReader(settings, codec)
        self.intake = Intake(settings, self.writer, self.accounts.view)
        self.credentials = Credentials()
        self.postbacks = Postbacks(self.intake, self.accounts)
        self.seen = SeenCallbacks()
        self._seen_writer = SeenWriter(self.seen, self.producer, codec, settings.catalogue["callbacks_seen"])
        self.health = Health("ingest", settings)
        self.health.checks.append(self.producer.problem)
        self.on_misfit: Callable[[Exception], None] = lambda error: None
        self.watch = Watch(
            settings, self.producer, self.health, lambda error: self.on_misfit(error), self.writer.note_partitions
        )
        self._tracing = current.tracing()
        self._callbacks = self.health.tally("callbacks")
        self._answered = self.health.distributions("answer_seconds")
        for outcome in ("stored", "refused", "failed"):
            self._answered[outcome,]  # start every rate at 0

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Connect before the first request, flush after the last."""
        await self.producer.start()
        try:
            await self.writer.start()
            await self.accounts.start()
            self._seen_writer.start()
            self.watch.start()
            collect_by_plan()
            self.health.ready = True
            yield
        finally:
            self.health.ready = False
            end_within(CRASH_SECONDS, "stopping")
            await self.watch.stop()
            await self._seen_writer.stop()
            await self.accounts.stop()
            await self.producer.stop()

    async def callback(self, request: Incoming) -> Response:
        """`/api/webhook-feedbacks/{provider}?account=ID`: store one callback, then answer as the provider expects."""
        return await self._traced(request, "webhook-feedbacks", PROVIDERS, self._callback)

    async def postback(self, request: Incoming) -> Response:
        """`/api/postbacks/{network}?click_id=...`: store one postback, then answer `OK`."""
        return await self._traced(request, "postbacks", NETWORKS, self.postbacks.take, request.rest)

    async def _traced(
        self, request: Incoming, route: str, known: Container[str], take: _Take, account_in_path: str | None = None
    ) -> Response:
        if self._tracing is None:
            return await self._counted(request, known, take, account_in_path)
        name = request.name if request.name in known else "unknown"
        span = self._tracing.callback(request.method, f"/api/{route}/{{provider}}", name, request.traceparent)
        request.traceparent = span.traceparent
        status = 500
        try:
            response = await self._counted(request, known, take, account_in_path)
            status = response.status_code
            return response
        finally:
            span.note(account=request.account)
            span.answered(status)
            span.end(None if status < 500 else str(status))

    async def _counted(
        self, request: Incoming, known: Container[str], take: _Take, account_in_path: str | None = None
    ) -> Response:
        name = request.name
        try:
            check_target(request)
            response = await take(request)
        except Refused as refused:
            self._callbacks.add(name if name in known else "unknown", refused.code)
            self._took(request, "failed" if refused.status >= 500 else "refused")
            if name in known:
                self.seen.refused(self._account_of(request, account_in_path), name, refused.cause)
            return _response(refused, request)
        self._callbacks.add(name, "stored")
        self._took(request, "stored")
        self.seen.taken(self._account_of(request, account_in_path), name)
        return response

    def _took(self, request: Incoming, outcome: str) -> None:
        self._answered[outcome,].observe(time.monotonic() - request.complete_at)

    def _account_of(self, request: Incoming, in_path: str | None) -> str:
        """Return the account of a request, if it has been resolved or the request names a known one; otherwise ""."""
        if request.account is not None:
            return request.account
        named = [*(request.accounts if request.is_parsed else ()), in_path or ""]
        return next((name for name in named if name in self.accounts.view.accounts), "")

    async def _callback(self, request: Incoming) -> Response:
        name, secret = request.name, request.rest
        provider = PROVIDERS.get(name)
        if provider is None:
            raise not_found()
        if provider.behind_path_secret and not _is_one_of(secret, await self._path_secrets(provider, request)):
            raise not_found("wrong_path_secret")
        if request.method not in provider.methods:
            allow = ", ".join(sorted(provider.methods))
            raise Refused(405, "method_not_allowed", f"{name} callbacks must use {allow}.", {"Allow": allow})
        account = self.intake.account(request.accounts)
        request.account = account.id
        caller = self.intake.caller(request)
        self.intake.check_caller(caller, account.trusted_cidrs)
        async with self.intake.body(request, provider.max_body_bytes) as body:
            return await self._store(provider, account, request, body, caller)

    async def _path_secrets(self, provider: Provider, request: Incoming) -> Sequence[str]:
        """The valid path secrets for the account that a request names: the account's own, or else the deployment's.

        An unknown account is checked against the deployment's secrets, so that callers cannot probe which accounts
        exist.
        """
        named = request.accounts
        account = self.accounts.view.accounts.get(named[0]) if len(named) == 1 else None
        own = [] if account is None else accepted(await self._credentials(account, provider), PATH_SECRET)
        return own or self.settings.path_secrets(provider.name)

    async def _credentials(self, account: AccountConfig, provider: Provider) -> Mapping[str, str]:
        """The account's credentials, plus what the deployment requires."""
        try:
            return {**await self.credentials.of(account, provider.name), **self.settings.demands(provider.name)}
        except SecretMissing as missing:
            raise self.intake.unprovable(account.id, missing) from None

    async def _store(
        self, provider: Provider, account: AccountConfig, request: Incoming, body: bytes, caller: str
    ) -> Response:
        headers, query, secret = request.headers, request.query, request.rest
        url, *other_urls = [base + request.target for base in self.settings.public_urls]
        # The deployment's path secret has been checked by now; `verify` gets any other.
        claims = [None] if provider.behind_path_secret else claims_of(secret)
        bodies = dict.fromkeys((body, request.sent_body or body))  # a signature may cover either form
        forms = [
            CallbackRequest(request.method, url, query, headers, sent, claim, tuple(other_urls))
            for claim, sent in itertools.product(claims, bodies)
        ]
        try:
            credentials = await self._credentials(account, provider)
            if len(body) > LONG_BODY:
                await asyncio.to_thread(_verify, provider, forms, credentials)
            else:
                _verify(provider, forms, credentials)
        except NotAuthentic as refused:
            is_hidden = secret is not None and not provider.behind_path_secret
            told = not_found(refused.code) if is_hidden else Refused(403, refused.code, str(refused))
            raise told from None
        self.intake.check_rate(account)
        await self.intake.store(
            request,
            Sender(
                provider.name,
                account.id,
                caller,
                provider.behind_path_secret or bool(credentials or account.trusted_cidrs),
                credentials,
            ),
            path=storable_path(provider.name, secret),
            path_secret=None if secret is None else secret.strip("/"),
            body=body,
            answer_within=provider.answer_within,
        )
        answer = provider.answer(forms[0])
        return Response(answer.body, 200, media_type=answer.content_type)


def longest_wait(usual: float) -> float:
    """The longest time, in seconds, that any provider waits for an answer; `usual` is the default."""
    waits = [*(p.answer_within for p in PROVIDERS.values()), *(n.answer_within for n in NETWORKS.values())]
    return max(usual, *(wait or 0.0 for wait in waits))


def create_app(settings: IngestSettings, ingest: Ingest | None = None) -> FastAPI:
    """Return the FastAPI application for this service, or for a new one."""
    ingest = ingest or Ingest(settings)
    app = FastAPI(
        title="trackly ingest",
        lifespan=ingest.lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry=NO_TELEMETRY,
    )
    app.add_middleware(CallbackRoutes, routes={"webhook-feedbacks": ingest.callback, "postbacks": ingest.postback})
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


def server(settings: IngestSettings) -> HttpServer:
    """Return the HTTP server, not yet started."""
    ingest = Ingest(settings)
    http = http_server(create_app(settings, ingest), settings.host, settings.port, settings.limits(), TolerantProtocol)
    ingest.on_misfit = http.fail
    return http


def _is_one_of(secret: str | None, right: Sequence[str]) -> bool:
    """Whether a path secret equals one of these, with or without the slashes around it."""
    return any(claim is not None and is_secret(claim, right) for claim in claims_of(secret))


def _response(refused: Refused, request: Incoming) -> Response:
    """The response to a refused request; it has no body where the provider would text it to the person who wrote."""
    is_forward = request.method == "GET" or "form" in next(iter(request.values("content-type")), "")
    if is_forward and request.name in PROVIDERS and PROVIDERS[request.name].texts_answers:
        return Response(status_code=refused.status, headers=dict(refused.headers))
    return refusal(refused)


def _verify(provider: Provider, forms: list[CallbackRequest], credentials: Mapping[str, str]) -> None:
    """Check a callback's proof in each of its forms. Raises NotAuthentic if none of them passes."""
    for number, request in enumerate(forms, 1):
        try:
            return provider.verify(request, credentials)
        except NotAuthentic:
            if number == len(forms):
                raise
