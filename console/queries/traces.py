"""The trace of one message: its registration, reports, events, and webhooks, in order of time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import Connection, Row, or_, select

from accounts.urls import POLL
from console.queries.deliveries import Delivery, delivery_of
from console.queries.rows import TEXT, At, arguments_in
from database.tables import attempts, contact_changes, dead_webhooks, events, messages, receipts
from schemas.cloudevents import iso_time
from schemas.ids import derived_id
from schemas.masking import masked
from schemas.records import EndpointConfig

MOST = 200
"""Rows of each kind in a trace, oldest first. A provider can repeat a report at will."""

_NUMBER = re.compile(r"\+?[0-9]{8,}")

Kind = Literal["registered", "receipt", "event", "contact", "attempt", "skipped", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened. `outcome` names its result: `changed the state`, `ignored`, `2xx`, `timeout`.

    `after_ms` is the time since the step before. `text` is text from outside: a provider's words, a receiver's answer.
    `source` is the place (topic/partition/offset) of the raw callback, `place` that of the event. A skipped step has no
    time: it did not happen.
    """

    kind: Kind
    at: At | None
    title: str
    outcome: str
    facts: dict[str, str] = field(default_factory=dict)
    text: str | None = field(default=None, metadata=TEXT)
    event_id: str | None = None
    place: str | None = None
    source: str | None = None
    after_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A delivery with its causes and consequences. `complete` is false if rows were left out."""

    delivery: Delivery
    steps: tuple[Step, ...]
    complete: bool


def trace(
    connection: Connection,
    account: str,
    provider: str,
    provider_message_id: str,
    endpoints: Sequence[EndpointConfig],
) -> Trace | None:
    """Return a message's trace, or None if the read model lacks it. `endpoints` are the account's current ones."""
    identity = (account, provider, provider_message_id)
    found = _rows(connection, messages, identity, "account", "provider", "provider_message_id")
    if not found:
        return None
    delivery = delivery_of(found[0])
    reports = _rows(connection, receipts, identity, "account", "provider", "provider_message_id")
    told = _events_of(connection, account, delivery.message_id, provider_message_id)
    ids = [row.event_id for row in told]
    tried = _of_events(connection, attempts, account, ids)
    dead = _of_events(connection, dead_webhooks, account, ids)
    causes = [derived_id(row.event_id, event) for row in reports for event in ("unsubscribe", "removed")]
    changes = _of_events(connection, contact_changes, account, causes, number=found[0].number)
    came = {derived_id(row.event_id, "delivery"): row.received_at for row in reports}
    steps = [
        *_registered(delivery),
        *(_receipt(row, set(ids)) for row in reports),
        *(_event(row, came) for row in told),
        *map(_change, changes),
        *map(_attempt, tried),
        *map(_dead, dead),
    ]
    steps.sort(key=lambda step: (step.at or 0, _ORDER.index(step.kind)))
    skipped = _skipped(told, {(row.event_id, row.endpoint) for row in (*tried, *dead)}, endpoints)
    complete = all(len(rows) < MOST for rows in (reports, told, tried, dead, changes))
    return Trace(delivery=delivery, steps=(*_with_deltas(steps), *skipped), complete=complete)


_ORDER: tuple[Kind, ...] = ("registered", "receipt", "event", "contact", "attempt", "dead", "skipped")
"""Causal order of steps in the same millisecond."""


def _rows(connection: Connection, table: Any, values: Sequence[str], *columns: str) -> Sequence[Row[Any]]:
    where = [table.c[column] == value for column, value in zip(columns, values, strict=True)]
    return connection.execute(select(table).where(*where).order_by(table.c.id).limit(MOST)).all()


def _events_of(connection: Connection, account: str, message_id: str, provider_message_id: str) -> Sequence[Row[Any]]:
    """Return a message's events. Those from before its registration have the provider's id instead of the sender's."""
    columns = events.c
    query = select(events).where(
        columns.account == account,
        columns.message_id.in_({message_id, provider_message_id}),
        or_(columns.provider_message_id.is_(None), columns.provider_message_id == provider_message_id),
    )
    return connection.execute(query.order_by(columns.id).limit(MOST)).all()


