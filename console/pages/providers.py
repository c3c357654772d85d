"""Settings > Providers."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from accounts.secrets import SecretMissing, resolve
from bus.clock import now_ms
from console.access.callers import TheParts
from console.changes.accounts import set_credentials
from console.changes.acts import Act
from console.errors import ApiError, not_found
from console.pages.shell import done, page
from console.pages.visitor import Administrator, TheVisitor, Visitor
from console.parts import Parts
from console.principals import Role
from console.queries.providers import seen_of
from operations.credentials import credentials_of, stored_for
from operations.providers import STATES, ProviderActivity, setup_of, setups, url_of
from providers import NETWORKS, PROVIDERS
from schemas.records import AccountConfig

router = APIRouter(prefix="/accounts/{account}/providers")


@router.get("")
async def list_providers(request: Request, parts: TheParts, visitor: TheVisitor) -> Response:
    """Every provider and network with its state."""
    seen = await parts.reads(seen_of, visitor.account)
    config = parts.accounts.accounts[visitor.account]
    found = setups(config, parts.settings.callbacks_url, seen, now_ms())
    return page(request, "providers/list.html", visitor, found=found, states=STATES)


@router.get("/{provider}")
async def show_provider(request: Request, provider: str, parts: TheParts, visitor: TheVisitor) -> Response:
    """One provider: the URL to paste, the three steps, its activity. Admins see the URL's secret."""
    return await _page(request, parts, visitor, _known(provider))


@router.post("/{provider}")
async def save_credentials(request: Request, provider: str, parts: TheParts, visitor: Administrator) -> Response:
    """Set the form's values, and remove what is ticked; empty fields stay unchanged."""
    form = await request.form()
    given: dict[str, str | None] = {}
    for name in credentials_of(_known(provider)):
        value = str(form.get(name, ""))
        if value or f"remove-{name}" in form:
            given[name] = value or None
    try:
        await set_credentials(Act(request, parts, visitor.principal), visitor.account, provider, given)
    except ApiError as error:
        return await _page(request, parts, visitor, provider, error)
    return done(visitor, f"/providers/{provider}", "saved")


async def _page(
    request: Request, parts: Parts, visitor: Visitor, provider: str, error: ApiError | None = None
) -> Response:
    seen = await parts.reads(seen_of, visitor.account)
    config = parts.accounts.accounts[visitor.account]
    base = parts.settings.callbacks_url
    setup = setup_of(provider, config, base, seen.get(provider, ProviderActivity()), now_ms())
    url = setup.url
    if visitor.role >= Role.ADMIN:
        url = url_of(provider, config, base, await asyncio.to_thread(_secrets, config, provider))
    return page(
        request,
        "providers/show.html",
        visitor,
        200 if error is None else error.status,
        setup=setup,
        url=url,
        states=STATES,
        credentials={name: name in stored_for(config, provider) for name in credentials_of(provider)},
        error=error,
    )


def _known(provider: str) -> str:
    if provider not in PROVIDERS and provider not in NETWORKS:
        raise not_found("There is no such provider.")
    return provider


def _secrets(config: AccountConfig, provider: str) -> dict[str, str]:
    """Return the account's secrets for a provider, as far as they are available here."""
    found = {}
    for name, reference in stored_for(config, provider).items():
        try:
            found[name] = resolve(reference)
        except SecretMissing:
            continue  # a file or variable on ingest's machine: the URL shows … instead
    return found
