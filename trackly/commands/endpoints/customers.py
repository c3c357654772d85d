"""`trackly endpoints customer-link` and `end-customer-links`: an endpoint's page for its customer."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from bus.clock import now_ms
from bus.settings import BusSettings
from console.signin.customers import HOUR_MS, LINK_HOURS, MOST_LINK_HOURS, new_link, path_of, revoke
from schemas.codec import Codec
from schemas.registry import registry_for
from trackly.audit import write_down
from trackly.commands.endpoints.trials import Endpoint
from trackly.console_database import console_address, console_database
from trackly.decoding import time_text
from trackly.output import Json, json_line, say, show
from trackly.reading import current_accounts
from trackly.writing import endpoint_named, producing


def customer_link(
    endpoint: Endpoint,
    hours: Annotated[
        int, typer.Option(min=1, max=MOST_LINK_HOURS, help="Hours within which the link can be opened.")
    ] = LINK_HOURS,
    as_json: Json = False,
) -> None:
    """Create a one-time link to an endpoint's page for its customer, and show it once."""
    config = endpoint_named(current_accounts(), endpoint)
    now = now_ms()
    with console_database() as connection:
        _write_down("customer.link", config.account, config.id, valid_hours=hours)
        link, token = new_link(connection, config.account, config.id, now, hours)
    url = console_address() + path_of(token)
    if as_json:
        json_line({"id": link.id, "url": url, "expires_at": time_text(now + hours * HOUR_MS)})
    else:
        show(url)
        say(f"It opens the page of {endpoint} to its customer, once, within {hours} hours, and nothing else.")


def end_customer_links(endpoint: Endpoint) -> None:
    """End all links to an endpoint's page, and the sessions that they opened. Also works for a deleted endpoint."""
    account, _, name = endpoint.partition("/")
    with console_database() as connection:
        _write_down("customer.end", account, name)
        ended = revoke(connection, account, name)
    say(f"{ended} links and sessions of {endpoint} have ended.")


def _write_down(action: str, account: str, endpoint: str, **details: int) -> None:
    asyncio.run(_entry(action, account, endpoint, details))


async def _entry(action: str, account: str, endpoint: str, details: dict[str, int]) -> None:
    settings = BusSettings()
    codec = Codec(registry_for(settings.schema_registry_url))
    async with producing(settings) as producer:
        await write_down(producer, settings, codec, action, f"endpoint {endpoint}", account, **details)
