"""`/api/endpoints`: where an account's webhooks go."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from accounts.urls import POLL
from bus.clock import now_ms
from console.access.callers import Administrator, Caller, PolledEndpoint, Supporter, TheCaller, TheParts
from console.api.lists import ListAnswer
from console.changes import endpoints as changes
from console.changes.acts import Act
from console.changes.customers import CustomerLink, end_links, make_link
from console.changes.settings import etag_of
from console.errors import conflict, validation_failed
from console.http.fields import IfMatch, Item, Secret, StrictBody
from console.parts import Parts
from console.principals import Role
from console.queries.endpoints import Endpoint, endpoints
from console.queries.filters import millis_of
from console.queries.paging import BadCursor
from console.queries.polled_events import MAX_CURSOR, EventPage, cursor_of
from console.signin.customers import LINK_HOURS, MOST_LINK_HOURS
from operations.endpoints import activated, paused, resumed
from schemas.records import EndpointConfig

router = APIRouter(tags=["Webhooks"])


EndpointName = Annotated[str, Path(max_length=64, description="Name of the endpoint.", examples=["crm"])]


class EndpointSettings(StrictBody):
    """Settings of an endpoint, as in a settings file."""

    url: str = Field(
        max_length=2_000,
        description=(
            "https URL that receives the webhooks; `poll`: nothing is sent, and the receiver polls for its events."
        ),
        examples=["https://crm.example.com/trackly"],
    )
    events: list[Item] = Field(
        default=["delivery", "unsubscribe", "reply"], max_length=20, description="Events that it gets."
    )
    lists: list[Item] = Field(
        default=[], max_length=1_000, description="Only events of these lists; empty: of all lists."
    )
    description: str = Field(default="", max_length=500)
    enabled: bool = True
    format: str = Field(default="json", max_length=20, description="`json` or `cloudevents`.")
    batch_events: int = Field(default=1, description="Events per request, 1 to 100.")
    rate_limit: float | None = Field(default=None, description="Maximum requests per second.")
    list_rate_limits: dict[Item, float] = Field(
        default={}, max_length=1_000, description="Maximum events per second, by list number."
    )
    retry_schedule: list[Item] = Field(
        default=[], max_length=20, description="Which of the deployment's delays to use; empty: all."
    )
    notify: list[Item] = Field(
        default=[],
        max_length=10,
        description="Email addresses that are notified when it is paused, if the deployment has an SMTP server.",
        examples=[["ops@crm.example.com"]],
    )
    headers: dict[Item, Secret] = Field(
        default={}, max_length=20, description="Headers of each request; `***` keeps a stored value."
    )


class NewEndpoint(EndpointSettings):
    """A new endpoint."""

    id: str = Field(max_length=64, description="Its name: letters, digits, dots, and dashes.", examples=["billing"])
    secret: str | None = Field(
        default=None,
        max_length=500,
        description="Secret that signs the webhooks. If you give none, one is generated and shown once.",
    )


class Rotation(StrictBody):
    """How long the current secret keeps signing along with the new one."""

    overlap_hours: int = Field(default=24, ge=0, le=720)
    again: bool = Field(default=False, description="Replace the new secret of a rotation in progress.")


class NewCustomerLink(StrictBody):
    """A link for a customer."""

    valid_hours: int = Field(
        default=LINK_HOURS, ge=1, le=MOST_LINK_HOURS, description="How long the link can be opened."
    )


class TrialEvent(StrictBody):
    """What is sent."""

    event: str = Field(default="delivery", max_length=40, examples=["delivery"])


@dataclass(frozen=True, slots=True)
class WithSecret:
    """An endpoint, and its generated secret, which is shown only once; null if none was generated."""

    endpoint: Endpoint
    secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The request that was sent, and its outcome. `refusal`: why the address may not be called, or what is wrong with
    its certificate.
    """

    headers: dict[str, str] = field(repr=False)
    body: str
    status: int | None
    error_class: str | None
    ms: int
    answer: str
    refusal: str | None


