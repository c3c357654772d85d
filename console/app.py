"""The console's HTTP service: its connections and application."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from accounts.keys import ApiKeys
from accounts.store import AccountsReader, ApiKeysReader
from bus.clock import now_ms
from bus.ending import CRASH_SECONDS, end_within
from bus.garbage import collect_by_plan
from bus.health import Health
from bus.producer import Producer
from bus.reading.replica import Replica
from bus.tables.store import RocksStore
from bus.version import version
from bus.watch import Watch
from console.access.gate import OPENAPI, ApiGate
from console.api import (
    account,
    alerts,
    attempts,
    audit,
    brakes,
    codes,
    contact_lists,
    contacts,
    dead,
    deliveries,
    endpoints,
    evidence,
    messages,
    places,
    providers,
    receivers,
    rejected,
    replays,
    replies,
    sending_hours,
    statistics,
    suppression,
)
from console.api import keys as api_keys
from console.api_document import document
from console.backends.database import Reads, Writes
from console.backends.idempotency import KafkaClaims, first_counts
from console.backends.kafka_writer import KafkaWriter
from console.backends.key_uses import KeyUses
from console.backends.polled_events import KafkaEvents
from console.backends.raw_callbacks import KafkaRawCallbacks
from console.backends.replays import ReplaysReader
from console.contacts.lost_records import LostRecords
from console.contacts.pending_orders import PendingOrders, row_of
from console.contacts.places import ContactPlaces
from console.contacts.sent_messages import SentMessages, a_day_ago
from console.contacts.sent_messages import row_of as sent_row
from console.contacts.view import ContactsView
from console.errors import ApiError, method_not_allowed, not_found, problem, validation_failed
from console.http.browser_security import PlainCookies, SecurityHeaders
from console.http.problems import answer_of
from console.http.request_bodies import MAX_DIGITS
from console.pages.app import create_pages
from console.parts import Parts
from console.settings import ConsoleSettings
from console.signin import customers
from console.signin.first import EMAIL, leave_first_link
from console.signin.middleware import Sessions
from database.engine import open_engine
from database.migrating import migrate
from inbound.server import NO_TELEMETRY, HttpServer, http_server
from operations.trials import refusal_of
from registry.app import create_app as registry
from schemas.codec import Codec
from schemas.registry import registry_for

log = logging.getLogger(__name__)

READERS = 8
"""Concurrent database queries; more wait."""

API = (
    account.router,
    sending_hours.router,
    codes.router,
    contact_lists.router,
    receivers.router,
    messages.router,
    suppression.router,
    places.router,
    contacts.router,
    evidence.router,
    brakes.router,
    deliveries.router,
    endpoints.router,
    attempts.router,
    dead.router,
    replays.router,
    rejected.router,
    providers.router,
    alerts.router,
    api_keys.router,
    audit.router,
    replies.router,
    statistics.router,
)
"""Routes that answer JSON or CSV."""

MACHINE_PATHS = ("/api/", "/registry", "/livez", "/readyz", "/metrics")
"""Paths for programs; everything else is a page."""

ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"description": "`missing_api_key` or `invalid_api_key`"},
    403: {"description": "`forbidden`: the role in this account is too low"},
    404: {"description": "`not_found`, also for data of another account"},
    409: {"description": "`conflict`: it does not fit the current state"},
    412: {"description": "`changed_meanwhile`: the settings have changed since you read the ETag in `If-Match`"},
    413: {"description": "`validation_failed`: the body is too large"},
    422: {"description": "`validation_failed`: `message` lists each place and problem"},
    429: {"description": "`rate_limited`, with Retry-After"},
    503: {"description": "`not_available`, with Retry-After: Kafka does not answer, or the state is too old"},
}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error", "code", "message"],
    "properties": {name: {"type": "string"} for name in ("error", "code", "message")},
    "example": {
        "error": "The request is not valid; nothing was done.",
        "code": "validation_failed",
        "message": "messages[3].to: is missing.",
    },
}
for _error in ERRORS.values():
    _error["content"] = {"application/json": {"schema": _ERROR_SCHEMA}}


_REPEATED = frozenset({"tag"})
"""Parameters of URLs that take several values."""


def _given_once(request: Request) -> None:
    """Refuse a parameter with two values: FastAPI would take the last one, and a replay or a count would not be the one
    that was asked for."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    twice = [name for name, count in given.items() if count > 1 and name not in _REPEATED]
    if twice:
        raise validation_failed([f"{name}: is given more than once" for name in twice])


