"""What an operator's order does to a contact."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from schemas.records import DATED_REASONS, REASON_STRENGTH, ContactCommand
from streams.row import ContactRow
from streams.rules.everywhere import ended
from streams.rules.outcome import COMMAND_PROVIDER, Cause, ContactChange, removed, restored

MAX_ORDERS = 16
"""Ids of orders that a row keeps. A client repeats an order within minutes, not after 16 more about the contact."""


def ordered_by(command: ContactCommand, at: int) -> Cause:
    """The cause that an order is; `at` (ms) is when Kafka got it."""
    return Cause(command.event_id, command.account, COMMAND_PROVIDER, at, command.event_id)


def is_dated(command: ContactCommand) -> bool:
    """Whether an order ends only the consent that was given before what it tells of."""
    return command.command == "remove" and command.reason in DATED_REASONS


def happened_at(command: ContactCommand, at: int) -> int:
    """When what a dated order tells of happened, in ms; at the latest when Kafka got it."""
    return at if command.happened_at is None else min(command.happened_at, at)


def apply_command(
    row: ContactRow | None, command: ContactCommand, at: int, consented: Collection[str] = ()
) -> ContactChange:
    """What an operator's order does; `at` (ms) is when Kafka got it. Raises ValueError for an unknown one or reason.

    Orders count in the order in which they lie in their topic, whatever the clocks of those who gave them say. One that
    comes again, at whatever place, changes nothing. A removal has the reason that it names, as those of an imported
    suppression list do, else `manual`. A dated one counts by the date that it names; of the whole account it leaves out
    the lists to which the number's holder has `consented` since. A restore that Kafka got before the newest removal
    happened is out of date.
    """
    before = row or ContactRow(since=at)
    if not is_new(before, command):
        return ContactChange(before)
    ordered = replace(before, orders=(*before.orders, command.event_id)[-MAX_ORDERS:])
    if command.command == "remove":
        reason = command.reason or "manual"
        if reason not in REASON_STRENGTH:
            raise ValueError(f"reason {reason!r} is none of {', '.join(REASON_STRENGTH)}")
        if is_dated(command):
            after = ended(ordered, reason, happened_at(command, at), consented)
        else:
            after = removed(ordered, reason, at)
    elif command.command == "restore":
        after = restored(ordered, at) if is_restoring(before, command, at) else ordered
    else:
        raise ValueError(f"command {command.command!r} is neither remove nor restore")
    return ContactChange(after, cause=ordered_by(command, at))


def is_new(row: ContactRow | None, command: ContactCommand) -> bool:
    """Whether the row has not taken this order before."""
    return row is None or command.event_id not in row.orders


def is_restoring(row: ContactRow | None, command: ContactCommand, at: int) -> bool:
    """Whether an order brings a contact back: it neither comes again nor is out of date."""
    return command.command == "restore" and is_new(row, command) and (row is None or at >= row.removed_at)


def is_void(before: ContactRow | None, after: ContactRow, command: ContactCommand) -> bool:
    """Whether a restore has left its contact removed or held. One that comes again is not void: it was carried out."""
    return is_new(before, command) and command.command == "restore" and not after.may_be_texted