@router.get("/api/endpoints", summary="List endpoints")
async def get_endpoints(parts: TheParts, caller: TheCaller) -> ListAnswer[Endpoint]:
    """All endpoints of the account, on one page: what each gets, its state, and its last 24 hours."""
    configs = parts.accounts.endpoints_of(caller.account)
    return ListAnswer(list(await parts.reads(endpoints, caller.account, configs, now_ms())), None)


@router.post("/api/endpoints", status_code=201, summary="Create an endpoint")
async def create_endpoint(request: Request, body: NewEndpoint, parts: TheParts, caller: Administrator) -> WithSecret:
    """Create an endpoint. If you give no secret, one is generated and returned only in this answer."""
    values = body.model_dump(exclude_none=True)
    made, secret = await changes.put(Act(request, parts, caller.principal), caller.account, values, is_new=True)
    return WithSecret(await _shown(parts, made), secret)


@router.get("/api/endpoints/{endpoint}", summary="Show an endpoint")
async def get_endpoint(endpoint: EndpointName, response: Response, parts: TheParts, caller: TheCaller) -> Endpoint:
    """One endpoint. Send its ETag in `If-Match` when you change it."""
    config = changes.endpoint_named(parts, caller.account, endpoint)
    # Made of the whole settings, it would let others check guesses at what they may not see.
    if caller.role >= Role.ADMIN:
        response.headers["ETag"] = etag_of(config)
    return await _shown(parts, config)


@router.put("/api/endpoints/{endpoint}", summary="Change an endpoint")
async def update_endpoint(
    request: Request,
    response: Response,
    endpoint: EndpointName,
    body: EndpointSettings,
    parts: TheParts,
    caller: Administrator,
    if_match: IfMatch = None,
) -> Endpoint:
    """Replace the endpoint's settings; its secret, pause, and rotation stay. A new URL ends a pause."""
    changes.endpoint_named(parts, caller.account, endpoint)
    values = {"id": endpoint, **body.model_dump(exclude_none=True)}
    made, _ = await changes.put(
        Act(request, parts, caller.principal), caller.account, values, is_new=False, version=if_match
    )
    response.headers["ETag"] = etag_of(made)
    return await _shown(parts, made)


@router.delete("/api/endpoints/{endpoint}", status_code=204, summary="Delete an endpoint")
async def delete(request: Request, endpoint: EndpointName, parts: TheParts, caller: Administrator) -> Response:
    """Delete the endpoint. Its waiting webhooks are dropped when they become due."""
    await changes.delete(Act(request, parts, caller.principal), changes.endpoint_named(parts, caller.account, endpoint))
    return Response(status_code=204)


@router.post("/api/endpoints/{endpoint}/pause", summary="Pause an endpoint")
async def pause(request: Request, endpoint: EndpointName, parts: TheParts, caller: Supporter) -> Endpoint:
    """Send nothing until the endpoint is resumed. Its webhooks wait."""
    return await _changed(request, parts, caller, endpoint, "endpoint.pause", partial(paused, now=now_ms()))


@router.post("/api/endpoints/{endpoint}/resume", summary="Resume an endpoint")
async def resume(request: Request, endpoint: EndpointName, parts: TheParts, caller: Supporter) -> Endpoint:
    """End a pause, whatever its reason. Waiting webhooks are sent as they become due."""
    return await _changed(request, parts, caller, endpoint, "endpoint.resume", resumed)


@router.post("/api/endpoints/{endpoint}/rotate-secret", summary="Rotate the secret")
async def rotate(
    request: Request, endpoint: EndpointName, body: Rotation, parts: TheParts, caller: Administrator
) -> WithSecret:
    """Create a new secret and show it once. During the overlap both sign."""
    config = changes.endpoint_named(parts, caller.account, endpoint)
    after, secret = await changes.rotate(Act(request, parts, caller.principal), config, body.overlap_hours, body.again)
    return WithSecret(await _shown(parts, after), secret)


