"""The pages for a customer who has opened a link: one endpoint, and nothing else of its account.

They are separate from the console's pages: users do not see them, and a customer's cookie only opens these. Every
answer is about the session's endpoint; no path or field can name another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from accounts.model import config_key
from accounts.urls import POLL
from bus.clock import now_ms
from console.access.callers import TheParts
from console.changes import endpoints as changes
from console.changes.acts import Act
from console.changes.replays import order, shown
from console.errors import ApiError, conflict, not_found, not_ours, rate_limited, validation_failed
from console.http.browser_security import SAFE_METHODS, is_token
from console.http.fields import RowId
from console.pages.attempts import OUTCOMES as ATTEMPT_OUTCOMES
from console.pages.endpoints import OVERLAPS
from console.pages.replays import OUTCOMES
from console.pages.shell import page
from console.parts import Parts
from console.principals import Principal
from console.queries.attempts import AttemptsFilter, attempt, event_body, list_attempts
from console.queries.endpoints import endpoints
from console.queries.filters import millis_of
from console.signin import customers
from console.signin.customers import CustomerSession
from operations.endpoints import CUSTOMER, activated, paused, resumed_by_customer
from operations.replays import ENDED, Order
from operations.trials import Trial
from outbound.bodies import SHAPES
from outbound.outcomes import meaning_of
from schemas.records import EndpointConfig

router = APIRouter(prefix=customers.PATH)

SPANS = {"1h": "the last hour", "24h": "the last 24 hours", "7d": "the last 7 days"}
ATTEMPTS = 50

FORMS_A_SECOND, FORMS_AT_ONCE = 0.5, 10
"""Form rate of one customer: each form writes to Kafka or calls the endpoint."""


Text = Annotated[str, Form(max_length=200)]


@dataclass(frozen=True, slots=True)
class Customer:
    """The session and its current endpoint. `csrf` is the token that every form must carry."""

    session: CustomerSession = field(repr=False)
    principal: Principal
    endpoint: EndpointConfig

    @property
    def csrf(self) -> str:
        """The token of the forms."""
        return self.session.csrf


async def _customer(request: Request, parts: TheParts) -> Customer:
    """Return the customer. Raises ApiError: 404 without a valid session, 403 for a forged form, 429."""
    token = request.cookies.get(customers.cookie_name(parts.settings.is_behind_tls))
    session = None if not token else await parts.reads(customers.find, token, now_ms())
    if session is None:
        raise _no_session()
    request.app.state.customer_rates.take(session.link.id)
    if request.method not in SAFE_METHODS:
        wait = request.app.state.customer_forms.take(session.link.id, FORMS_A_SECOND, FORMS_AT_ONCE)
        if wait > 0:
            raise rate_limited(ceil(wait))
    if request.method not in SAFE_METHODS and not is_token((await request.form()).get("csrf"), session.csrf):
        raise not_ours()
    endpoint = parts.accounts.endpoints.get(f"{session.link.account}/{session.link.endpoint}")
    if endpoint is None:
        raise _no_session()
    if session.is_due:
        await parts.writes(customers.touch, session.token, now_ms())
    return Customer(session, session.principal, endpoint)


TheCustomer = Annotated[Customer, Depends(_customer)]


@router.get("/open/{token}")
async def before_opening(request: Request, token: str, parts: TheParts) -> Response:
    """Show a button first: a program that merely follows links, such as a mail filter, must not use one up."""
    if await parts.reads(customers.link_of, token, now_ms()) is None:
        raise _no_link()
    return page(request, "customer/open.html")


@router.post("/open/{token}")
async def open_link(request: Request, token: str, parts: TheParts) -> Response:
    """Use the link."""
    session = await parts.writes(customers.use_link, token, now_ms())
    if session is None:
        raise _no_link()
    told, account = f"endpoint {session.link.endpoint}", session.link.account
    await Act(request, parts, session.principal).audit("customer.open", told, accounts=[account])
    answer = RedirectResponse(customers.PATH, 303)
    settings = parts.settings
    customers.set_cookie(answer, session.token, secure=settings.is_behind_tls, embedded=bool(settings.embed_origins))
    return answer


@router.get("")
async def show(
    request: Request,
    parts: TheParts,
    customer: TheCustomer,
    wanted: Annotated[AttemptsFilter, Query()],
) -> Response:
    """The endpoint: its state, possible actions, its attempts, and how to verify its webhooks."""
    return await _one(request, parts, customer, customer.endpoint, wanted=wanted)


@router.get("/attempts/{attempt_id}")
async def show_attempt(request: Request, attempt_id: RowId, parts: TheParts, customer: TheCustomer) -> Response:
    """One request to the endpoint: where it went, its outcome, and what that means."""
    found = await parts.reads(attempt, customer.endpoint.account, attempt_id)
    if found is None or found.endpoint != customer.endpoint.id:
        raise not_found("There is no such attempt. Attempts are kept for a limited time.")
    meaning = meaning_of(found.error_class, found.status)
    body = await parts.reads(event_body, customer.endpoint.account, found.event_id)
    return page(request, "customer/attempt.html", attempt=found, meaning=meaning, body=body)


@router.post("/test")
async def send_test(request: Request, parts: TheParts, customer: TheCustomer, event: Text = "delivery") -> Response:
    """Send a signed test, and show what the endpoint answers."""
    trial = await changes.try_endpoint(Act(request, parts, customer.principal), customer.endpoint, event)
    return await _one(request, parts, customer, customer.endpoint, trial=trial)


@router.post("/pause")
async def pause(request: Request, parts: TheParts, customer: TheCustomer) -> Response:
    """Pause the endpoint until it is resumed."""
    return await _changed(request, parts, customer, "pause", partial(paused, now=now_ms(), reason=CUSTOMER))


@router.post("/resume")
async def resume(request: Request, parts: TheParts, customer: TheCustomer) -> Response:
    """End a pause, unless an operator made it."""
    return await _changed(request, parts, customer, "resume", resumed_by_customer)


@router.post("/rotate")
async def rotate(
    request: Request,
    parts: TheParts,
    customer: TheCustomer,
    overlap: Annotated[int, Form()] = 24,
    again: Annotated[bool, Form()] = False,
) -> Response:
    """Create a new secret and show it once."""
    after, secret = await changes.rotate(Act(request, parts, customer.principal), customer.endpoint, overlap, again)
    return await _one(request, parts, customer, after, secret=secret)


@router.post("/activate")
async def activate(request: Request, parts: TheParts, customer: TheCustomer) -> Response:
    """Let the new secret sign alone from now on."""
    return await _changed(request, parts, customer, "activate", activated)


@router.post("/replay")
async def replay(
    request: Request, parts: TheParts, customer: TheCustomer, outcome: Text = "failed", since: Text = "24h"
) -> Response:
    """Replay webhooks, one replay at a time."""
    if outcome not in OUTCOMES or since not in SPANS:
        raise validation_failed([f"outcome, since: must be among {', '.join((*OUTCOMES, *SPANS))}"])
    account, name = customer.endpoint.account, config_key(customer.endpoint)
    known = parts.replays.of_account(account)
    if any(each.command.endpoint == name and each.state not in ENDED for each in known):
        raise conflict("A replay to this endpoint is in progress; wait until it has ended.")
    wanted = Order(name, outcome, from_at=millis_of(since, now_ms()))
    await order(Act(request, parts, customer.principal), account, [wanted])
    return RedirectResponse(f"{customers.PATH}?notice=ordered", 303)


@router.post("/leave")
async def leave(request: Request, parts: TheParts, customer: TheCustomer) -> Response:
    """End this session."""
    await parts.writes(customers.end, customer.session.token)
    return page(request, "customer/left.html")


async def _changed(request: Request, parts: Parts, customer: Customer, what: str, changed: Any) -> Response:
    await changes.change(Act(request, parts, customer.principal), customer.endpoint, f"endpoint.{what}", changed)
    notice = {"pause": "paused", "resume": "resumed", "activate": "activated"}[what]
    return RedirectResponse(f"{customers.PATH}?notice={notice}", 303)


async def _one(
    request: Request,
    parts: Parts,
    customer: Customer,
    config: EndpointConfig,
    secret: str | None = None,
    trial: Trial | None = None,
    wanted: AttemptsFilter | None = None,
) -> Response:
    (found,) = await parts.reads(endpoints, config.account, [config], now_ms())
    # Whatever a customer asks for, it is about its own endpoint.
    chosen = (wanted or AttemptsFilter()).model_copy(update={"account": None, "endpoint": None, "limit": ATTEMPTS})
    own = chosen.model_copy(update={"endpoint": config.id})
    name = config_key(config)
    replays = [shown(each) for each in parts.replays.of_account(config.account) if each.command.endpoint == name]
    return page(
        request,
        "customer/one.html",
        customer=customer,
        endpoint=found,
        is_polled=config.url == POLL,
        secret=secret,
        trial=trial,
        wanted=chosen,
        attempts=await parts.reads(list_attempts, config.account, own),
        attempt_outcomes=ATTEMPT_OUTCOMES,
        replays=replays[:5],
        outcomes=OUTCOMES,
        spans=SPANS,
        events=[shape.event for shape in SHAPES.values()],
        overlaps=OVERLAPS,
    )


def _no_link() -> ApiError:
    message = "It has been used, has expired, or was revoked. Ask whoever sent it for a new one."
    return ApiError(404, "not_found", "This link does not work.", message)


def _no_session() -> ApiError:
    message = "Your session has ended, or the endpoint no longer exists. Ask for a new link."
    return ApiError(404, "not_found", "You are not signed in here.", message)
