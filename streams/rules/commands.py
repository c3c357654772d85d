"""What an operator's order does to a contact."""

from __future__ import annotations

from dataclasses import replace

from schemas.records import ContactCommand
from streams.row import ContactRow
from streams.rules.outcome import STRENGTH, Event, Outcome, outcome_of, removed, restored, unsubscribe_event


def apply_command(row: ContactRow | None, command: ContactCommand) -> Outcome:
    """What an operator's order does. Raises ValueError for an unknown command or reason.

    A removal has the reason that it names, as those of an imported suppression list do, else `manual`. A restore that
    was given before the newest removal is out of date and changes nothing; so is a removal that was ordered before
    the newest restore. A restore that is read again does not undo what was learnt after it.
    """
    at = command.issued_at
    before = row or ContactRow(since=at)
    list_number, number = command.list_number, command.phone_number
    events: list[Event] = []
    if command.command == "remove":
        reason = command.reason or "manual"
        if reason not in STRENGTH:
            raise ValueError(f"reason {reason!r} is none of {', '.join(STRENGTH)}")
        after = before if at < before.restored_at else removed(before, reason, at, at)
        if before.active and not after.active:
            events.append(unsubscribe_event(command, number, list_number, None, reason, at))
    elif command.command == "restore":
        is_late = at < before.removed_at or at <= before.restored_at
        after = before if is_late else replace(restored(before, at), restored_at=at)
    else:
        raise ValueError(f"command {command.command!r} is neither remove nor restore")
    return outcome_of(before, after, events, command, list_number, number)
