"""The brake: whether one more removal by a rule exceeds a list's limit per hour, and what a hold is. Pure.

Removals count at the time their report was received: it comes from our own clock, and stays the same however often the
report is read. A provider's time may be anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from accounts.brakes import Brake
from streams.row import STEP_MS, ContactRow, Held
from streams.rules.outcome import Cause, stronger

STEPS = 3_600_000 // STEP_MS + 1
"""Number of consecutive steps that cover any hour."""


class BrakeVerdict(NamedTuple):
    """Whether a removal is held. `era` is the period it counts for, `after` the last decision made before it."""

    holds: bool
    era: str = ""
    after: str = ""


class Judge(Protocol):
    """Judges removals by rules. `place` is the brake's: an account and a list."""

    place: str

    def __call__(self, cause: Cause, reason: str) -> BrakeVerdict:
        """Judge a removal by its cause and reason. Called once for each contact that would be removed."""


def received_at(cause: Cause) -> int:
    """Return when the report of a removal was received (ms)."""
    return cause.at if cause.received_at is None else cause.received_at


class NoBrake:
    """The judge of removals that no brake applies to."""

    place = ""

    def __call__(self, cause: Cause, reason: str) -> BrakeVerdict:
        """Let it through."""
        return BrakeVerdict(False)


NO_BRAKE = NoBrake()


def is_too_many(removed: Callable[[int], int], contacts: int, at: int, brake: Brake, partitions: int) -> bool:
    """Whether one more removal, from a report received `at` (ms), exceeds the limit of any hour around it.

    `removed` returns the removals in a step (ms // STEP_MS), `contacts` is the size of the list. Later hours are
    checked too, because records arrive in any order.
    """
    if brake.is_off:
        return False
    middle = at // STEP_MS
    counts = [removed(step) for step in range(middle - STEPS + 1, middle + STEPS)]
    worst = max(sum(counts[first : first + STEPS]) for first in range(STEPS))
    return worst + 1 > brake.most(contacts + worst, partitions)


def held(row: ContactRow, reason: str, at: int, cause: Cause, place: str, after: str) -> ContactRow:
    """Return the row of a contact whose removal waits for a person's decision."""
    if at > row.removed_at:
        row = replace(row, removed_at=at, except_lists=())
    hold = Held(
        reason, at, cause.event_id, cause.told, cause.provider, cause.message_id, cause.received_at, place, after
    )
    if row.held is None:
        return replace(row, held=hold)
    if stronger(reason, row.held.reason) == row.held.reason:
        return row
    return replace(row, held=hold._replace(after=row.held.after))
