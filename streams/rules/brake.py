"""The brake: whether one removal more by a rule is too many for a list in an hour, and what a hold is. Pure.

Counted is by the time at which the report was received: that is our own clock, and the same however often and whenever
the report is read. A provider's time may be anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from accounts.brakes import Brake
from streams.row import STEP_MS, ContactRow, Held
from streams.rules.outcome import Cause, stronger

STEPS = 3_600_000 // STEP_MS + 1
"""Steps in a row within which every hour lies."""


class Verdict(NamedTuple):
    """Whether a removal is held. `era` is what its count belongs to, `after` which decision of a person came last."""

    holds: bool
    era: str = ""
    after: str = ""


Judge = Callable[[Cause, str], Verdict]
"""Judges a removal by a rule, by its cause and reason. Asked once for each contact that would be removed."""


def received_at(cause: Cause) -> int:
    """When the report of a removal was received (ms)."""
    return cause.at if cause.received_at is None else cause.received_at


def let_through(cause: Cause, reason: str) -> Verdict:
    """The judge of removals that are not braked."""
    return Verdict(False)


def is_too_many(removed: Callable[[int], int], contacts: int, at: int, brake: Brake, partitions: int) -> bool:
    """Whether one removal more, of a report received `at` (ms), makes some hour that it lies in have too many.

    `removed` tells how many there were in a step (ms // STEP_MS), `contacts` how many the list still has. Every hour
    around it is looked at, the later ones too: records come in any order.
    """
    if brake.is_off:
        return False
    middle = at // STEP_MS
    counts = [removed(step) for step in range(middle - STEPS + 1, middle + STEPS)]
    worst = max(sum(counts[first : first + STEPS]) for first in range(STEPS))
    return worst + 1 > brake.most(contacts + worst, partitions)


def held(row: ContactRow, reason: str, at: int, cause: Cause, place: str, after: str) -> ContactRow:
    """The row of a contact whose removal waits for a person's yes or no."""
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
