"""Replies and orders applied by the rules alone, to the row of one contact on one list, with the resulting events."""

from __future__ import annotations

from typing import NamedTuple

from schemas.records import ContactCommand, ContactState, InboundMessage
from streams.optout import OptOutWords
from streams.row import ContactRow
from streams.rules import ContactChange, Event, apply_opt_out, apply_reassigned, apply_reply, is_reassigned, read_reply
from streams.rules import apply_command as _apply_command
from streams.rules.standing import NumberRows, Subject, change_events, says


class Told(NamedTuple):
    """The row after a record, and everything that is sent, in order."""

    row: ContactRow
    events: tuple[Event | ContactState, ...]


def with_what_is_told(row: ContactRow | None, outcome: ContactChange, account: str, listed: str, number: str) -> Told:
    """Return an outcome with what the stage sends about it, without an account-wide record of the number."""
    cause, after = outcome.cause, outcome.row
    if cause is None or says(row) == says(after):
        return Told(after, outcome.events)
    last = outcome.events[-1].event_id if outcome.events else cause.told
    at = after.since if (row is None or row.active) != after.active else cause.at
    place = Subject(account, listed, number)
    return Told(
        after, (*outcome.events, *change_events(NumberRows(row, None), NumberRows(after, None), place, cause, at, last))
    )


def apply_inbound(row: ContactRow | None, inbound: InboundMessage, list_number: str, words: OptOutWords) -> Told:
    """Return the effect of a reply to a list."""
    reading = read_reply(inbound, words)
    if is_reassigned(inbound):
        outcome = apply_reassigned(row, inbound, ())
    elif reading.reason is not None:
        outcome = apply_opt_out(row, inbound, reading)
    else:
        outcome = apply_reply(row, inbound, reading, list_number, is_certain=True)
    return with_what_is_told(row, outcome, inbound.account, list_number, inbound.from_)


def apply_command(row: ContactRow | None, command: ContactCommand, at: int) -> Told:
    """Return the effect of an order about a contact of a list that Kafka received at this time (ms)."""
    outcome = _apply_command(row, command, at)
    return with_what_is_told(row, outcome, command.account, command.list_number, command.phone_number)
