"""The effect of a delivery receipt on its message, and of the message on its contact."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from schemas.ids import derived_id, sent_event_id
from schemas.records import DeliveryEvent, MessageSent, Receipt, SentEvent
from streams.message_row import MessageRow, Removal, Report
from streams.row import ContactRow, Counted, Ruled
from streams.rules.brake import NO_BRAKE, Judge, held, received_at
from streams.rules.callbacks import state_callback
from streams.rules.everywhere import EVERYWHERE, stopped
from streams.rules.outcome import OPT_OUT, REPORT_LAYER, Cause, ContactChange, Event, removed
from streams.rules.states import FINAL, is_news, merged, public_message_id, report_of, says_sent

REMOVALS: Mapping[str, str] = {"complaint": "complaint", "invalid": "invalid_contact", "opt_out": "message"}
"""Status class that removes a contact at once -> reason."""

COUNTED: Mapping[str, bool] = {"transient": True, "delivered": False}
"""Status class considered by the failure count -> whether the message failed."""

MIN_COUNTED = 32
COUNTED_PER_THRESHOLD = 4
"""A row keeps max(32, 4 x threshold) counted messages: a full run, with room for corrections and late reports."""

MAX_REMOVALS = 16
"""Removals by messages kept in a contact's row. The message's row remembers its own for life; these help if a worker
died between writing the two rows."""


class MessageChange(NamedTuple):
    """A message's row before and after a change, and its cause. `name` is the message's."""

    name: str
    before: MessageRow
    after: MessageRow
    cause: Cause


def apply_receipt(row: MessageRow, receipt: Receipt) -> MessageRow:
    """Return a message's row after a report. A report without news returns the same row."""
    report = report_of(receipt)
    reports, removals = merged(row.reports, report), row.removals
    reason = REMOVALS.get(receipt.status_class)
    if reason is not None and all(removal.reason != reason for removal in removals):
        removals = (*removals, Removal(reason, report.at))
    # A registration has its own event for this.
    sent = row.sent or (row.message is None and says_sent(receipt))
    if reports is row.reports and removals is row.removals and sent == row.sent:
        return row
    # dataclasses.replace is several times slower, and this runs for every receipt.
    return MessageRow(
        since=row.since,
        message=row.message,
        waiting=row.waiting,
        sent=sent,
        reports=reports,
        removals=removals,
        list_number=row.list_number,
        opt_outs=row.opt_outs,
    )


def message_events(before: MessageRow, after: MessageRow, receipt: Receipt, list_number: str | None) -> list[Event]:
    """Return the events about a message whose row was changed by a receipt."""
    events: list[Event] = []
    if after.sent and not before.sent:
        events.append(_sent_event(receipt, list_number))
    state = after.state
    if state is not None and is_news(before.state, state):
        if after.message is not None:
            callback = state_callback(after.message, before.state, state, receipt.event_id)
            events += [callback] if callback is not None else []
        events.append(_delivery_event(receipt, after.message, state, list_number))
    return events


def count_message(
    row: ContactRow | None,
    change: MessageChange,
    removals: Iterable[Removal],
    threshold: int,
    judge: Judge = NO_BRAKE,
) -> ContactChange:
    """Apply a message to a contact: `removals` remove it at once; otherwise the failure count may.

    `threshold` is the number of consecutive failures that remove a contact. A reason already applied for this message
    is skipped. `judge` is the contact's brake: it may hold anything but an opt-out.
    """
    name, cause = change.name, change.cause
    before = row or ContactRow(since=cause.at)
    new = [removal for removal in removals if f"{name}:{removal.reason}" not in before.removals]
    applied = (*before.removals, *(f"{name}:{removal.reason}" for removal in new))[-MAX_REMOVALS:]
    after = _counting(before, _with(before, name, change.after.state, threshold), applied if new else before.removals)
    if after is before:
        return ContactChange(before)
    failures = after.failures
    if not new and failures >= threshold and failures > before.failures:
        new = [Removal("bad_response", cause.at)]
    return ContactChange(_removed(after, new, cause, judge), cause=cause)