def _of_events(
    connection: Connection, table: Any, account: str, ids: Sequence[str], **more: str | None
) -> Sequence[Row[Any]]:
    if not ids:
        return []
    where = [table.c.account == account, table.c.event_id.in_(ids)]
    where += [table.c[column] == value for column, value in more.items()]
    return connection.execute(select(table).where(*where).order_by(table.c.id).limit(MOST)).all()


def _registered(delivery: Delivery) -> Iterator[Step]:
    if delivery.registered_at is not None:
        yield Step(
            kind="registered",
            at=delivery.registered_at,
            title="Registered by the sender",
            outcome="registered",
            facts={
                "List": delivery.list_number or "none",
                "Message ID": delivery.message_id,
                **{f"Tag {name}": value for name, value in arguments_in(delivery.tags).items()},
            },
        )


def _receipt(row: Row[Any], told: set[str]) -> Step:
    # The id of a report's event is derived from the report's own.
    changed = derived_id(row.event_id, "delivery") in told
    # A status is a single word; one that contains a number is not for every reader.
    said = _NUMBER.sub(lambda found: masked(found[0]), row.provider_status)
    facts = {"Status": f"{row.status} {row.status_detail}", "Provider's text": said}
    if row.provider_code is not None:
        facts["Code"] = row.provider_code
    return Step(
        kind="receipt",
        at=row.received_at,
        title=f"Report from {row.provider}",
        outcome="changed the state" if changed else "ignored: nothing new, late, a repeat, or still waiting",
        facts=facts,
        text=row.provider_text,
        event_id=row.event_id,
        source=row.source,
    )


def _event(row: Row[Any], came: Mapping[str, int]) -> Step:
    """Return an event's step. Its provider time may precede its report, but it is shown after it."""
    at = max(row.at, came.get(row.event_id, 0))
    return Step(
        kind="event",
        at=at,
        title=f"Event {row.event}",
        outcome="published",
        facts={} if at == row.at else {"Provider's time": iso_time(row.at)},
        event_id=row.event_id,
        place=row.place,
    )


def _change(row: Row[Any]) -> Step:
    return Step(
        kind="contact",
        at=row.at,
        title="Contact rule",
        outcome=row.change,
        facts={"Reason": row.reason or "none", "List": row.list_number or "none"},
        event_id=row.event_id,
    )


def _attempt(row: Row[Any]) -> Step:
    facts = {"Attempt": str(row.attempt), "Duration": f"{row.latency_ms} ms", "Event": row.event}
    if row.status is not None:
        facts["HTTP status"] = str(row.status)
    return Step(
        kind="attempt",
        at=row.at,
        title=f"Webhook to {row.endpoint}",
        outcome=row.outcome,
        facts=facts,
        text=row.response_head or None,
        event_id=row.event_id,
    )


def _dead(row: Row[Any]) -> Step:
    return Step(
        kind="dead",
        at=row.died_at,
        title=f"Webhook to {row.endpoint} was given up",
        outcome="dead" if row.delivered_at is None else "delivered by a replay",
        facts={"Attempts": str(row.attempts), "Error": row.error_class, "Event": row.event},
        event_id=row.event_id,
        place=row.place,
    )


def _skipped(
    told: Iterable[Row[Any]], tried: set[tuple[str, str]], endpoints: Sequence[EndpointConfig]
) -> Iterator[Step]:
    for row in told:
        for endpoint in endpoints:
            if (row.event_id, endpoint.id) not in tried:
                yield Step(
                    kind="skipped",
                    at=None,
                    title=f"No attempt to {endpoint.id}",
                    outcome=why_not(endpoint, row.event, row.list_number),
                    facts={"Event": row.event},
                    event_id=row.event_id,
                )


def why_not(endpoint: EndpointConfig, event: str, list_number: str | None) -> str:
    """Return why an endpoint got no webhook of an event, judged by its current settings."""
    if event not in endpoint.events:
        return f"it does not subscribe to {event}"
    if endpoint.lists and list_number not in endpoint.lists:
        return "it does not subscribe to this list"
    if endpoint.url == POLL:
        return "its receiver polls for its events"
    if not endpoint.enabled:
        return "it is paused: its webhooks wait" if endpoint.paused_reason else "it is disabled"
    return "no attempt yet, or it is no longer stored"


def _with_deltas(steps: Iterable[Step]) -> Iterator[Step]:
    before: int | None = None
    for step in steps:
        yield step if before is None or step.at is None else replace(step, after_ms=step.at - before)
        before = step.at
