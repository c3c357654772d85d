"""What a rule gives: the row after a record, and the events; and what removes a contact or brings it back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from schemas.ids import derived_id
from schemas.records import (
    ClickEvent,
    ContactCommand,
    ContactState,
    DeliveryEvent,
    InboundMessage,
    LinkClick,
    MessageCallback,
    Receipt,
    ReplyEvent,
    SentEvent,
    TrackedLink,
    UnsubscribeEvent,
)
from streams.row import ContactRow

Event = SentEvent | DeliveryEvent | ReplyEvent | UnsubscribeEvent | ClickEvent | MessageCallback | TrackedLink

STRENGTH: dict[str, int] = {
    "bad_response": 0,
    "message": 1,
    "invalid_contact": 2,
    "manual": 2,
    "complaint": 2,
}
"""A reason is replaced only by a stronger one. START undoes `message`; an operator undoes all of them."""

COMMAND_PROVIDER = "trackly"
"""Stands as provider in the event of a removal that no provider reported."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The row after a record, and the events that it gives, in order. No effect: the same row, no events."""

    row: ContactRow
    events: tuple[Event | ContactState, ...] = ()

    @property
    def of_contact(self) -> tuple[Event | ContactState, ...]:
        """The events that tell whether the contact may be texted."""
        return tuple(event for event in self.events if isinstance(event, UnsubscribeEvent | ContactState))

    @property
    def of_message(self) -> tuple[Event | ContactState, ...]:
        """The events that tell what became of the message."""
        return tuple(event for event in self.events if not isinstance(event, UnsubscribeEvent | ContactState))

    @property
    def tells_sent(self) -> bool:
        """Whether the events tell that the message was sent."""
        return any(isinstance(event, SentEvent) for event in self.events)


class Cause(NamedTuple):
    """What a removal goes back to that is no report, reply or order: the registration of a message."""

    event_id: str
    account: str
    provider: str


Source = Receipt | InboundMessage | ContactCommand | Cause


def times(report: Receipt | InboundMessage | LinkClick) -> tuple[int, int]:
    """When it happened, and the latest that it can have happened by our own clock."""
    at = report.received_at if report.occurred_at is None else report.occurred_at
    return at, min(at, report.received_at)


def removed(row: ContactRow, reason: str, at: int, heard_at: int) -> ContactRow:
    """The row of a contact that must not be texted any more, for this reason or a stronger one."""
    removed_at = max(row.removed_at, heard_at)
    if row.active:
        return replace(row, active=False, reason=reason, since=at, removed_at=removed_at)
    if STRENGTH[reason] > STRENGTH.get(row.reason or "", -1):
        return replace(row, reason=reason, removed_at=removed_at)
    return replace(row, removed_at=removed_at)


def restored(row: ContactRow, at: int) -> ContactRow:
    """The row of a contact that may be texted again, with a count that begins anew."""
    counted_from = max(row.counted_from, at)
    if row.active:
        return replace(row, counted_from=counted_from)
    return replace(row, active=True, reason=None, since=at, counted_from=counted_from)


def outcome_of(
    before: ContactRow,
    after: ContactRow,
    events: list[Event],
    source: Source,
    list_number: str,
    number: str,
) -> Outcome:
    """The outcome, with the contact's new state where it differs in what the public state shows."""
    if (after.active, after.failures, after.reason) == (before.active, before.failures, before.reason):
        return Outcome(after, tuple(events))
    event_id = (events[-1] if events else source).event_id
    return Outcome(after, (*events, after.state(source.account, list_number, number, event_id)))


def unsubscribe_event(
    source: Source,
    number: str,
    list_number: str | None,
    keyword: str | None,
    reason: str,
    at: int,
) -> UnsubscribeEvent:
    # An opt-out from all lists is applied to each of them, and each gives an event of its own.
    all_lists = isinstance(source, InboundMessage) and source.opt_out_scope == "all"
    suffix = (list_number,) if all_lists and list_number else ()
    return UnsubscribeEvent(
        event_id=derived_id(source.event_id, "unsubscribe", *suffix),
        account=source.account,
        provider=COMMAND_PROVIDER if isinstance(source, ContactCommand) else source.provider,
        phone_number=number,
        list_number=list_number,
        keyword=keyword,
        reason=reason,
        timestamp=at,
    )
