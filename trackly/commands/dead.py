"""`trackly dead`: webhooks that were given up."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated, Any

import typer

from operations.replays import Order
from schemas.records import DeadWebhook
from trackly.commands.replay import order_replays
from trackly.decoding import time_text
from trackly.listing import Account, Limit, Since, chosen, millis_since, newest, print_newest, print_one
from trackly.output import Json, Yes, confirm, say
from trackly.reading import check_account, current_accounts
from trackly.writing import endpoint_named

dead = typer.Typer(no_args_is_help=True, add_completion=False)


@dead.callback()
def _dead() -> None:
    """Dead letters: webhooks whose retries ran out."""


@dead.command("list")
def list_dead(
    endpoint: Annotated[str | None, typer.Option(help="Only this endpoint: account/endpoint, or endpoint.")] = None,
    account: Account = None,
    since: Since = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List dead letters, newest last."""

    def is_wanted(record: Any) -> bool:
        owner, _, name = record.endpoint.partition("/")
        return endpoint in (None, record.endpoint, name) and account in (None, owner)

    found = asyncio.run(newest("webhooks_dead", DeadWebhook, "died_at", is_wanted, since, limit))
    print_newest(
        found,
        as_json,
        ("died at", "endpoint", "event", "attempts", "last status", "error", "event id"),
        lambda r: (
            str(time_text(r.died_at)),
            r.endpoint,
            r.event,
            str(r.attempts),
            "" if r.last_status is None else str(r.last_status),
            r.error_class,
            r.event_id,
        ),
    )
    if not found.records:
        check_account(account)
        if endpoint is not None:
            _check_endpoint(endpoint)


def _check_endpoint(name: str) -> None:
    """Raise Failed if no endpoint has this name, with or without its account. A deleted one may have dead letters."""
    view = current_accounts()
    if name not in (each.id for each in view.endpoints.values()):
        endpoint_named(view, name)


@dead.command("show")
def show_dead(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="Its webhook-id.")],
    endpoint: Annotated[str | None, typer.Option(help="Only this endpoint: account/endpoint.")] = None,
    as_json: Json = False,
) -> None:
    """Show one dead letter: its body, the last error, and when and how often it was attempted."""

    def is_wanted(record: Any) -> bool:
        return bool(record.event_id == event_id) and endpoint in (None, record.endpoint)

    found = asyncio.run(newest("webhooks_dead", DeadWebhook, "died_at", is_wanted, None, 1))
    print_one(found, f"dead webhook {event_id}", as_json)


@dead.command("replay")
def replay_dead(
    event_ids: Annotated[list[str] | None, typer.Argument(metavar="EVENT_ID", help="Only these webhook-ids.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only this endpoint: account/endpoint.")] = None,
    since: Since = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Send dead letters again, with the same body and webhook-id, and with all retries if needed.

    They stay in the dead letters for their 30 days, whatever the outcome.
    """
    if not event_ids and endpoint is None:
        raise typer.BadParameter("name event IDs, or --endpoint for all of its dead letters", param_hint="EVENT_ID")
    if endpoint is not None:
        endpoint_named(current_accounts(), endpoint)

    def is_wanted(record: Any) -> bool:
        return (not event_ids or record.event_id in event_ids) and endpoint in (None, record.endpoint)

    ids = event_ids or ()
    found = asyncio.run(chosen("webhooks_dead", DeadWebhook, "died_at", is_wanted, since, ids, "dead webhook"))
    # A webhook given up again after a replay has several records.
    records = [record for record in found.records if "/~" not in record.endpoint]
    if len(records) < len(found.records):
        say("Callbacks of single messages are left out: they belong to no endpoint.")
    counts = Counter(endpoint for endpoint, _ in {(record.endpoint, record.event_id) for record in records})
    if not counts:
        say("There is nothing to send again.")
        return
    if not yes:
        confirm(f"Send {counts.total()} webhooks again, to {', '.join(sorted(counts))}?")
    begin = 0 if since is None else millis_since(since)
    orders = [Order(name, "dead", event_ids=tuple(ids), from_at=begin) for name in sorted(counts)]
    order_replays(orders, as_json)
