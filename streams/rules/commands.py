"""The effect of an operator's command on a contact."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from schemas.records import COMMAND_PROVIDER, DATED_REASONS, REASON_STRENGTH, ContactCommand
from streams.row import ContactRow
from streams.rules.everywhere import ended
from streams.rules.outcome import Cause, ContactChange, removed, restored

MAX_ORDERS = 16
"""Command ids kept in a row. A client repeats a command within minutes, not after 16 more about the contact."""


def ordered_by(command: ContactCommand, at: int) -> Cause:
    """Return a command as a cause; `at` (ms) is when Kafka got it."""
    return Cause(command.event_id, command.account, COMMAND_PROVIDER, at, command.event_id)


def is_dated(command: ContactCommand) -> bool:
    """Whether a command only ends consent given before a date."""
    return command.command == "remove" and command.reason in DATED_REASONS


def happened_at(command: ContactCommand, at: int) -> int:
    """Return the date of a dated command, in ms, but no later than when Kafka got it."""
    return at if command.happened_at is None else min(command.happened_at, at)


def apply_command(
    row: ContactRow | None, command: ContactCommand, at: int, consented: Collection[str] = ()
) -> ContactChange:
    """Apply an operator's command; `at` (ms) is when Kafka got it. Raises ValueError for an unknown command or reason.

    Commands count in the order of their topic, whatever their authors' clocks say. A repeated command has no effect. A
    removal has the reason it names, as in an imported suppression list, or else `manual`. A dated removal counts from
    its date; account-wide, it omits lists to which the number's holder has `consented` since. A restore that Kafka got
    before the newest removal happened is outdated.
    """
    before = row or ContactRow(since=at)
    if not is_new(before, command):
        return ContactChange(before)
    ordered = replace(before, orders=(*before.orders, command.event_id)[-MAX_ORDERS:])
    if command.command == "remove":
        reason = command.reason or "manual"
        if reason not in REASON_STRENGTH:
            raise ValueError(f"reason {reason!r} must be one of {', '.join(REASON_STRENGTH)}")
        if is_dated(command):
            after = ended(ordered, reason, happened_at(command, at), consented)
        else:
            after = removed(ordered, reason, at)
    elif command.command == "restore":
        after = restored(ordered, at) if is_restoring(before, command, at) else ordered
    else:
        raise ValueError(f"command {command.command!r} must be remove or restore")
    return ContactChange(after, cause=ordered_by(command, at))


def is_new(row: ContactRow | None, command: ContactCommand) -> bool:
    """Whether the row has not seen this command before."""
    return row is None or command.event_id not in row.orders


def is_restoring(row: ContactRow | None, command: ContactCommand, at: int) -> bool:
    """Whether a command restores a contact: it is neither repeated nor outdated."""
    return command.command == "restore" and is_new(row, command) and (row is None or at >= row.removed_at)


def is_void(before: ContactRow | None, after: ContactRow, command: ContactCommand) -> bool:
    """Whether a restore has left its contact removed or held. A repeated one is not void: it was carried out."""
    return is_new(before, command) and command.command == "restore" and not after.may_be_texted