def remove_for_message(
    row: ContactRow | None, change: MessageChange, removals: Iterable[Removal], judge: Judge = NO_BRAKE
) -> ContactChange:
    """Apply a message to its number's account-wide row, which counts nothing: `removals` remove it unless `judge` holds
    them."""
    name, cause = change.name, change.cause
    before = row or ContactRow(since=cause.at)
    new = [removal for removal in removals if f"{name}:{removal.reason}" not in before.removals]
    if not new:
        return ContactChange(before)
    applied = (*before.removals, *(f"{name}:{removal.reason}" for removal in new))[-MAX_REMOVALS:]
    after = _removed(replace(before, removals=applied), new, cause, judge)
    is_opt_out = any(removal.reason == OPT_OUT for removal in new)
    return ContactChange(stopped(after, EVERYWHERE) if is_opt_out else after, cause=cause)


def withdraw_message(row: ContactRow | None, change: MessageChange) -> ContactChange:
    """Remove a message from a contact's count: it turned out to belong to another list.

    A removal stays: the complaint named this sender.
    """
    before = row or ContactRow(since=0)
    after = _counting(before, tuple(each for each in before.counted if each.key != change.name), before.removals)
    return ContactChange(before) if after is before else ContactChange(after, cause=change.cause)


def reported_by(receipt: Receipt, message: MessageSent | None, told: Sequence[Event]) -> Cause:
    """Return a receipt as a cause, given its events about the message."""
    event_id, message_id = told[-1].event_id if told else receipt.event_id, public_message_id(receipt, message)
    return Cause(
        receipt.event_id,
        receipt.account,
        receipt.provider,
        report_of(receipt).at,
        event_id,
        message_id,
        layer=REPORT_LAYER,
        received_at=receipt.received_at,
    )


def registered_by(message: MessageSent, state: Report) -> Cause:
    """Return a message's registration as a cause, because it shows which list its state belongs to."""
    event_id = derived_id(message.account, message.provider, message.provider_message_id, message.list_number, "list")
    return Cause(
        event_id,
        message.account,
        message.provider,
        state.at,
        event_id,
        message.message_id,
        received_at=state.received_at,
    )


def _with(row: ContactRow, name: str, state: Report | None, threshold: int) -> tuple[Counted, ...]:
    """Return a contact's counted messages, updated with this one."""
    others = [each for each in row.counted if each.key != name]
    failed = None if state is None else COUNTED.get(state.status_class)
    if state is not None and failed is not None and state.at > row.counted_from:
        insort(others, Counted(name, state.at, failed), key=lambda each: (each.at, each.key))
    return tuple(others[-max(MIN_COUNTED, COUNTED_PER_THRESHOLD * threshold) :])


def _removed(row: ContactRow, removals: Iterable[Removal], cause: Cause, judge: Judge) -> ContactRow:
    for reason, at in removals:
        if reason == OPT_OUT:
            row = replace(removed(row, reason, at), opted_out=True)
        elif not row.active:
            row = removed(row, reason, at)
        elif row.held is not None:
            row = held(row, reason, at, cause, judge.place, row.held.after)
        else:
            verdict = judge(cause, reason)
            if verdict.holds:
                row = held(row, reason, at, cause, judge.place, verdict.after)
            else:
                row = replace(removed(row, reason, at), ruled=Ruled(received_at(cause), verdict.era))
    return row


def _counting(row: ContactRow, counted: tuple[Counted, ...], removals: tuple[str, ...]) -> ContactRow:
    if counted == row.counted and removals is row.removals:
        return row
    return replace(row, counted=counted, removals=removals)


def _sent_event(receipt: Receipt, list_number: str | None) -> SentEvent:
    return SentEvent(
        event_id=sent_event_id(receipt.account, receipt.provider, receipt.provider_message_id),
        account=receipt.account,
        message_id=public_message_id(receipt, None),
        provider_message_id=receipt.provider_message_id,
        provider=receipt.provider,
        to=receipt.to,
        list_number=list_number,
        part_count=receipt.parts,
        timestamp=report_of(receipt).at,
    )


def _delivery_event(
    receipt: Receipt, message: MessageSent | None, state: Report, list_number: str | None
) -> DeliveryEvent:
    # Usually the state is what the receipt says, unless the receipt shows that another report came first.
    return DeliveryEvent(
        event_id=derived_id(receipt.event_id, "delivery"),
        account=receipt.account,
        message_id=public_message_id(receipt, message),
        provider_message_id=receipt.provider_message_id,
        provider=receipt.provider,
        to=receipt.to,
        list_number=list_number,
        status=state.status,
        status_detail=state.detail,
        status_class=state.status_class,
        provider_code=state.provider_code,
        final=state.rank == FINAL,
        timestamp=state.at,
    )
