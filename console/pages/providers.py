"""Settings > Providers."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from accounts.secrets import SecretMissing, resolve
from console.callers import TheParts
from console.clock import now_ms
from console.errors import not_found
from console.pages.shell import page
from console.pages.visitor import TheVisitor
from console.principals import Role
from console.queries.providers import seen_of
from operations.providers import STATES, Seen, setup_of, setups, url_of
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
    """One provider: the URL to paste, the three steps, what it was seen to do. Admins see the URL's secret."""
    if provider not in PROVIDERS and provider not in NETWORKS:
        raise not_found("There is no such provider.")
    seen = await parts.reads(seen_of, visitor.account)
    config = parts.accounts.accounts[visitor.account]
    base = parts.settings.callbacks_url
    setup = setup_of(provider, config, base, seen.get(provider, Seen()), now_ms())
    url = setup.url
    if visitor.role >= Role.ADMIN:
        url = url_of(provider, config, base, await asyncio.to_thread(_secrets, config, provider))
    return page(request, "providers/show.html", visitor, setup=setup, url=url, states=STATES)


def _secrets(config: AccountConfig, provider: str) -> dict[str, str]:
    """The account's secrets for a provider that can be had here."""
    references = config.postbacks if provider in NETWORKS else config.providers.get(provider, {})
    found = {}
    for name, reference in references.items():
        try:
            found[name] = resolve(reference)
        except SecretMissing:
            continue  # a file or variable of ingest's machine: the URL shows … in its place
    return found
