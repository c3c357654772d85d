"""Settings > Webhooks."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy import Connection
from starlette.responses import Response

from accounts.checks import EVENTS, FORMATS
from bus.clock import now_ms
from console.access.callers import TheParts
from console.changes import endpoints as changes
from console.changes.acts import Act
from console.changes.customers import CustomerLink, end_links, make_link
from console.changes.settings import version_of
from console.errors import ApiError, conflict
from console.pages import charts
from console.pages.charts import Chart
from console.pages.shell import done, page
from console.pages.visitor import Administrator, Supporter, TheVisitor, Visitor
from console.parts import Parts
from console.queries import series
from console.queries.endpoints import Endpoint, endpoints
from console.queries.series import Span
from console.queries.statistics import DAY, TAKEN
from console.signin.customers import LINK_HOURS, MOST_LINK_HOURS
from operations.endpoints import activated, paused, resumed
from operations.trials import Trial
from outbound.bodies import SHAPES
from schemas.records import EndpointConfig

router = APIRouter(prefix="/accounts/{account}/webhooks")

Text = Annotated[str, Form(max_length=2_000)]
Choices = Annotated[list[str], Form()]

PERCENTILES = (0.5, 0.95, 0.99)
LINK_HOURS_CHOICES = {1: "1 hour", LINK_HOURS: "24 hours", MOST_LINK_HOURS: "7 days"}

OVERLAPS = {0: "none: the old secret stops now", 1: "1 hour", 24: "24 hours", 72: "72 hours"}


def _settings(
    url: Text = "",
    description: Text = "",
    events: Choices = [],  # noqa: B006
    lists: Choices = [],  # noqa: B006
    format: Text = "json",
) -> dict[str, Any]:
    """Return the form's content by settings file key, omitting an empty description."""
    values = {"url": url, "events": events, "lists": lists, "format": format}
    return values | ({"description": description} if description else {})


Settings = Annotated[dict[str, Any], Depends(_settings)]


@router.get("")
async def show_endpoints(request: Request, parts: TheParts, visitor: TheVisitor) -> Response:
    """The endpoints, their states in words, and their last 24 hours."""
    configs = parts.accounts.endpoints_of(visitor.account)
    found = await parts.reads(endpoints, visitor.account, configs, now_ms())
    return page(request, "endpoints/list.html", visitor, endpoints=found)


@router.get(f"/{changes.NEW}")
async def new_endpoint(request: Request, visitor: Administrator) -> Response:
    """The form of a new endpoint."""
    return _form(request, visitor, {"events": ["delivery", "unsubscribe", "reply"]})


@router.post(f"/{changes.NEW}")
async def create(
    request: Request,
    parts: TheParts,
    visitor: Administrator,
    settings: Settings,
    id: Text = "",
) -> Response:
    """Create an endpoint, and show its secret once."""
    given = {"id": id, **settings}
    try:
        made, secret = await changes.put(Act(request, parts, visitor.principal), visitor.account, given, is_new=True)
    except ApiError as error:
        return _form(request, visitor, given, error)
    return await _one(request, parts, visitor, made, secret=secret)


@router.get("/{endpoint}")
async def show_endpoint(request: Request, endpoint: str, parts: TheParts, visitor: TheVisitor) -> Response:
    """One endpoint: its state, possible actions, and how to verify its webhooks."""
    return await _one(request, parts, visitor, changes.endpoint_named(parts, visitor.account, endpoint))


@router.get("/{endpoint}/edit")
async def edit(request: Request, endpoint: str, parts: TheParts, visitor: Administrator) -> Response:
    """The form of its settings."""
    config = changes.endpoint_named(parts, visitor.account, endpoint)
    return _form(request, visitor, _values_of(config), version=version_of(config))


@router.post("/{endpoint}/edit")
async def update(
    request: Request,
    endpoint: str,
    parts: TheParts,
    visitor: Administrator,
    settings: Settings,
    version: Annotated[str, Form(max_length=16)],
) -> Response:
    """Change its settings, unless they have changed since the form was loaded. What the form does not show stays."""
    config = changes.endpoint_named(parts, visitor.account, endpoint)
    given = _values_of(config) | settings
    try:
        await changes.put(Act(request, parts, visitor.principal), visitor.account, given, is_new=False, version=version)
    except ApiError as error:
        return _form(request, visitor, given, error, version)
    return done(visitor, f"/webhooks/{endpoint}", "saved")


@router.post("/{endpoint}/pause")
async def pause(request: Request, endpoint: str, parts: TheParts, visitor: Supporter) -> Response:
    """Pause the endpoint until it is resumed."""
    await _changed(request, parts, visitor, endpoint, "endpoint.pause", partial(paused, now=now_ms()))
    return done(visitor, f"/webhooks/{endpoint}", "paused")


@router.post("/{endpoint}/resume")
async def resume(request: Request, endpoint: str, parts: TheParts, visitor: Supporter) -> Response:
    """End a pause."""
    await _changed(request, parts, visitor, endpoint, "endpoint.resume", resumed)
    return done(visitor, f"/webhooks/{endpoint}", "resumed")


