"""The rules of the contacts stage: what one record makes of one contact's row, and which events it gives.

Pure functions. Records arrive in any order and more than once: every rule compares the times in the records,
never the order of arrival, so that the same records end in the same message states.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, replace

from schemas.ids import contact_key, derived_id
from schemas.records import (
    ContactCommand,
    ContactState,
    DeliveryEvent,
    InboundMessage,
    MessageSent,
    Receipt,
    ReplyEvent,
    UnsubscribeEvent,
)
from streams.optout import OptOutWords
from streams.row import ContactRow, MessageState

Event = DeliveryEvent | ReplyEvent | UnsubscribeEvent

FINAL = 3
_RANKS: Mapping[tuple[str, str | None], int] = {("pending", None): 0, ("pending", "SENT"): 1}
_OTHER_RANK = 2

REMOVALS: Mapping[str, str] = {"complaint": "complaint", "invalid": "invalid_contact", "opt_out": "message"}
"""Status class that removes a contact at once -> reason."""

STRENGTH: Mapping[str, int] = {
    "bad_response": 0,
    "message": 1,
    "invalid_contact": 2,
    "manual": 2,
    "complaint": 2,
}
"""A reason is replaced only by a stronger one. START undoes `message`; an operator undoes all of them."""

MIN_RECENT = 32
RECENT_PER_THRESHOLD = 4
"""A row keeps max(32, 4 x threshold) messages: a full run, and room for late reports of older messages."""

MAX_INBOUND = 16
"""Ids of replies that a row keeps. Providers repeat a callback within minutes, not after 16 more replies."""

COMMAND_PROVIDER = "trackly"
"""Stands as provider in the event of a removal that no provider reported."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The row after a record, and the events that it gives, in order. No effect: the same row, no events."""

    row: ContactRow
    events: tuple[Event | ContactState, ...] = ()


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
    at, heard_at = _times(receipt)
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
        after = _removed(after, reason, at, heard_at)
        if before.active:
            events.append(_unsubscribe_event(receipt, receipt.to, list_number, None, reason, at))
    return _outcome(before, after, events, receipt, list_number, receipt.to)


def apply_inbound(
    row: ContactRow | None, inbound: InboundMessage, list_number: str | None, words: OptOutWords
) -> Outcome:
    """What a reply does: an opt-out removes the contact, an opt-in undoes an opt-out, any other is passed on.

    Where both could be read, the opt-out wins. Without a list the event goes out and no contact is touched.
    """
    at, heard_at = _times(inbound)
    before = row or ContactRow(since=at)
    inbound_id = f"{inbound.provider}:{inbound.provider_message_id or inbound.event_id}"
    if inbound_id in before.inbound:
        return Outcome(before)
    after = replace(before, inbound=(*before.inbound, inbound_id)[-MAX_INBOUND:])

    # Some providers put the first word into the keyword alone and leave the text empty.
    reply = inbound.text or inbound.keyword or ""
    opt_out = words.match(reply)
    if opt_out is not None or inbound.kind == "opt_out":
        keyword = inbound.keyword if opt_out is None else opt_out.keyword
        unsubscribe = _unsubscribe_event(inbound, inbound.from_, list_number, keyword, "message", at)
        if list_number is None:
            return Outcome(after, (unsubscribe,))
        after = _removed(after, "message", at, heard_at)
        events: list[Event] = [unsubscribe] if before.active else []
        return _outcome(before, after, events, inbound, list_number, inbound.from_)

    reply_event = _reply_event(inbound, list_number, at)
    if list_number is None:
        return Outcome(after, (reply_event,))
    opts_in = inbound.kind == "opt_in" or words.is_opt_in(reply)
    if opts_in and after.reason == "message" and heard_at >= after.removed_at:
        after = _restored(after, at)
    return _outcome(before, after, [reply_event], inbound, list_number, inbound.from_)


def apply_command(row: ContactRow | None, command: ContactCommand) -> Outcome:
    """What an operator's order does. Raises ValueError for an unknown command.

    A restore that was given before the newest removal is out of date and changes nothing.
    """
    at = command.issued_at
    before = row or ContactRow(since=at)
    list_number, number = command.list_number, command.phone_number
    events: list[Event] = []
    if command.command == "remove":
        after = _removed(before, "manual", at, at)
        if before.active:
            events.append(_unsubscribe_event(command, number, list_number, None, "manual", at))
    elif command.command == "restore":
        after = before if at < before.removed_at else _restored(before, at)
    else:
        raise ValueError(f"command {command.command!r} is neither remove nor restore")
    return _outcome(before, after, events, command, list_number, number)


def _times(report: Receipt | InboundMessage) -> tuple[int, int]:
    """When it happened, and the latest that it can have happened by our own clock."""
    at = report.received_at if report.occurred_at is None else report.occurred_at
    return at, min(at, report.received_at)


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


def _removed(row: ContactRow, reason: str, at: int, heard_at: int) -> ContactRow:
    removed_at = max(row.removed_at, heard_at)
    if row.active:
        return replace(row, active=False, reason=reason, since=at, removed_at=removed_at)
    if STRENGTH[reason] > STRENGTH.get(row.reason or "", -1):
        return replace(row, reason=reason, removed_at=removed_at)
    return replace(row, removed_at=removed_at)


def _restored(row: ContactRow, at: int) -> ContactRow:
    counted_from = max(row.counted_from, at)
    if row.active:
        return replace(row, counted_from=counted_from)
    return replace(row, active=True, reason=None, since=at, counted_from=counted_from)


def _outcome(
    before: ContactRow,
    after: ContactRow,
    events: list[Event],
    source: Receipt | InboundMessage | ContactCommand,
    list_number: str,
    number: str,
) -> Outcome:
    """The outcome, with the contact's new state where it differs in what the public state shows."""
    failures = after.failures
    if (after.active, failures, after.reason) == (before.active, before.failures, before.reason):
        return Outcome(after, tuple(events))
    state = ContactState(
        contact=contact_key(source.account, list_number, number),
        account=source.account,
        list_number=list_number,
        phone_number=number,
        active=after.active,
        failures=failures,
        reason=after.reason,
        since=after.since,
        last_event_id=(events[-1] if events else source).event_id,
    )
    return Outcome(after, (*events, state))


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


def _unsubscribe_event(
    source: Receipt | InboundMessage | ContactCommand,
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


def _reply_event(inbound: InboundMessage, list_number: str | None, at: int) -> ReplyEvent:
    return ReplyEvent(
        event_id=derived_id(inbound.event_id, "reply"),
        account=inbound.account,
        provider=inbound.provider,
        phone_number=inbound.from_,
        list_number=list_number,
        body=inbound.text or "",
        timestamp=at,
    )
