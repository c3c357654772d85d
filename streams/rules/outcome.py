"""What a rule gives: the row after a record, and the events; and what removes a contact or brings it back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from schemas.records import (
    DATED_REASONS,
    REASON_STRENGTH,
    ClickEvent,
    DeliveryEvent,
    InboundMessage,
    LinkClick,
    MessageCallback,
    RemovedEvent,
    ReplyEvent,
    RestoredEvent,
    SentEvent,
    TrackedLink,
    UnsubscribeEvent,
)
from streams.row import ContactRow

Event = (
    SentEvent
    | DeliveryEvent
    | ReplyEvent
    | UnsubscribeEvent
    | RemovedEvent
    | RestoredEvent
    | ClickEvent
    | MessageCallback
    | TrackedLink
)

CONFIRMATION = 300_000
"""Milliseconds within which one confirmation of an opt-out may be sent: 47 CFR 64.1200(a)(12), five minutes."""

OPT_OUT = "message"
"""The reason of a contact that asked to be left alone."""

RENEWABLE = DATED_REASONS | {OPT_OUT}
"""Reasons that START undoes: whoever has the number now says that it may be texted."""

PROVIDER_LAYER, REPORT_LAYER = "provider", "report"
"""Beside the layers that read replies: the provider calls a reply an opt-out, or its report says so."""

COMMAND_PROVIDER = "trackly"
"""Stands as provider in the event of a removal that no provider reported."""


class Cause(NamedTuple):
    """What a change of a contact goes back to: a report, registration, reply or order, and when it happened (ms).

    `told` is the id of the last event that it gave about a message, or its own. `message_id` is that
    message's, `keyword` that of an opt-out by a reply, the next two what a confirmation of one needs to know. `layer`
    says how an opt-out was found, `received_at` when (ms) its callback came.
    """

    event_id: str
    account: str
    provider: str
    at: int
    told: str
    message_id: str | None = None
    keyword: str | None = None
    answered_by_provider: bool | None = None
    confirm_until: int | None = None
    layer: str | None = None
    received_at: int | None = None


@dataclass(frozen=True, slots=True)
class ContactChange:
    """The row after a record, and the events that it gives, in order. No effect: the same row, no events.

    `cause`: why the row says something else of whether the contact may be texted, where it does. What is told of that
    hangs on more than one row: see `streams.rules.standing`.
    """

    row: ContactRow
    events: tuple[Event, ...] = ()
    cause: Cause | None = None


def time_of(report: InboundMessage | LinkClick) -> int:
    """When it happened, in ms: what the provider says, but never later than it was received.

    A provider whose clock is ahead would else outdo what happens later, until its time has come.
    """
    return report.received_at if report.occurred_at is None else min(report.occurred_at, report.received_at)


def removed(row: ContactRow, reason: str, at: int) -> ContactRow:
    """The row of a contact that must not be texted any more, for this reason or a stronger one: a hold ends so.

    A dated reason leaves alone who has agreed since.
    """
    if reason in DATED_REASONS and row.consented_at > at:
        return row
    if at > row.removed_at:
        row = replace(row, removed_at=at, except_lists=())
    if row.active:
        reason = reason if row.held is None else stronger(reason, row.held.reason)
        return replace(row, active=False, reason=reason, since=at, held=None)
    return replace(row, reason=stronger(reason, row.reason or ""))


def stronger(reason: str, known: str) -> str:
    """The reason that stands where there are two."""
    return reason if REASON_STRENGTH[reason] > REASON_STRENGTH.get(known, -1) else known


def released(row: ContactRow, at: int) -> ContactRow:
    """The row of a contact that is held no more: as if it were restored, but that it has agreed to nothing."""
    return replace(restored(row, at), consented_at=row.consented_at)


def restored(row: ContactRow, at: int) -> ContactRow:
    """The row of a contact that may be texted again, with a count that begins anew."""
    counted_from = max(row.counted_from, at)
    counted = tuple(message for message in row.counted if message.at > counted_from)
    since = row.since if row.active else at
    return replace(
        row,
        active=True,
        ruled=None,
        reason=None,
        since=since,
        counted_from=counted_from,
        counted=counted,
        consented_at=max(row.consented_at, at),
        opted_out=False,
        stops=(),
        except_lists=(),
        held=None,
    )