@cache
def _api_routes() -> list[BaseRoute]:
    """Return the API's routes, shared by all applications: inspecting their parameters takes a second."""
    router = APIRouter(responses=ERRORS)
    # The gate has already checked the key; these two tell the OpenAPI document how it is sent.
    schemes = [Depends(APIKeyHeader(name="X-Api-Key", auto_error=False)), Depends(HTTPBearer(auto_error=False))]
    for routes in API:
        for route in routes.routes:
            if isinstance(route, APIRoute):  # the `operationId`, which names the methods of generated clients
                route.operation_id = route.name
        router.include_router(routes, dependencies=[*schemes, Depends(_given_once)])
    return router.routes


class Console:
    """The service: its connections. Raises StoreInUse if another process uses its directory."""

    def __init__(self, settings: ConsoleSettings) -> None:
        codec = Codec(registry_for(settings.schema_registry_url))
        catalogue = settings.catalogue
        self._settings = settings
        self.health = Health("console", settings)
        self.keys = ApiKeysReader(settings, codec)
        self._accounts = AccountsReader(settings, codec)
        self._producer = Producer(settings, linger_ms=5, delivery_timeout=settings.api_timeout)
        writer = KafkaWriter(self._producer, codec, catalogue, settings.api_timeout)

        def store(name: str) -> RocksStore:
            # Most numbers that are checked have no record.
            return RocksStore(settings.directory / name, knows_keys=True)

        contacts = Replica(settings, catalogue["contacts"], store("contacts"), versioned=True)
        self.health.progress.append(lambda: sum(contacts.positions.values()))
        orders = Replica(settings, catalogue["commands"], store("commands"), partial(row_of, codec), since=now_ms)
        sent = Replica(settings, catalogue["messages"], store("messages"), partial(sent_row, codec), since=a_day_ago)
        self._sent = SentMessages(sent, self._counts)
        losses = Replica(settings, catalogue["losses"], RocksStore(settings.directory / "losses"))
        lost = LostRecords(settings, codec, losses, str(settings.directory / "losses"))
        self._view = ContactsView(settings, codec, contacts, PendingOrders(orders), self._sent, lost)
        places = Replica(settings, catalogue["places"], store("places"))
        self._places = ContactPlaces(codec, places)
        requests = Replica(
            settings,
            catalogue["api_requests"],
            RocksStore(settings.directory / "requests"),
            partial(first_counts, codec),
        )
        self._claims = KafkaClaims(requests, codec, writer, settings.api_timeout)
        self._replays = ReplaysReader(settings, codec)
        self._database = open_engine(settings.database)
        self._readers = open_engine(settings.database, read_only=True, pool_size=READERS)
        self.parts = Parts(
            settings,
            self._accounts.view,
            self._view,
            self._places,
            writer,
            self._claims,
            Reads(self._readers),
            Writes(self._database),
            self._database,
            KafkaRawCallbacks(settings, codec),
            self._replays.view,
            self.keys.view,
            lambda url, allow_http: refusal_of(url, settings, allow_http),
            KafkaEvents(settings, codec),
        )
        self.on_misfit: Callable[[Exception], None] = lambda error: None
        self._watch = Watch(settings, self._producer, self.health, lambda error: self.on_misfit(error))
        checks = (self._producer.problem, self._view.not_ready, self._places.not_ready, lambda: requests.problem)
        self.health.checks += checks
        self.health.gauge("contacts_age_seconds", self._view.age)
        self.health.gauge("lost_records", lambda: lost.doubts.count)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Connect before the first request, flush after the last."""
        await asyncio.to_thread(self._prepare_database)
        steps = (
            self._producer,
            self._accounts,
            self.keys,
            self._replays,
            self._claims,
            self._places,
            self._sent,
            self._view,
        )
        started: list[Any] = []
        try:
            for step in steps:
                started.append(step)
                await step.start()
            self._watch.start()
            collect_by_plan()
            self.health.ready = True
            yield
        finally:
            self.health.ready = False
            end_within(CRASH_SECONDS, "stopping")
            await self._watch.stop()
            for step in reversed(started):
                await step.stop()
            self._readers.dispose()
            self._database.dispose()

    def _counts(self) -> bool:
        """Whether any account has a cap."""
        return any(self.parts.hours.of(account).policy.counts for account in self._accounts.view.accounts.values())

    def _prepare_database(self) -> None:
        migrate(self._database)
        file = leave_first_link(self._database, self._settings.data_dir, self._settings.address, now_ms())
        if file is not None:
            log.warning(
                "nobody has signed in yet. The first admin signs in once with the link in the file %s, or with one "
                "made by `trackly users link %s`", file.absolute(), EMAIL,
            )  # fmt: skip


_ABOUT: dict[str, Any] = {
    "title": "trackly",
    "version": version(),
    "summary": "Register messages, remove and restore contacts, ask who may be texted.",
}


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of `/api/openapi.json`, without a console."""
    return document(_ABOUT, _api_routes())


