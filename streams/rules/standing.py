"""The events of a change in whether a contact may be texted, combining its list's row with the account-wide one."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from accounts.suppression import effective_state, unrecorded
from schemas.ids import derived_id
from schemas.records import COMMAND_PROVIDER, NO_KEYWORD, ContactState, RemovedEvent, RestoredEvent, UnsubscribeEvent
from streams.row import ContactRow
from streams.rules.outcome import OPT_OUT, Cause, Event


class NumberRows(NamedTuple):
    """A number's rows on one list and account-wide."""

    own: ContactRow | None
    whole: ContactRow | None


class Subject(NamedTuple):
    """The subject of the rows. `list_number` is None in an account without lists.

    `is_whole`: the account-wide row changed, which produces an event for each list.
    """

    account: str
    list_number: str | None
    number: str
    is_whole: bool = False


def says(row: ContactRow | None) -> tuple[object, ...]:
    """Return a row's answer to whether its contact may be texted."""
    if row is None:
        return True, 0, None, False, (), None
    hold = None if row.held is None else row.held.reason
    return row.active, row.failures, row.reason, row.opted_out, row.except_lists, hold


def standing(rows: NumberRows, place: Subject, event_id: str = "") -> ContactState:
    """Return a contact's effective state. `event_id` is that of its cause."""
    listed = place.list_number or ""
    own, whole = (
        None if row is None else row.state(place.account, each, place.number, event_id)
        for row, each in ((rows.own, listed), (rows.whole, ""))
    )
    recorded = own or replace(unrecorded(place.account, listed, place.number), last_event_id=event_id)
    return effective_state(recorded, whole)


def change_events(
    before: NumberRows, after: NumberRows, place: Subject, cause: Cause, at: int, last: str
) -> list[Event | ContactState]:
    """Return the events of a change, in order, the new state last. `at` is when it happened (ms), `last` the id of the
    previous event."""
    old, new = standing(before, place), standing(after, place, last)
    events: list[Event | ContactState] = []
    event: Event | None = None
    if _has_opted_out(after, place) and not _has_opted_out(before, place):
        event = _unsubscribe_event(new.reason, place, cause, at)
    elif _is_removed(new) and not _is_removed(old):
        event = _removed_event(new.reason, place, cause, at)
    elif new.active and _is_removed(old):
        event = _restored_event(place, cause, at)
    if event is not None:
        events.append(event)
        last = event.event_id
    if place.list_number is not None and _shown(old) != _shown(new):
        events.append(standing(after, place, last))
    return events


def _is_removed(state: ContactState) -> bool:
    # A held contact was never reported as removed, so the end of the hold is not reported either.
    return not state.active and not state.held


def _has_opted_out(rows: NumberRows, place: Subject) -> bool:
    """Whether the contact itself opted out of the list, by whatever reason it is out."""
    own, whole = rows
    is_out = whole is not None and not whole.active and (place.list_number or "") not in whole.except_lists
    return (own is not None and own.opted_out) or (is_out and whole is not None and whole.opted_out)


def _event_id(event: str, place: Subject, cause: Cause) -> str:
    # An account-wide change produces an event for each list.
    return derived_id(cause.event_id, event, *((place.list_number,) if place.is_whole and place.list_number else ()))


def _unsubscribe_event(reason: str | None, place: Subject, cause: Cause, at: int) -> UnsubscribeEvent:
    return UnsubscribeEvent(
        event_id=_event_id("unsubscribe", place, cause),
        account=place.account,
        provider=cause.provider,
        phone_number=place.number,
        list_number=place.list_number,
        keyword=cause.keyword or NO_KEYWORD,
        # A contact that was out for another reason keeps it if it is the stronger one.
        reason=reason if reason == "complaint" else OPT_OUT,
        timestamp=at,
        answered_by_provider=cause.answered_by_provider,
        confirm_until=cause.confirm_until,
        layer=cause.layer,
        received_at=cause.received_at,
    )


def _removed_event(reason: str | None, place: Subject, cause: Cause, at: int) -> RemovedEvent:
    return RemovedEvent(
        event_id=_event_id("removed", place, cause),
        account=place.account,
        provider=cause.provider,
        phone_number=place.number,
        list_number=place.list_number,
        reason=reason or "",
        message_id=cause.message_id,
        timestamp=at,
        received_at=cause.received_at,
    )


def _restored_event(place: Subject, cause: Cause, at: int) -> RestoredEvent:
    return RestoredEvent(
        event_id=_event_id("restored", place, cause),
        account=place.account,
        provider=cause.provider,
        phone_number=place.number,
        list_number=place.list_number,
        reason="manual" if cause.provider == COMMAND_PROVIDER else OPT_OUT,
        timestamp=at,
    )


def _shown(state: ContactState) -> tuple[object, ...]:
    return state.active, state.failures, state.reason, state.scope, state.held
