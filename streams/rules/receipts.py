"""What a delivery receipt does to a contact and its message."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping

from schemas.ids import derived_id
from schemas.records import DeliveryEvent, MessageSent, Receipt
from streams.row import ContactRow, MessageState
from streams.rules.outcome import Event, Outcome, outcome_of, removed, times, unsubscribe_event

FINAL = 3
_RANKS: Mapping[tuple[str, str | None], int] = {("pending", None): 0, ("pending", "SENT"): 1}
_OTHER_RANK = 2

REMOVALS: Mapping[str, str] = {"complaint": "complaint", "invalid": "invalid_contact", "opt_out": "message"}
"""Status class that removes a contact at once -> reason."""

MIN_RECENT = 32
RECENT_PER_THRESHOLD = 4
"""A row keeps max(32, 4 x threshold) messages: a full run, and room for late reports of older messages."""


def rank(status: str, detail: str, final: bool) -> int:
    """How far a message has come: 0 pending, 1 sent, 2 not final but beyond pending, 3 final."""
    if final:
        return FINAL
    return _RANKS.get((status, detail), _RANKS.get((status, None), _OTHER_RANK))


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
    state = _state_of(receipt, at)
    known = next((m for m in before.recent if m.key == state.key), None)
    if known is not None and not _supersedes(state, known):
        return Outcome(before)

    recent = _with_state(before.recent, known, state, max(MIN_RECENT, RECENT_PER_THRESHOLD * threshold))
    after = _with_recent(before, recent)
    changed = known is None or state.rank > known.rank or _public(state) != _public(known)
    events: list[Event] = []
    if changed:
        events.append(_delivery_event(receipt, message, list_number, at))
    if list_number is None or receipt.to is None:
        return Outcome(after, tuple(events))

    reason = REMOVALS.get(receipt.status_class) if changed else None
    failures = after.failures
    if reason is None and failures >= threshold and failures > before.failures:
        reason = "bad_response"
    if reason is not None:
        after = removed(after, reason, at, heard_at)
        if before.active:
            events.append(unsubscribe_event(receipt, receipt.to, list_number, None, reason, at))
    return outcome_of(before, after, events, receipt, list_number, receipt.to)


def _state_of(receipt: Receipt, at: int) -> MessageState:
    return MessageState(
        f"{receipt.provider}:{receipt.provider_message_id}",
        receipt.status,
        receipt.status_detail,
        receipt.status_class,
        rank(receipt.status, receipt.status_detail, receipt.final),
        receipt.occurred_at,
        at,
    )


def _public(state: MessageState) -> tuple[str, str]:
    return state.status, state.detail


def _supersedes(new: MessageState, old: MessageState) -> bool:
    """Whether a report replaces what is known of its message.

    The same status at a later time does too, without an event: which report is the newest must not hang on
    the order of arrival.
    """
    if new.rank != old.rank:
        return new.rank > old.rank
    if new.rank == FINAL:
        known = new.occurred_at is not None and old.occurred_at is not None
        return known and new.at > old.at
    return new.at > old.at or (new.at == old.at and _public(new) != _public(old))


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
    )


def _delivery_event(receipt: Receipt, message: MessageSent | None, list_number: str | None, at: int) -> DeliveryEvent:
    return DeliveryEvent(
        event_id=derived_id(receipt.event_id, "delivery"),
        account=receipt.account,
        message_id=receipt.provider_message_id if message is None else message.message_id,
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