@router.post("/{endpoint}/rotate")
async def rotate(
    request: Request,
    endpoint: str,
    parts: TheParts,
    visitor: Administrator,
    overlap: Annotated[int, Form()] = 24,
    again: Annotated[bool, Form()] = False,
) -> Response:
    """Create a new secret and show it once."""
    config = changes.endpoint_named(parts, visitor.account, endpoint)
    after, secret = await changes.rotate(Act(request, parts, visitor.principal), config, overlap, again)
    return await _one(request, parts, visitor, after, secret=secret)


@router.post("/{endpoint}/activate")
async def activate(request: Request, endpoint: str, parts: TheParts, visitor: Administrator) -> Response:
    """Let the new secret sign alone from now on."""
    await _changed(request, parts, visitor, endpoint, "endpoint.activate", activated)
    return done(visitor, f"/webhooks/{endpoint}", "activated")


@router.post("/{endpoint}/customer-link")
async def link_customer(
    request: Request,
    endpoint: str,
    parts: TheParts,
    visitor: Administrator,
    hours: Annotated[int, Form()] = LINK_HOURS,
) -> Response:
    """Create a link for the endpoint's customer, and show it once."""
    config = changes.endpoint_named(parts, visitor.account, endpoint)
    link = await make_link(Act(request, parts, visitor.principal), config, hours)
    return await _one(request, parts, visitor, config, link=link)


@router.post("/{endpoint}/customer-links/end")
async def end_customers(request: Request, endpoint: str, parts: TheParts, visitor: Administrator) -> Response:
    """End all links and sessions of its customer."""
    config = changes.endpoint_named(parts, visitor.account, endpoint)
    await end_links(Act(request, parts, visitor.principal), config)
    return done(visitor, f"/webhooks/{endpoint}", "customers-out")


@router.post("/{endpoint}/test")
async def try_endpoint(
    request: Request, endpoint: str, parts: TheParts, visitor: Supporter, event: Text = "delivery"
) -> Response:
    """Send a signed test, and show what the endpoint answers."""
    config = changes.endpoint_named(parts, visitor.account, endpoint)
    trial = await changes.try_endpoint(Act(request, parts, visitor.principal), config, event)
    return await _one(request, parts, visitor, config, trial=trial)


@router.post("/{endpoint}/delete")
async def delete(request: Request, endpoint: str, parts: TheParts, visitor: Administrator, name: Text = "") -> Response:
    """Delete it, if its name was typed."""
    config = changes.endpoint_named(parts, visitor.account, endpoint)
    if name != config.id:
        raise conflict(f"Type {config.id} to delete it.")
    await changes.delete(Act(request, parts, visitor.principal), config)
    return done(visitor, "/webhooks", "deleted")


async def _changed(
    request: Request, parts: Parts, visitor: Visitor, endpoint: str, action: str, changed: Any
) -> EndpointConfig:
    config = changes.endpoint_named(parts, visitor.account, endpoint)
    return await changes.change(Act(request, parts, visitor.principal), config, action, changed)


async def _one(
    request: Request,
    parts: Parts,
    visitor: Visitor,
    config: EndpointConfig,
    secret: str | None = None,
    trial: Trial | None = None,
    link: CustomerLink | None = None,
) -> Response:
    found, shown = await parts.reads(_look, visitor.account, config, now_ms())
    return page(
        request,
        "endpoints/one.html",
        visitor,
        endpoint=found,
        charts=shown,
        secret=secret,
        trial=trial,
        link=link,
        link_hours=LINK_HOURS_CHOICES,
        events=[shape.event for shape in SHAPES.values()],
        overlaps=OVERLAPS,
    )


def _look(connection: Connection, account: str, config: EndpointConfig, now: int) -> tuple[Endpoint, list[Chart]]:
    (found,) = endpoints(connection, account, [config], now)
    span = Span.ending(now, DAY)
    latencies = series.latencies(connection, account, span, PERCENTILES, config.id)
    return found, [
        charts.webhook_outcomes(series.outcomes(connection, account, span, config.id), span, TAKEN),
        charts.latency_percentiles(latencies.get(config.id, {}), span),
    ]


def _form(
    request: Request,
    visitor: Visitor,
    values: dict[str, Any],
    error: ApiError | None = None,
    version: str = "",
) -> Response:
    """Return the form; `version` is that of the settings that it changes, empty for a new endpoint."""
    return page(
        request,
        "endpoints/form.html",
        visitor,
        200 if error is None else error.status,
        values=values,
        error=error,
        version=version,
        known_events=EVENTS,
        formats=FORMATS,
    )


def _values_of(config: EndpointConfig) -> dict[str, Any]:
    """Return an endpoint by settings file keys; its secrets stay."""
    values: dict[str, Any] = {
        "id": config.id,
        "url": config.url,
        "events": list(config.events),
        "lists": list(config.lists),
        # A pause is not a setting and stays on its own.
        "enabled": config.enabled or config.paused_at is not None,
        "retry_schedule": list(config.retry_schedule),
        "headers": dict.fromkeys(config.headers, "***"),
        "format": config.format,
        "batch_events": config.batch_events,
        "notify": list(config.notify),
        "list_rate_limits": dict(config.list_rate_limits),
    }
    optional = {"description": config.description or None, "rate_limit": config.rate_limit}
    return values | {name: value for name, value in optional.items() if value is not None}
