"""What a delivery receipt does to a contact and its message."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping

from schemas.ids import derived_id, sent_event_id
from schemas.records import DeliveryEvent, MessageSent, Receipt, SentEvent
from streams.row import ContactRow, MessageState
from streams.rules.callbacks import state_callback
from streams.rules.outcome import Cause, Event, Outcome, outcome_of, removed, times, unsubscribe_event
from streams.rules.states import (
    SENT_REPORTS,
    message_name,
    public_message_id,
    says_the_same,
    state_of,
    supersedes,
)

REMOVALS: Mapping[str, str] = {"complaint": "complaint", "invalid": "invalid_contact", "opt_out": "message"}
"""Status class that removes a contact at once -> reason."""

MIN_RECENT = 32
RECENT_PER_THRESHOLD = 4
"""A row keeps max(32, 4 x threshold) messages: a full run, and room for late reports of older messages."""


def apply_receipt(
    row: ContactRow | None,
    receipt: Receipt,
    message: MessageSent | None,
    list_number: str | None,
    threshold: int,
) -> Outcome:
    """What a delivery receipt does. `message` is the registered one; `threshold` the failures in a row that
    remove a contact. Without a list or a recipient only the message's state is kept: no contact is touched.
    """
    at, heard_at = times(receipt)
    before = row or ContactRow(since=at)
    name = message_name(receipt.provider, receipt.provider_message_id)
    known = before.message(name)
    was_sent = known is not None and known.sent
    # A registration has an event of its own that says so.
    is_sent = message is None and (receipt.provider, receipt.status_detail) in SENT_REPORTS
    state = state_of(receipt, name, at, was_sent or is_sent)
    if known is not None and not supersedes(state, known):
        if was_sent or not is_sent:
            return Outcome(before)
        state = known._replace(sent=True)

    recent = _with_state(before.recent, known, state, _bound(threshold))
    after = _with_recent(before, recent)
    changed = known is None or state.rank > known.rank or not says_the_same(state, known)
    events: list[Event] = []
    if is_sent and not was_sent:
        events.append(_sent_event(receipt, list_number, at))
    if changed:
        callback = state_callback(message, known, state, receipt.event_id) if message is not None else None
        if callback is not None:
            events.append(callback)
        events.append(_delivery_event(receipt, message, list_number, at))
    if list_number is None or receipt.to is None:
        return Outcome(after, tuple(events))
    reason = REMOVALS.get(receipt.status_class) if changed else None
    return _counted(before, after, events, reason, threshold, (at, heard_at), receipt, list_number, receipt.to)


def adopt_state(row: ContactRow | None, state: MessageState, message: MessageSent, threshold: int, now: int) -> Outcome:
    """Count the state of a message for the list of its registration, which came after its reports had gone out.

    What it says of the contact holds; what it says of the message has been told. `now` is our own clock, in ms.
    """
    before = row or ContactRow(since=state.at)
    known = before.message(state.key)
    if known is not None and not supersedes(state, known):
        return Outcome(before)
    after = _with_recent(before, _with_state(before.recent, known, state, _bound(threshold)))
    reason = REMOVALS.get(state.status_class)
    when = state.at, min(state.at, now)
    return _counted(before, after, [], reason, threshold, when, _cause(message), message.list_number, message.to)


def withdraw_state(row: ContactRow | None, state_key: str, message: MessageSent, list_number: str | None) -> Outcome:
    """Take a message out of a contact's row: it was counted there, and is registered for another list.

    A removal stays: the complaint named this sender.
    """
    before = row or ContactRow(since=message.sent_at)
    recent = tuple(state for state in before.recent if state.key != state_key)
    if len(recent) == len(before.recent):
        return Outcome(before)
    after = _with_recent(before, recent)
    if list_number is None:
        return Outcome(after)
    return outcome_of(before, after, [], _cause(message), list_number, message.to)


def _counted(
    before: ContactRow,
    after: ContactRow,
    events: list[Event],
    reason: str | None,
    threshold: int,
    when: tuple[int, int],
    source: Receipt | Cause,
    list_number: str,
    number: str,
) -> Outcome:
    """What a new state of a message does to its contact: `reason` removes it at once, else the count may."""
    failures = after.failures
    if reason is None and failures >= threshold and failures > before.failures:
        reason = "bad_response"
    if reason is not None:
        after = removed(after, reason, *when)
        if before.active:
            events.append(unsubscribe_event(source, number, list_number, None, reason, when[0]))
    return outcome_of(before, after, events, source, list_number, number)


def _cause(message: MessageSent) -> Cause:
    event_id = derived_id(message.account, message.provider, message.provider_message_id, message.list_number, "list")
    return Cause(event_id, message.account, message.provider)


def _bound(threshold: int) -> int:
    return max(MIN_RECENT, RECENT_PER_THRESHOLD * threshold)


def _with_state(
    recent: tuple[MessageState, ...], old: MessageState | None, new: MessageState, bound: int
) -> tuple[MessageState, ...]:
    states = [state for state in recent if state is not old]
    insort(states, new, key=lambda state: (state.at, state.key))
    return tuple(states[-bound:])


def _with_recent(row: ContactRow, recent: tuple[MessageState, ...]) -> ContactRow:
    # dataclasses.replace takes several times as long, and this runs for every receipt.
    return ContactRow(
        active=row.active,
        reason=row.reason,
        since=row.since,
        counted_from=row.counted_from,
        removed_at=row.removed_at,
        recent=recent,
        inbound=row.inbound,
        clicks=row.clicks,
        restored_at=row.restored_at,
    )


def _sent_event(receipt: Receipt, list_number: str | None, at: int) -> SentEvent:
    return SentEvent(
        event_id=sent_event_id(receipt.account, receipt.provider, receipt.provider_message_id),
        account=receipt.account,
        message_id=public_message_id(receipt, None),
        provider_message_id=receipt.provider_message_id,
        provider=receipt.provider,
        to=receipt.to,
        list_number=list_number,
        part_count=receipt.parts,
        timestamp=at,
    )


def _delivery_event(receipt: Receipt, message: MessageSent | None, list_number: str | None, at: int) -> DeliveryEvent:
    return DeliveryEvent(
        event_id=derived_id(receipt.event_id, "delivery"),
        account=receipt.account,
        message_id=public_message_id(receipt, message),
        provider_message_id=receipt.provider_message_id,
        provider=receipt.provider,
        to=receipt.to,
        list_number=list_number,
        status=receipt.status,
        status_detail=receipt.status_detail,
        status_class=receipt.status_class,
        provider_code=receipt.provider_code,
        final=receipt.final,
        timestamp=at,
    )
