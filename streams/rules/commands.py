"""What an operator's order does to a contact."""

from __future__ import annotations

from schemas.records import ContactCommand
from streams.row import ContactRow
from streams.rules.outcome import Event, Outcome, outcome_of, removed, restored, unsubscribe_event


def apply_command(row: ContactRow | None, command: ContactCommand) -> Outcome:
    """What an operator's order does. Raises ValueError for an unknown command.

    A restore that was given before the newest removal is out of date and changes nothing.
    """
    at = command.issued_at
    before = row or ContactRow(since=at)
    list_number, number = command.list_number, command.phone_number
    events: list[Event] = []
    if command.command == "remove":
        after = removed(before, "manual", at, at)
        if before.active:
            events.append(unsubscribe_event(command, number, list_number, None, "manual", at))
    elif command.command == "restore":
        after = before if at < before.removed_at else restored(before, at)
    else:
        raise ValueError(f"command {command.command!r} is neither remove nor restore")
    return outcome_of(before, after, events, command, list_number, number)
