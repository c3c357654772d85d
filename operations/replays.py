"""Replays as they are ordered, and how far each is. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from outbound.bodies import SHAPES
from schemas.ids import random_id
from schemas.records import ReplayCommand, ReplayProgress

EVENTS = tuple(shape.event for shape in SHAPES.values())
"""Events that can be sent again. Each is the short name of its topic too."""

ENDED = ("done", "stopped", "failed")
"""States after which nothing more is sent."""

MOST_IDS = 1_000
"""Event ids that one order may name."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent again to one endpoint, before it has an id. Times are in ms; `to_at` None is now.

    `outcome`: `all`, `failed` (tried and never taken) or `dead` (given up).
    """

    endpoint: str
    outcome: str
    events: tuple[str, ...] = ()
    event_ids: tuple[str, ...] = ()
    from_at: int = 0
    to_at: int | None = None
    rate: float | None = None

    def command(self, issued_by: str | None, now: int) -> ReplayCommand:
        """The record, with a new id. `now` is in ms."""
        return ReplayCommand(
            replay_id=random_id("rpl_"),
            endpoint=self.endpoint,
            outcome=self.outcome,
            events=self.events,
            event_ids=self.event_ids,
            from_at=self.from_at,
            to_at=now if self.to_at is None else min(self.to_at, now),
            rate=self.rate,
            issued_by=issued_by,
            issued_at=now,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """An order and how far it is."""

    command: ReplayCommand
    progress: ReplayProgress | None

    @property
    def state(self) -> str:
        """`ordered` until a sinks process has begun, `stopping` until it has stopped, else as the process says."""
        if self.progress is not None and self.progress.state in ENDED:
            return self.progress.state
        if self.command.stopped_at is not None:
            return "stopping"
        return "ordered" if self.progress is None else self.progress.state

    @property
    def left(self) -> int | None:
        """Records that are still to be looked at, None before it has begun."""
        if self.progress is None:
            return None
        return sum(max(0, end - self.progress.positions[place]) for place, end in self.progress.ends.items())
