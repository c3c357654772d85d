"""Receipts applied by the rules alone: to the rows of their messages, and to one contact's row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from schemas.records import ContactCommand, ContactState, MessageSent, Receipt
from streams.message_row import MessageRow
from streams.row import ContactRow
from streams.rules import (
    Event,
    apply_receipt,
    count_message,
    message_events,
    message_name,
    reported_by,
)
from streams.rules.receipts import MessageChange
from tests.unit.streams.contact_records import LIST
from tests.unit.streams.contact_rules import Told, apply_command, with_what_is_told

NOTHING_KNOWN = MessageRow(since=0)


class Known(NamedTuple):
    """The state of a contact and its messages (by name), and the events of the last receipt."""

    row: ContactRow
    messages: Mapping[str, MessageRow] = {}
    events: tuple[Event | ContactState, ...] = ()


def report(
    known: Known | ContactRow | None,
    receipt: Receipt,
    message: MessageSent | None = None,
    list_number: str | None = LIST,
    threshold: int = 3,
) -> Known:
    """Return the state after a receipt. `message` is the registered one."""
    row, messages = (known.row, known.messages) if isinstance(known, Known) else (known, {})
    name = message_name(receipt.provider, receipt.provider_message_id)
    before = messages.get(name, NOTHING_KNOWN)
    if message is not None and before.message is None:
        before = MessageRow(since=0, message=message, sent=True)
    after = apply_receipt(before, receipt)
    told = message_events(before, after, receipt, list_number)
    messages = {**messages, name: after}
    if list_number is None or receipt.to is None:
        return Known(row or ContactRow(since=0), messages, tuple(told))
    removals = after.removals[len(before.removals) :]
    cause = reported_by(receipt, before.message, told)
    counted = count_message(row, MessageChange(name, before, after, cause), removals, threshold)
    outcome = with_what_is_told(row, counted, receipt.account, list_number, receipt.to)
    return Known(outcome.row, messages, (*told, *outcome.events))


def order(row: ContactRow | None, command: ContactCommand) -> Told:
    """Return the effect of an order that Kafka received when it was given."""
    return apply_command(row, command, command.issued_at)
