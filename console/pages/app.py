"""The pages' application: it runs beside the API in one process, and answers HTML where the API answers JSON."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute

from accounts.rates import RateLimits
from console.errors import ApiError, not_found, problem, validation_failed
from console.http.rate_limits import Rates
from console.pages import (
    alerts,
    assets,
    attempts,
    audit,
    brakes,
    codes,
    contact_lists,
    contacts,
    customer,
    dead,
    deliveries,
    endpoints,
    evidence,
    home,
    keys,
    overview,
    providers,
    receivers,
    rejected,
    replays,
    replies,
    sending_hours,
    signin,
    trends,
    users,
)
from console.pages.errors import error_page, sign_in_first
from console.pages.forms import checked_form
from console.pages.gate import PageGate
from console.pages.visitor import SignInNeeded
from console.parts import Parts
from console.signin.openid import COOKIE, COOKIE_SECONDS, OpenId, cookie_key
from inbound.server import NO_TELEMETRY

ROUTERS = (
    home.router,
    overview.router,
    trends.router,
    deliveries.router,
    replies.router,
    contacts.router,
    evidence.router,
    brakes.router,
    rejected.router,
    codes.router,
    dead.router,
    replays.router,
    attempts.router,
    endpoints.router,
    contact_lists.router,
    receivers.router,
    sending_hours.router,
    providers.router,
    alerts.router,
    keys.router,
    users.router,
    audit.router,
)


@cache
def _routes() -> list[BaseRoute]:
    """Return the routes of all pages, shared by all applications."""
    pages = APIRouter()
    for router in ROUTERS:
        pages.include_router(router, dependencies=[Depends(checked_form)])
    pages.include_router(signin.router)
    pages.include_router(customer.router)
    return pages.routes


def create_pages(parts: Parts) -> FastAPI:
    """Return the application, to be mounted at `/`."""
    app = FastAPI(openapi_url=None, routes=_routes(), telemetry=NO_TELEMETRY)
    app.state.parts = parts
    settings = parts.settings
    app.state.customer_rates = Rates(settings)
    app.state.customer_forms = RateLimits()
    app.state.openid = OpenId(settings) if settings.oidc_issuer else None
    if settings.oidc_issuer:
        app.add_middleware(
            SessionMiddleware,
            secret_key=cookie_key(settings),
            session_cookie=COOKIE,
            max_age=COOKIE_SECONDS,
            path="/sign-in",
            https_only=settings.is_behind_tls,
        )
    app.add_middleware(PageGate, settings=settings)
    app.add_route(assets.PATH + "{name}", assets.serve)
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(HTTPException, _no_page)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(SignInNeeded, sign_in_first)
    app.add_exception_handler(Exception, _failed)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error_page(request, error)


async def _no_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return error_page(request, not_found("There is no such page."))
    return error_page(request, ApiError(error.status_code, "refused", "This cannot be done.", str(error.detail)))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return error_page(request, validation_failed([problem(each) for each in error.errors()]))


async def _failed(request: Request, error: Exception) -> Response:
    return error_page(
        request, ApiError(500, "internal_error", "Something failed in the console.", "The console's log says what.")
    )
