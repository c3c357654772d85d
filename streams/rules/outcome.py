"""The outcome of a rule, the row after a record and its events, and the removal and restoration of contacts."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

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
"""Reasons that START undoes: the number's current holder consents to be texted."""

PROVIDER_LAYER, REPORT_LAYER = "provider", "report"
"""Besides the layers that read replies: the provider declares an opt-out, in a reply or in a report."""


class Cause(NamedTuple):
    """The cause of a change to a contact: a report, registration, reply, or command, and when it happened (ms).

    `told` is the id of its last event about a message, or its own. `message_id` is that message's id, `keyword` that of
    a reply's opt-out; the next two are what a confirmation of it needs. `layer` says how an opt-out was detected,
    `received_at` (ms) when its callback was received.
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


class ContactChange(Struct, frozen=True, gc=False):
    """The row after a record, and its events, in order. Without effect, the row is unchanged and there are no events.

    `cause`: why the row's answer to whether the contact may be texted has changed, if it has. The resulting events
    depend on more than one row: see `streams.rules.standing`.
    """

    row: ContactRow
    events: tuple[Event, ...] = ()
    cause: Cause | None = None


def time_of(report: InboundMessage | LinkClick) -> int:
    """Return when it happened, in ms: the provider's time, but no later than the receipt.

    Otherwise a provider whose clock runs ahead would outrank later events until its time has come.
    """
    return report.received_at if report.occurred_at is None else min(report.occurred_at, report.received_at)


def removed(row: ContactRow, reason: str, at: int) -> ContactRow:
    """Return the row of a contact removed for this reason or a stronger one; this ends a hold.

    A dated reason does not affect a contact that has consented since. The first one that no START undoes also ends what
    a START has brought back, even if it comes late.
    """
    if reason in DATED_REASONS and row.consented_at > at:
        return row
    outweighs = reason not in RENEWABLE and not row.active and row.reason in RENEWABLE
    if outweighs or at > row.removed_at:
        row = replace(row, removed_at=max(at, row.removed_at), except_lists=())
    if row.active:
        reason = reason if row.held is None else stronger(reason, row.held.reason)
        return replace(row, active=False, reason=reason, since=at, held=None)
    return replace(row, reason=stronger(reason, row.reason or ""))


def stronger(reason: str, known: str) -> str:
    """Return the stronger of two reasons."""
    return reason if REASON_STRENGTH[reason] > REASON_STRENGTH.get(known, -1) else known


def released(row: ContactRow, at: int) -> ContactRow:
    """Return the row of a contact that is no longer held: as if restored, but without new consent."""
    return replace(restored(row, at), consented_at=row.consented_at)


def restored(row: ContactRow, at: int) -> ContactRow:
    """Return the row of a contact that may be texted again, with its failures reset."""
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