def create_app(parts: Parts, keys: ApiKeys, health: Health, lifespan: Any = None) -> FastAPI:
    """Return the FastAPI application."""
    app = FastAPI(
        **_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=OPENAPI,
        routes=_api_routes(),
        telemetry=NO_TELEMETRY,
    )
    app.openapi = cache(openapi)  # type: ignore[method-assign]
    app.state.parts = parts
    for path, answer in (("/livez", health.livez), ("/readyz", health.readyz), ("/metrics", health.metrics)):
        app.add_route(path, answer)
    # Schemas are not secret, and topic readers have no API key.
    app.mount("/registry", registry(parts.settings.catalogue))
    app.add_middleware(_PagesBeside, pages=create_pages(parts))
    app.add_middleware(ApiGate, keys=keys, settings=parts.settings, uses=KeyUses(parts.database))
    app.add_middleware(Sessions, engine=parts.database, settings=parts.settings)
    settings = parts.settings
    app.add_middleware(
        SecurityHeaders, behind_tls=settings.is_behind_tls, embedded=customers.PATH, embed=settings.embed_origins
    )
    app.add_middleware(PlainCookies)
    app.add_middleware(_Counted, health=health)
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failed)
    return app


def server(settings: ConsoleSettings) -> HttpServer:
    """Return the HTTP server, not yet started. Raises StoreInUse."""
    console = Console(settings)
    sys.set_int_max_str_digits(MAX_DIGITS)
    app = create_app(console.parts, console.keys.view, console.health, console.lifespan)
    http = http_server(app, settings.host, settings.port, settings.limits())
    console.on_misfit = http.fail
    return http


class _PagesBeside:
    """Routes everything but the API to the pages, an application of its own whose errors are pages."""

    def __init__(self, app: ASGIApp, pages: ASGIApp) -> None:
        self._app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and not scope["path"].startswith(MACHINE_PATHS)
        await (self._pages if is_page else self._app)(scope, receive, send)


class _Counted:
    """Counts requests by route, as written in the OpenAPI document, and status."""

    def __init__(self, app: ASGIApp, health: Health) -> None:
        self._app = app
        self._requests = health.counter("requests")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                self._requests.labels(route, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted if scope["type"] == "http" else send)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return answer_of(error)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return answer_of(not_found(f"There is nothing at this path; {OPENAPI} lists what there is."))
    if error.status_code == 405:
        return answer_of(method_not_allowed(_methods(request)))
    return answer_of(validation_failed([f"body: {error.detail}"]))


def _methods(request: Request) -> set[str]:
    """Return the methods of all routes of a path; the framework only names those of the first one."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    fitting = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return {method for route in fitting for method in route.methods or ()}


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return answer_of(validation_failed([problem(each) for each in error.errors()]))


async def _failed(request: Request, error: Exception) -> Response:
    message = (
        "The console's log says what. Send the request again with the same Idempotency-Key: whatever is already "
        "stored is not done twice."
    )
    return answer_of(ApiError(500, "internal_error", "Something failed in the console.", message))