@router.post("/api/endpoints/{endpoint}/activate-secret", summary="End a rotation")
async def activate(request: Request, endpoint: EndpointName, parts: TheParts, caller: Administrator) -> Endpoint:
    """End the overlap: from now on only the new secret signs."""
    return await _changed(request, parts, caller, endpoint, "endpoint.activate", activated)


@router.post("/api/endpoints/{endpoint}/customer-links", status_code=201, summary="Create a link for a customer")
async def link_customer(
    request: Request,
    endpoint: EndpointName,
    body: Annotated[NewCustomerLink, Body(default_factory=NewCustomerLink)],
    parts: TheParts,
    caller: Administrator,
) -> CustomerLink:
    """Create a one-time link that opens this endpoint's page for its customer: state, attempts, test, pause, secret,
    replays. It shows nothing else of the account.
    """
    config = changes.endpoint_named(parts, caller.account, endpoint)
    return await make_link(Act(request, parts, caller.principal), config, body.valid_hours)


@router.delete("/api/endpoints/{endpoint}/customer-links", status_code=204, summary="End all customer links")
async def end_customers(request: Request, endpoint: EndpointName, parts: TheParts, caller: Administrator) -> Response:
    """End all links to this endpoint's page, and the sessions that they opened."""
    config = changes.endpoint_named(parts, caller.account, endpoint)
    await end_links(Act(request, parts, caller.principal), config)
    return Response(status_code=204)


@router.post("/api/endpoints/{endpoint}/test", summary="Test an endpoint")
async def try_endpoint(
    request: Request,
    endpoint: EndpointName,
    body: Annotated[TrialEvent, Body(default_factory=TrialEvent)],
    parts: TheParts,
    caller: Supporter,
) -> TrialResult:
    """Send a signed test event from the console, by default a delivery, and return the endpoint's answer."""
    config = changes.endpoint_named(parts, caller.account, endpoint)
    trial = await changes.try_endpoint(Act(request, parts, caller.principal), config, body.event)
    return TrialResult(
        trial.headers,
        trial.body.decode(),
        trial.outcome.status,
        trial.outcome.error_class,
        round(trial.seconds * 1000),
        trial.answer,
        trial.refusal,
    )


@router.get("/api/endpoints/{endpoint}/events", summary="Poll an endpoint's events")
async def poll(
    parts: TheParts,
    config: PolledEndpoint,
    after: Annotated[
        str | None,
        Query(
            max_length=MAX_CURSOR, description="`after` of the previous page; without it, begin with the oldest event."
        ),
    ] = None,
    since: Annotated[
        str | None,
        Query(
            max_length=40,
            description="Without `after`: begin at this time (with a zone), or this long ago (`24h`).",
            examples=["1h"],
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Maximum events per page.")] = 100,
) -> EventPage:
    """The events that the endpoint subscribes to, in order for each contact, whether or not webhooks are sent to it.

    Pass `after` of each page to get the next one. The same `after` returns the same events again, with the same IDs.
    The search for a page takes at most three seconds: it may be empty although `more` is true.
    """
    try:
        cursor = cursor_of(after, config)
    except BadCursor as error:
        raise validation_failed([f"after: {error}"]) from None
    try:
        begin = None if since is None else millis_of(since, now_ms())
    except ValueError as error:
        raise validation_failed([f"since: {error}"]) from None
    if config.url == POLL and not config.enabled:
        raise conflict("This endpoint is paused or disabled. Its events are kept for 30 days.")
    return await parts.events.read(config, cursor, begin, limit)


async def _changed(
    request: Request, parts: Parts, caller: Caller, endpoint: str, action: str, changed: Any
) -> Endpoint:
    config = changes.endpoint_named(parts, caller.account, endpoint)
    return await _shown(parts, await changes.change(Act(request, parts, caller.principal), config, action, changed))


async def _shown(parts: Parts, config: EndpointConfig) -> Endpoint:
    (found,) = await parts.reads(endpoints, config.account, [config], now_ms())
    return found
