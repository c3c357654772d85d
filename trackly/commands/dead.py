"""`trackly dead`: webhooks that were given up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Annotated, Any

import typer
from sqlalchemy import select

from database.engine import DatabaseUrlError
from database.settings import DatabaseSettings
from database.tables import dead_webhooks as table
from operations.replays import Order
from schemas.records import DeadWebhook
from trackly.asking import asking
from trackly.commands.replay import order_replays
from trackly.decoding import time_text
from trackly.errors import Failed
from trackly.listing import Account, Limit, Since, chosen, millis_since, newest, print_newest, print_one
from trackly.output import Json, Yes, confirm, say
from trackly.reading import check_account, current_accounts
from trackly.writing import endpoint_named

AT_ONCE = 500
"""Event ids in one question to the database."""

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
    """List dead letters, newest last, and which of them a replay has delivered since.

    The latter is known to the read model: without its database, `delivered_at` is left out.
    """

    def is_wanted(record: Any) -> bool:
        owner, _, name = record.endpoint.partition("/")
        return endpoint in (None, record.endpoint, name) and account in (None, owner)

    found = asyncio.run(newest("webhooks_dead", DeadWebhook, "died_at", is_wanted, since, limit))
    delivered = Delivered(found.records)
    print_newest(
        found,
        as_json,
        ("died at", "endpoint", "event", "attempts", "last status", "error", "delivered since", "event id"),
        lambda r: (
            str(time_text(r.died_at)),
            r.endpoint,
            r.event,
            str(r.attempts),
            "" if r.last_status is None else str(r.last_status),
            r.error_class,
            delivered.shown(r),
            r.event_id,
        ),
        delivered.fields,
    )
    if not as_json:
        delivered.say_if_unknown()
    if not found.records:
        check_account(account)
        if endpoint is not None:
            _check_endpoint(endpoint)


class Delivered:
    """When replays delivered these dead letters, as the read model knows. Kafka's log of attempts knows it too, but
    reading all of it takes minutes."""

    def __init__(self, records: Sequence[DeadWebhook]) -> None:
        self._at: dict[tuple[str, str], list[int]] = {}
        self._unknown: Exception | None = None
        try:
            if records:
                self._look({record.event_id for record in records})
        except (Failed, DatabaseUrlError) as error:
            self._unknown = error

    def _look(self, event_ids: Iterable[str]) -> None:
        rest = iter(event_ids)
        with asking(DatabaseSettings()) as connection:
            while some := list(islice(rest, AT_ONCE)):
                columns = (table.c.account, table.c.endpoint, table.c.event_id, table.c.delivered_at)
                rows = select(*columns).where(table.c.event_id.in_(some), table.c.delivered_at.is_not(None))
                for account, endpoint, event_id, at in connection.execute(rows):
                    self._at.setdefault((f"{account}/{endpoint}", event_id), []).append(at)

    def _since(self, record: DeadWebhook) -> int | None:
        # A webhook given up again after a replay has several records.
        times = self._at.get((record.endpoint, record.event_id), ())
        return min((at for at in times if at >= record.died_at), default=None)

    def fields(self, record: DeadWebhook) -> dict[str, Any]:
        """Return the field `delivered_at`; None: it was not delivered. No field: unknown."""
        at = self._since(record)
        return {} if self._unknown is not None else {"delivered_at": None if at is None else time_text(at)}

    def shown(self, record: DeadWebhook) -> str:
        """Return the time for people."""
        return "unknown" if self._unknown is not None else str(self.fields(record)["delivered_at"] or "")

    def say_if_unknown(self) -> None:
        """Say why it is unknown, if it is."""
        if self._unknown is not None:
            say(f"What replays have delivered since is unknown. {self._unknown}")


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
    """Show one dead letter: its body, the last error, when and how often it was attempted, and when a replay delivered
    it."""

    def is_wanted(record: Any) -> bool:
        return bool(record.event_id == event_id) and endpoint in (None, record.endpoint)

    found = asyncio.run(newest("webhooks_dead", DeadWebhook, "died_at", is_wanted, None, 1))
    delivered = Delivered(found.records)
    print_one(found, f"dead webhook {event_id}", as_json, delivered.fields)
    if not as_json:
        delivered.say_if_unknown()


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
